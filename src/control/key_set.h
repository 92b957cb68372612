/* SPDX-License-Identifier: Apache-2.0
 *
 * The API keys of a fleet: a document each in the store, with their hashes alone. A change is
 * written with its entry in the ledger, then the whole set is given to every edge in one piece, and
 * the change is told when all that are waited for have it, or when those that lack it have been out
 * of reach for ten seconds. Control's one thread.
 */
#ifndef CONTROL_KEY_SET_H
#define CONTROL_KEY_SET_H

#include "control/edges.h"
#include "control/store.h"
#include "rest/key_json.h"

struct key_set; /* private */

/* The asker's, untouched by it until told. */
struct key_set_change {
    const char *actor;      /* borrowed, as the texts of the next */
    struct key_entry entry; /* to be made; of one to be revoked only `id` is said */
    char id[API_KEY_ID + 1];
    bool is_revoked;
    /* `lacking`: the edges that have not got it, [{"name", "error"}], NULL: none; the callee's.
     * E_AGAIN: nothing is known yet, or there is no fleet yet; E_NOT_FOUND; E_FULL: too many;
     * E_NOMEM; E_IO: put.job.error says what failed. */
    void (*done)(struct key_set_change *change, enum status status, json_t *lacking);
    struct key_set *set; /* from here on private, but for the error */
    struct store_put put;
    struct key_set_change *next;
    int64_t revision, since_ms;
};

/* NULL: no memory. Reads what there was from the store. */
struct key_set *key_set_new(struct store *store, struct edges *edges);
void key_set_tick(struct key_set *set, int64_t now_ms);
/* When the store has ended. Nobody is told any more. */
void key_set_free(struct key_set **set);

void key_set_change(struct key_set *set, struct key_set_change *change);
/* All, as key_entry_show(), the caller's; NULL: nothing is known yet, or no memory. */
json_t *key_set_json(const struct key_set *set);

#endif
