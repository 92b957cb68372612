/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/demand.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "edge/upstream/crowd.h"

enum { WAVE_FIRST = 16, WAVE_US_EACH = 4000, WAVE_LASTS_US = 5000000 };
enum { UNKNOWN_S = 5, LATE_MAX_S = 30, ETA_MAX_MS = 24 * 3600 * 1000 };

struct demand *demand_new(unsigned workers)
{
    size_t size = sizeof(struct demand) + workers * sizeof(struct demand_local);
    struct demand *demand = aligned_alloc(64, (size + 63) / 64 * 64);

    if (!demand)
        return NULL;
    memset(demand, 0, size);
    demand->workers = workers;
    return demand;
}

void demand_free(struct demand **demand)
{
    struct demand *gone = *demand;

    *demand = NULL;
    if (!gone)
        return;
    assert(!gone->held);
    free(gone->crowd);
    free(gone);
}

bool demand_open(struct demand *demand)
{
    uint64_t seed = clock_us();

    if (demand->crowd)
        return true;
    demand->crowd = malloc(sizeof(*demand->crowd));
    if (getrandom(&seed, sizeof(seed), 0) < 0)
        seed ^= (uintptr_t)demand;
    if (demand->crowd)
        crowd_init(demand->crowd, seed);
    return demand->crowd != NULL;
}

/* --- worker */

void demand_note(struct demand *demand, unsigned worker, enum demand_result result)
{
    uint64_t *cell = &demand->locals[worker].results[result];

    __atomic_store_n(cell, *cell + 1, __ATOMIC_RELAXED);
}

static void call(struct demand *demand, uint64_t now_ms)
{
    uint64_t nobody = 0;

    __atomic_compare_exchange_n(&demand->asked_ms, &nobody, now_ms, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
    __atomic_fetch_add(&demand->calls, 1, __ATOMIC_RELEASE);
}

enum demand_hold demand_hold(struct demand *demand, uint64_t client,
                             const struct demand_bounds *bounds, uint64_t now_ms)
{
    uint32_t held = __atomic_load_n(&demand->held, __ATOMIC_RELAXED);

    if (!crowd_join(demand->crowd, client, bounds->per_client))
        return DEMAND_CLIENT_IS_FULL;
    do {
        if (held >= bounds->requests) {
            crowd_leave(demand->crowd, client);
            return DEMAND_IS_FULL;
        }
    } while (!__atomic_compare_exchange_n(&demand->held, &held, held + 1, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    if (held)
        return DEMAND_HELD;
    call(demand, now_ms);
    return DEMAND_HELD_FIRST;
}

void demand_release(struct demand *demand, uint64_t client, uint64_t bytes)
{
    crowd_leave(demand->crowd, client);
    __atomic_fetch_sub(&demand->held_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&demand->held, 1, __ATOMIC_ACQ_REL);
}

bool demand_hold_bytes(struct demand *demand, uint64_t bytes, uint64_t most)
{
    if (__atomic_add_fetch(&demand->held_bytes, bytes, __ATOMIC_RELAXED) <= most)
        return true;
    __atomic_fetch_sub(&demand->held_bytes, bytes, __ATOMIC_RELAXED);
    return false;
}

bool demand_may_leave(struct demand *demand, unsigned worker, uint64_t now_us)
{
    struct demand_local *local = &demand->locals[worker];
    uint64_t allowed;

    if (now_us - local->wave_us > WAVE_LASTS_US) {
        local->wave_us = now_us;
        local->left = local->answered = 0;
    }
    allowed = WAVE_FIRST + UINT64_C(2) * local->answered + (now_us - local->wave_us) / WAVE_US_EACH;
    return local->left < allowed;
}

void demand_leave(struct demand *demand, unsigned worker)
{
    demand->locals[worker].left++;
}

void demand_answered(struct demand *demand, unsigned worker)
{
    demand->locals[worker].answered++;
}

bool demand_ask(struct demand *demand, uint64_t now_ms)
{
    if (__atomic_load_n(&demand->asked_ms, __ATOMIC_RELAXED))
        return false;
    call(demand, now_ms);
    return true;
}

/* --- manager */

void demand_forget(struct demand *demand, uint64_t now_ms)
{
    bool is_asked = __atomic_load_n(&demand->held, __ATOMIC_ACQUIRE) > 0;

    __atomic_store_n(&demand->asked_ms, is_asked ? now_ms : 0, __ATOMIC_RELAXED);
    if (is_asked)
        __atomic_fetch_add(&demand->calls, 1, __ATOMIC_RELEASE);
}

struct demand_local demand_sum(const struct demand *demand)
{
    struct demand_local sum = {0};

    for (unsigned w = 0; w < demand->workers; w++) {
        const struct demand_local *local = &demand->locals[w];

        sum.arrivals += __atomic_load_n(&local->arrivals, __ATOMIC_RELAXED);
        sum.in_flight += __atomic_load_n(&local->in_flight, __ATOMIC_RELAXED);
        sum.errors += __atomic_load_n(&local->errors, __ATOMIC_RELAXED);
        sum.late += __atomic_load_n(&local->late, __ATOMIC_RELAXED);
        sum.answers += __atomic_load_n(&local->answers, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < DEMAND_RESULTS; i++)
            sum.results[i] += __atomic_load_n(&local->results[i], __ATOMIC_RELAXED);
    }
    return sum;
}

/* --- pure */

uint32_t demand_retry_s(uint64_t eta_ms, uint64_t passed_ms)
{
    uint64_t left_s;

    if (!eta_ms)
        return UNKNOWN_S;
    if (eta_ms > ETA_MAX_MS)
        eta_ms = ETA_MAX_MS;
    if (passed_ms < eta_ms)
        return (uint32_t)((eta_ms - passed_ms + 999) / 1000);
    left_s = (eta_ms / 2 + 999) / 1000; // it is late: how late it will be nobody knows
    return left_s < LATE_MAX_S ? (uint32_t)left_s : LATE_MAX_S;
}
