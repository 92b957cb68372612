/* SPDX-License-Identifier: Apache-2.0
 *
 * What the algorithms of this folder share: the choice of a target that may be had, weighted
 * sampling in constant time, and turns by weight. Private to this folder; pure.
 */
#ifndef EDGE_BALANCE_BALANCE_H
#define EDGE_BALANCE_BALANCE_H

#include "sluice/balancer.h"

extern const struct balancer balancer_least_request, balancer_round_robin, balancer_hash,
    balancer_random;

/* Whether target `i` may be chosen. */
static inline bool balancer_can_take(const struct balancer_target *targets, uint32_t i,
                                     uint64_t tried)
{
    return !targets[i].is_out && (i >= 64 || !(tried >> i & 1));
}

/* An alias table (Walker, Vose): a column is itself with a chance of threshold / 2^32, else its
 * alias. */
struct balancer_column {
    uint32_t threshold, alias;
};

struct balancer_sampler {
    uint64_t random;
    struct balancer_column columns[]; /* n, then n words of work space for init */
};

size_t balancer_sampler_size(uint32_t n);
void balancer_sampler_init(struct balancer_sampler *sampler, const struct balancer_target *targets,
                           uint32_t n, uint64_t seed);
/* A target by weight among those that may be had and are not `but`; BALANCER_NONE when there is
 * none. O(1) unless most of the weight is out. */
int balancer_sampler_pick(struct balancer_sampler *sampler, const struct balancer_target *targets,
                          uint32_t n, uint64_t tried, int but);

/* The same from one number of 64 random bits, by counting weights: O(n), the way when most targets
 * are out. */
int balancer_scan(const struct balancer_target *targets, uint32_t n, uint64_t tried, int but,
                  uint64_t number);

/* Turns by weight, earliest deadline first: each target has `weight` turns a cycle, evenly spaced.
 * A binary heap with the next turn at 0; of equal deadlines the lower target is first. Deadlines
 * may wrap: they are compared by difference, so all must lie within 2^63 of each other. */
#define BALANCER_CYCLE ((uint64_t)1 << 40)

struct balancer_turn {
    uint64_t deadline;
    uint32_t target;
};

bool balancer_turns_before(const struct balancer_turn *a, const struct balancer_turn *b);
/* Makes a heap of turns in any order. */
void balancer_turns_sort(struct balancer_turn *heap, uint32_t n);
/* Restores the heap after the deadline at `i` went up. */
void balancer_turns_sink(struct balancer_turn *heap, uint32_t n, uint32_t i);

#endif
