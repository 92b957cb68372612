/* SPDX-License-Identifier: Apache-2.0
 *
 * Fast random numbers for choices that need no secrecy (balancing, jitter, sampling). The state is
 * one word of the caller's; any seed will do. Never for keys, tokens or ids. One thread a state.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* The next 64 bits (splitmix64); all 2^64 values come once a period. */
uint64_t random_next(uint64_t *state);
/* Evenly from 0 to bound - 1; bound is at least 1. The bias is below 2^-32. */
uint32_t random_below(uint64_t *state, uint32_t bound);
/* Spreads all bits of `x` over the result; a bijection, the same on every machine. */
uint64_t random_mix(uint64_t x);

#endif
