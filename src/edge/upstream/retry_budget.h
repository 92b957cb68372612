/* SPDX-License-Identifier: Apache-2.0
 *
 * How often one worker may send requests of one service again: retries of the last ten seconds are
 * at most a share of the requests of the last ten seconds and a floor, so that they cannot multiply
 * an overload (the retry budget of Finagle and of Linkerd). Ten slots of a second. Pure: times are
 * microseconds of one monotonic clock, given by the caller. One thread.
 */
#ifndef EDGE_UPSTREAM_RETRY_BUDGET_H
#define EDGE_UPSTREAM_RETRY_BUDGET_H

#include "sluice/types.h"

enum { RETRY_BUDGET_SLOTS = 10, RETRY_BUDGET_SLOT_US = 1000000 };

/* All 0 is a budget without requests. */
struct retry_budget {
    uint64_t start_us; /* of the slot that is counted in */
    uint32_t slot;
    uint32_t requests[RETRY_BUDGET_SLOTS], retries[RETRY_BUDGET_SLOTS];
};

/* Moves on to the slot of `now_us`. Ten seconds or more without a call empty all, as does a jump
 * back by as much; a smaller one back counts in the slot that there is. */
void retry_budget_turn(struct retry_budget *budget, uint64_t now_us);

/* Counts a request, not a retry. */
static inline void retry_budget_request(struct retry_budget *budget, uint64_t now_us)
{
    if (__builtin_expect(now_us - budget->start_us >= RETRY_BUDGET_SLOT_US, 0))
        retry_budget_turn(budget, now_us);
    budget->requests[budget->slot]++;
}

/* Takes a retry if there is one: with it the retries of the window are at most share_ppm of its
 * requests, rounded down, and floor_per_10s. So in any run of T seconds there are never more than
 * the share of all its requests and floor_per_10s * ((T + 1) / 10 + 1). */
bool retry_budget_take(struct retry_budget *budget, uint32_t share_ppm, uint32_t floor_per_10s,
                       uint64_t now_us);

#endif
