/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/crowd.h"

#include <string.h>

#include "base/random.h"

_Static_assert((CROWD_CELLS & (CROWD_CELLS - 1)) == 0, "a cell is some bits of a hash");

void crowd_init(struct crowd *crowd, uint64_t seed)
{
    memset(crowd, 0, sizeof(*crowd));
    crowd->seed = seed;
}

static uint32_t *cell(struct crowd *crowd, uint64_t hash, unsigned row)
{
    return &crowd->cells[row][(hash >> (row * 16)) & (CROWD_CELLS - 1)];
}

bool crowd_join(struct crowd *crowd, uint64_t key, uint32_t most)
{
    uint64_t hash = random_mix(key ^ crowd->seed);
    uint32_t least = UINT32_MAX;

    for (unsigned row = 0; row < CROWD_ROWS; row++) {
        uint32_t count = __atomic_add_fetch(cell(crowd, hash, row), 1, __ATOMIC_RELAXED);

        least = count < least ? count : least;
    }
    if (least <= most)
        return true;
    crowd_leave(crowd, key);
    return false;
}

void crowd_leave(struct crowd *crowd, uint64_t key)
{
    uint64_t hash = random_mix(key ^ crowd->seed);

    for (unsigned row = 0; row < CROWD_ROWS; row++)
        __atomic_fetch_sub(cell(crowd, hash, row), 1, __ATOMIC_RELAXED);
}
