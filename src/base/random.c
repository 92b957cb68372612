/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

uint64_t random_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t random_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return random_mix(*state);
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
    // A multiplication in place of a division: the high 32 bits of a fraction times the bound.
    return (uint32_t)(((random_next(state) >> 32) * bound) >> 32);
}
