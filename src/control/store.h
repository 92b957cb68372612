/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's memory: SQLite in <state>/control.db (WAL, every commit synced). Whoever wants
 * something of it fills a job and hands it in; the jobs are done one after the other on a thread of
 * the pool, never on the loop, and told back on the loop. A job that fails changed nothing, and
 * says in a sentence why; the next one may do. A damaged file is set aside, and the newest backup
 * (<state>/control.db.backup, made at each start and each hour in which something changed) or an
 * empty one takes its place. Control's one thread.
 */
#ifndef CONTROL_STORE_H
#define CONTROL_STORE_H

#include <jansson.h>
#include <limits.h>
#include <uv.h>

#include "sluice/types.h"

enum { STORE_ERROR = 512, STORE_NAME = 128, STORE_JOBS_MAX = 1024 };

struct store;    /* private */
struct store_db; /* private */

struct store_options {
    uv_loop_t *loop;
    const char *state; /* directory; borrowed */
    int lock;          /* of control/lock.h, held */
};

/* The beginning of each job. The asker's, untouched by it until told. */
struct store_job {
    /* E_FULL: too many jobs wait; E_CLOSED: the store ended; E_IO: `error` says what failed. */
    void (*done)(struct store_job *job, enum status status);
    char error[STORE_ERROR];
    void (*work)(struct store_db *db, struct store_job *job); /* private, as the next ones */
    enum status status;
    bool is_reading;
    struct store_job *next;
};

/* NULL: no memory. Opens the file at once, as the first job; what is to be said about that is. */
struct store *store_new(const struct store_options *options);
/* A second has passed: makes the backup that is due. */
void store_tick(struct store *store);
/* Ends: jobs that wait are told E_CLOSED. The loop must run until the one that is under way is
 * done. */
void store_close(struct store *store);
void store_free(struct store **store);

/* The epoch of this run; 0: the file could not be opened yet. */
int64_t store_epoch(const struct store *store);
/* Why the last job failed, as a sentence; NULL: it did not. That something can be read does not
 * end a failure to write. */
const char *store_error(const struct store *store);
/* Another number than before: the ledger has grown. */
uint64_t store_appended(const struct store *store);

/* --- the ledger */

/* Appends what an edge tells, all or nothing, once each: what it told before is passed over. */
struct store_append {
    struct store_job job;
    char edge[STORE_NAME], journal[STORE_NAME];
    json_t *changes; /* array of {"seq", "time_ms", "actor", "action", "service", "subject",
                        "before", "after"}; the asker's */
    int64_t seq;     /* told: up to where the edge need not tell again */
};
void store_append(struct store *store, struct store_append *append);

/* Up to where an edge has told, of which journal (empty: nothing yet). */
struct store_feed {
    struct store_job job;
    char edge[STORE_NAME], journal[STORE_NAME];
    int64_t seq;
};
void store_feed(struct store *store, struct store_feed *feed);

/* Entries with an id above `since`, oldest first; or, when that is negative, the newest. */
struct store_read {
    struct store_job job;
    char service[STORE_NAME]; /* empty: all */
    int64_t since;
    uint32_t limit;
    json_t *entries; /* told: array, the asker's */
    bool has_more;   /* told: there are further ones, newer or, for the newest, older */
};
void store_read(struct store *store, struct store_read *read);

/* --- documents: JSON under a kind and an id */

enum { STORE_DOCUMENTS_MAX = 4 };

struct store_document {
    const char *kind; /* static */
    char id[STORE_NAME];
    char *text; /* NULL: it is to go */
};

/* Writes all of them or none, and appends to the ledger in the same breath: what is done, and the
 * entry that says so, are never apart. */
struct store_put {
    struct store_job job;
    struct store_document documents[STORE_DOCUMENTS_MAX];
    uint32_t count;
    json_t *entries; /* array, as the changes of store_append without "seq", with "effect" and "of";
                        NULL: none. Goes with store_put_free() */
};
/* Adds one; `json` NULL: it is to go. False: memory, or there is no room. */
bool store_put_add(struct store_put *put, const char *kind, const char *id, const json_t *json);
void store_put(struct store *store, struct store_put *put);
/* Once it has been told, or was never handed in. */
void store_put_free(struct store_put *put);

/* All of a kind. */
struct store_list {
    struct store_job job;
    const char *kind;  /* static */
    json_t *documents; /* told: by id; the asker's */
};
void store_list(struct store *store, struct store_list *list);

/* --- backup */

/* Writes a whole copy to a file beside the database, whose path is told; the next one takes its
 * place, so it is opened, and may be removed, before `done` returns. */
struct store_copy {
    struct store_job job;
    char path[PATH_MAX];
};
void store_copy(struct store *store, struct store_copy *copy);

#endif
