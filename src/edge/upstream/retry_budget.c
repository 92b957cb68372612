/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/retry_budget.h"

static const uint64_t window_us = (uint64_t)RETRY_BUDGET_SLOTS * RETRY_BUDGET_SLOT_US;

void retry_budget_turn(struct retry_budget *budget, uint64_t now_us)
{
    if (now_us < budget->start_us && budget->start_us - now_us < window_us)
        return;
    if (now_us - budget->start_us >= window_us) { // also back, by wrapping
        *budget = (struct retry_budget){.start_us = now_us};
        return;
    }
    while (now_us - budget->start_us >= RETRY_BUDGET_SLOT_US) {
        budget->start_us += RETRY_BUDGET_SLOT_US;
        budget->slot = (budget->slot + 1) % RETRY_BUDGET_SLOTS;
        budget->requests[budget->slot] = budget->retries[budget->slot] = 0;
    }
}

bool retry_budget_take(struct retry_budget *budget, uint32_t share_ppm, uint32_t floor_per_10s,
                       uint64_t now_us)
{
    uint64_t requests = 0, retries = 0;

    retry_budget_turn(budget, now_us);
    for (unsigned i = 0; i < RETRY_BUDGET_SLOTS; i++) {
        requests += budget->requests[i];
        retries += budget->retries[i];
    }
    // Ten numbers of 32 bits times one of 32 bits: more than 64.
    if (retries >= (uint64_t)((unsigned __int128)requests * share_ppm / 1000000) + floor_per_10s)
        return false;
    budget->retries[budget->slot]++;
    return true;
}
