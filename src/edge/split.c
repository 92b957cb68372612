/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/split.h"

#include <assert.h>
#include <math.h>

#include "base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

void split_add(struct split *split, struct str service, struct str release, uint32_t share)
{
    uint64_t seed = XXH3_64bits(service.p, service.len);

    assert(split->count < SPLIT_MAX);
    split->parts[split->count].seed = XXH3_64bits_withSeed(release.p, release.len, seed);
    split->parts[split->count].weight = share;
    split->count++;
}

/* Between 0 and 1, neither of them. */
static double uniform(uint64_t bits)
{
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

unsigned split_pick(const struct split *split, uint64_t key)
{
    double least = HUGE_VAL;
    unsigned best = 0;

    for (unsigned i = 0; i < split->count; i++) {
        double score;

        if (split->parts[i].weight <= 0)
            continue;
        score = -log(uniform(random_mix(key ^ split->parts[i].seed))) / split->parts[i].weight;
        if (score < least) {
            least = score;
            best = i;
        }
    }
    return best;
}
