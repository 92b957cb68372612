/* SPDX-License-Identifier: Apache-2.0
 *
 * Which release a client gets: weighted rendezvous hashing (Wang and Ravishankar, "Using name-based
 * mappings to increase hit rates", 1998; weights by -ln(u) / w: Efraimidis and Spirakis, "Weighted
 * random sampling with a reservoir", 2006). A client's choice hangs on its key and the releases'
 * ids alone, so that all workers and edges make the same one; when one release's share grows,
 * clients move to it and none away from it. Pure.
 */
#ifndef EDGE_SPLIT_H
#define EDGE_SPLIT_H

#include "sluice/types.h"

enum { SPLIT_MAX = 8 };

struct split {
    unsigned count;
    struct {
        uint64_t seed;
        double weight; /* 0: nobody gets it */
    } parts[SPLIT_MAX];
};

/* Adds a release, of which there may be SPLIT_MAX, with its share beside those of the others. */
void split_add(struct split *split, struct str service, struct str release, uint32_t share);
/* Index of the part that the client of that key gets, in the order of adding; 0 when none has a
 * share. */
unsigned split_pick(const struct split *split, uint64_t key);

#endif
