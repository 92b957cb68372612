/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes the ledger one that cannot be rewritten unseen: each entry is hashed with the hash of
 * the entry before it, so that whoever knows the last hash knows all that came before. The hash is
 * SHA-256 over the 32 bytes of the previous hash (zeros for the first entry) and the canonical JSON
 * of the entry, without its members `previous` and `hash`. Called by the store, which appends, and
 * by `sluice history --verify`, which does not trust it. Pure.
 */
#ifndef CONTROL_LEDGER_H
#define CONTROL_LEDGER_H

#include <jansson.h>

#include "sluice/types.h"

enum { LEDGER_HASH = 32, LEDGER_HEX = 2 * LEDGER_HASH };

/* RFC 8785: no white space, members by name, the shortest escapes; names are compared by their
 * bytes. NULL: memory, or there is a number with a fraction, which has no place in the ledger. The
 * caller's, by free(). */
char *ledger_canonical(const json_t *json);

/* The hash of an entry, in hex, after the hash of the one before, in hex too. False: as
 * ledger_canonical(), or `previous` is no hash. `hash` is terminated. */
bool ledger_hash(const json_t *entry, const char *previous, char hash[LEDGER_HEX + 1]);

/* The hash that the first entry follows. */
const char *ledger_origin(void);

/* How far a chain was walked; begins as {0}. */
struct ledger_walk {
    json_int_t last; /* id of the last good entry; 0: none yet */
    char head[LEDGER_HEX + 1];
};

/* The next entry, with `previous` and `hash`. NULL: it follows; else what is wrong with it, and the
 * walk stays where it was. */
const char *ledger_walk(struct ledger_walk *walk, const json_t *entry);

#endif
