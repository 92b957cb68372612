/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of networks, each with a value, and the one most specific for an address: a trie that takes
 * six bits a step and skips what all networks below share, with its values run-length coded (as a
 * poptrie does, Asai and Ohara 2015). Ten thousand networks take some 500 KiB and four or five
 * steps. IPv4 has a root of its own: networks of IPv6 shorter than ::ffff:0:0/96 do not hold its
 * addresses. Pure; immutable once built; any thread.
 */
#ifndef EDGE_ACCESS_NETS_H
#define EDGE_ACCESS_NETS_H

#include "base/arena.h"
#include "base/cidr.h"

struct nets; /* private */

enum { NETS_NONE = 0 };

struct nets_entry {
    struct cidr cidr;
    uint8_t value; /* not 0; of the same network written twice the higher one holds */
};

/* Sorts the entries; what lookups need is in `arena`. NULL: memory ends. */
const struct nets *nets_new(struct nets_entry *entries, size_t count, struct arena *arena);
/* The value of the longest network that holds the address, or NETS_NONE. */
uint8_t nets_find(const struct nets *nets, const uint8_t ip[IP_LEN]);

#endif
