/* SPDX-License-Identifier: Apache-2.0
 *
 * What control itself does, on its way to the ledger. Whoever keeps what he does in the store puts
 * the entry into the same transaction (struct store_put), so that neither is there without the
 * other; the rest is handed to the journal, which appends in order and tries again for as long as
 * the store fails. Control's one thread.
 */
#ifndef CONTROL_JOURNAL_H
#define CONTROL_JOURNAL_H

#include "control/store.h"

struct journal; /* private */

struct journal_entry {
    const char *actor;             /* NULL: control itself */
    const char *action;            /* "deploy.begin" */
    const char *service, *subject; /* NULL: none */
    json_t *before, *after;        /* taken in any case; NULL: none. No fractions, see ledger.h */
};

/* Adds one, of now, to the entries of a transaction; *entries NULL: none yet. False: no memory. */
bool journal_add(json_t **entries, const struct journal_entry *entry);

/* NULL: no memory. */
struct journal *journal_new(struct store *store);
/* Several times a second: appends what waits. */
void journal_tick(struct journal *journal, int64_t now_ms);
/* When the store has ended. */
void journal_free(struct journal **journal);

/* Has one appended, after those that wait. Of more than 1,000 that wait only the number is kept,
 * and becomes an entry `ledger.gap`. */
void journal_note(struct journal *journal, const struct journal_entry *entry);

#endif
