/* SPDX-License-Identifier: Apache-2.0
 *
 * What ACME keeps on disk, below <state>/acme, 0700: a folder for each CA with the account and for
 * each set of domains a certificate with its key, what became of the tries, and the order that is
 * under way. Files are 0600 and replaced atomically. Blocks for a file's fsync, on a loop that
 * carries no requests. Control's one thread.
 */
#ifndef CONTROL_ACME_STORE_H
#define CONTROL_ACME_STORE_H

#include "base/arena.h"
#include "control/acme_schedule.h"

enum { ACME_ERROR_MAX = 1024 };

struct acme_account {
    struct str key, url, email; /* url absent: not known at the CA yet */
};

/* The order that is under way; written before each step that a restart must know of. */
struct acme_journal {
    struct str key, url; /* url absent: not placed, or the answer never came */
    int64_t created_ms;  /* Unix */
};

/* What became of the tries to get a certificate. */
struct acme_progress {
    enum acme_failure failure;
    uint32_t failures; /* in a row */
    uint32_t streak;   /* orders in a row that followed too soon, acme_schedule_hold_ms() */
    int64_t next_ms;   /* no order before; 0: none */
    int64_t issued_ms; /* of the certificate; 0: never. All Unix */
    int64_t error_ms;  /* when `error` came */
    char error[ACME_ERROR_MAX]; /* empty: the last try was good */
    struct str by_alpn;         /* names that http-01 failed for, separated by spaces */
};

/* The folder of a CA: its host and a hash of its URL, below <state>/acme. Made if need be. Absent:
 * no memory, or it cannot be made (errno). */
struct str acme_store_folder(struct arena *arena, struct str state, struct str directory);

/* Each reads from or writes to a folder; `name` is that of a set. Texts live in the arena.
 * E_NOT_FOUND; E_INVALID: cannot be understood; E_IO with errno; E_NOMEM. */
MUST_USE enum status acme_store_read_account(struct arena *arena, struct str folder,
                                             struct acme_account *account);
MUST_USE enum status acme_store_write_account(struct str folder,
                                              const struct acme_account *account);
/* As above. */
MUST_USE enum status acme_store_read_journal(struct arena *arena, struct str folder,
                                             struct str name, struct acme_journal *journal);
MUST_USE enum status acme_store_write_journal(struct str folder, struct str name,
                                              const struct acme_journal *journal);
void acme_store_remove_journal(struct str folder, struct str name);
/* As above. */
MUST_USE enum status acme_store_read_progress(struct arena *arena, struct str folder,
                                              struct str name, struct acme_progress *progress);
MUST_USE enum status acme_store_write_progress(struct str folder, struct str name,
                                               const struct acme_progress *progress);
/* One file with both, so that they always fit each other: the key in PEM, then the chain. */
MUST_USE enum status acme_store_read_pair(struct arena *arena, struct str folder, struct str name,
                                          struct str *pair);
MUST_USE enum status acme_store_write_pair(struct str folder, struct str name, struct str pair);

#endif
