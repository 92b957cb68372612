/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the store: the open database. On the thread of a job alone, or before
 * there is any other.
 */
#ifndef CONTROL_STORE_IMPL_H
#define CONTROL_STORE_IMPL_H

#include <sqlite3.h>

#include "control/store.h"

enum { STORE_APPLICATION = 0x736c6365 /* which program a file belongs to */ };

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_ROLLBACK,
    STORE_EPOCH_GET,
    STORE_EPOCH_SET,
    STORE_FEED_GET,
    STORE_FEED_SET,
    STORE_LEDGER_HEAD,
    STORE_LEDGER_ADD,
    STORE_LEDGER_SINCE,
    STORE_LEDGER_NEWEST,
    STORE_LEDGER_SINCE_OF, /* of a service, as the next one */
    STORE_LEDGER_NEWEST_OF,
    STORE_DOCUMENT_PUT,
    STORE_DOCUMENT_DROP,
    STORE_DOCUMENT_LIST,
    STORE_STATEMENTS
};

struct store_db {
    sqlite3 *sql; /* NULL: not open */
    sqlite3_stmt *prepared[STORE_STATEMENTS];
    const char *state; /* borrowed */
    int lock;
    int64_t epoch;           /* of this run; 0: none yet */
    uint64_t appended;       /* entries of the ledger, in this run */
    bool is_changed;         /* since the last backup */
    bool is_damaged;         /* as SQLite says: to be closed, and opened again */
    char error[STORE_ERROR]; /* of what failed last */
    char note[STORE_ERROR];  /* what a person should know, once; empty: nothing */
};

/* --- store.c */
/* Has the job done by `work`, after those that wait. */
void store_push(struct store *store, struct store_job *job,
                void (*work)(struct store_db *db, struct store_job *job));

/* --- store_db.c */
/* Opens, checks and migrates; begins the epoch if this run has none. E_IO: db->error. */
MUST_USE enum status store_db_open(struct store_db *db);
void store_db_close(struct store_db *db);
/* Whether its tables are of a version that we know; else db->error. */
bool store_db_knows(struct store_db *db);
/* Notes what failed, in a sentence that begins with `what`; E_IO. */
enum status store_db_fail(struct store_db *db, const char *what);
/* Ready to be bound; NULL: db->error. */
sqlite3_stmt *store_db_statement(struct store_db *db, enum store_statement which);
/* Runs one that gives no rows. E_IO: db->error. */
MUST_USE enum status store_db_run(struct store_db *db, enum store_statement which);
/* Begins a transaction. E_IO: db->error. */
MUST_USE enum status store_db_begin(struct store_db *db);
/* Ends it: commits if `status` is OK, else rolls back; how it ended. */
MUST_USE enum status store_db_end(struct store_db *db, enum status status);

/* --- store_ledger.c */
/* Appends what control itself did, within a transaction. E_IO: db->error. */
MUST_USE enum status store_ledger_add(struct store_db *db, const json_t *entries);
/* Walks the whole chain. E_INVALID: db->error names the first entry that is wrong. */
MUST_USE enum status store_ledger_verify(struct store_db *db);

/* --- store_file.c */
/* <state>/control.db with a suffix. False: it is too long. */
bool store_file_name(const char *state, const char *suffix, char path[PATH_MAX]);
/* Puts control.db, and what SQLite has beside it, out of the way under a suffix. */
void store_file_set_aside(const char *state, const char *suffix);
/* Whether an open database is whole. E_IO: db->error, and db->is_damaged if it is. */
MUST_USE enum status store_file_check(struct store_db *db);
/* Whether a file is a whole database of ours; `error` says what it is. */
bool store_file_is_good(const char *path, char error[STORE_ERROR]);
/* The epoch in a file that nobody has open; 0: it has none. */
int64_t store_file_epoch(const char *path);
/* A whole copy of an open database in a new file, synced. E_IO: db->error, and there is no file. */
MUST_USE enum status store_file_copy(struct store_db *db, const char *to);
/* The same of a file that nobody has open. */
MUST_USE enum status store_file_duplicate(const char *from, const char *to,
                                          char error[STORE_ERROR]);

#endif
