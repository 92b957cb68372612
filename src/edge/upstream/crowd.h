/* SPDX-License-Identifier: Apache-2.0
 *
 * How many of each of very many there are, in a table of fixed size: a count-min sketch (Cormode
 * and Muthukrishnan, "An improved data stream summary", 2005). A count is never too low; it is too
 * high only where others share all of its cells. Any thread, no lock.
 */
#ifndef EDGE_UPSTREAM_CROWD_H
#define EDGE_UPSTREAM_CROWD_H

#include "sluice/types.h"

enum { CROWD_ROWS = 3, CROWD_CELLS = 2048 };

struct crowd {
    uint64_t seed;
    uint32_t cells[CROWD_ROWS][CROWD_CELLS]; /* atomic */
};

/* Empty. The seed is a secret: it keeps anybody from choosing whose cells he shares. */
void crowd_init(struct crowd *crowd, uint64_t seed);
/* One more of this key, unless there are `most` already: false, and nothing has changed. */
bool crowd_join(struct crowd *crowd, uint64_t key, uint32_t most);
/* One less, of those that have joined. */
void crowd_leave(struct crowd *crowd, uint64_t key);

#endif
