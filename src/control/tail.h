/* SPDX-License-Identifier: Apache-2.0
 *
 * Follows the ledger: each entry is handed on once, in order. How far somebody has come is in the
 * store, written by him together with what he makes of an entry; so nothing is passed over when
 * control is killed, and nothing that is settled comes again. Control's one thread.
 */
#ifndef CONTROL_TAIL_H
#define CONTROL_TAIL_H

#include "control/store.h"

struct tail; /* private */

struct tail_options {
    struct store *store;
    const char *name; /* of who follows; static */
    /* False: not now; it comes again. */
    bool (*on_entry)(void *owner, const json_t *entry);
    void *owner;
};

/* NULL: no memory. Who never followed begins with what comes next; so make it before anything that
 * appends. */
struct tail *tail_new(const struct tail_options *options);
/* Several times a second. */
void tail_tick(struct tail *tail);
/* Adds to a transaction that all up to an entry is settled. False: as store_put_add(). */
bool tail_settle(const struct tail *tail, struct store_put *put, int64_t id);
/* The last entry that was handed on; 0: none. */
int64_t tail_last(const struct tail *tail);
/* When the store has ended. */
void tail_free(struct tail **tail);

#endif
