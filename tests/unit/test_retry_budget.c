/* SPDX-License-Identifier: Apache-2.0
 *
 * The retry budget: what it grants in a window, over long runs of all kinds, and when time jumps.
 */
#include "edge/upstream/retry_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

enum { SECOND = 1000000 };

_Static_assert(sizeof(struct retry_budget) <= 128, "one for each worker and service");

static void request(struct retry_budget *budget, unsigned count, uint64_t now_us)
{
    for (unsigned i = 0; i < count; i++)
        retry_budget_request(budget, now_us);
}

/* Takes all there is. */
static unsigned drain(struct retry_budget *budget, uint32_t share_ppm, uint32_t floor,
                      uint64_t now_us)
{
    unsigned count = 0;

    while (retry_budget_take(budget, share_ppm, floor, now_us))
        count++;
    return count;
}

static void share_and_floor(void **state)
{
    (void)state;
    for (uint32_t share = 0; share <= 1000000; share += 50000) {
        for (unsigned requests = 0; requests < 50; requests++) {
            struct retry_budget budget = {0};

            request(&budget, requests, 5 * SECOND);
            assert_int_equal(drain(&budget, share, requests % 4, 5 * SECOND),
                             (uint64_t)requests * share / 1000000 + requests % 4);
            assert_int_equal(drain(&budget, share, requests % 4, 5 * SECOND), 0);
        }
    }
}

static void requests_leave_the_window(void **state)
{
    (void)state;
    for (uint64_t start = 0; start < 30; start++) {
        for (uint64_t later = 0; later < 12 * SECOND; later += SECOND / 4) {
            struct retry_budget budget = {0};

            retry_budget_turn(&budget, start * 777777);
            request(&budget, 100, budget.start_us + 3);
            assert_int_equal(drain(&budget, 100000, 0, budget.start_us + later),
                             later < 10 * SECOND ? 10 : 0);
        }
    }
}

static void retries_leave_the_window(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    for (uint64_t second = 0; second < 10; second++)
        assert_int_equal(drain(&budget, 0, 5, second * SECOND), second ? 0 : 5);
    assert_int_equal(drain(&budget, 0, 5, 10 * SECOND - 1), 0);
    assert_int_equal(drain(&budget, 0, 5, 10 * SECOND), 5);
}

/* Slots begin on a raster of seconds from the first on, whenever calls come. */
static void slots_do_not_drift(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    for (uint64_t now = 0; now < 100 * SECOND; now += 333333) {
        retry_budget_request(&budget, now);
        assert_int_equal(budget.start_us, now / SECOND * SECOND);
        assert_int_equal(budget.slot, now / SECOND % 10);
    }
}

static void jumps(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    request(&budget, 100, 50 * SECOND);
    assert_int_equal(drain(&budget, 1000000, 0, 59 * SECOND), 100);
    request(&budget, 100, 59 * SECOND + 1);
    assert_int_equal(drain(&budget, 1000000, 0, 69 * SECOND + 2), 0); // ten seconds on
    request(&budget, 100, 69 * SECOND);                               // a little back: as now
    assert_int_equal(drain(&budget, 100000, 0, 60 * SECOND), 10);
    assert_int_equal(drain(&budget, 200000, 0, 69 * SECOND + 3), 10);
    assert_int_equal(budget.start_us, 69 * SECOND + 2);
    assert_int_equal(drain(&budget, 1000000, 0, 59 * SECOND + 2), 0); // ten seconds back
    request(&budget, 10, 0);
    assert_int_equal(drain(&budget, 1000000, 0, 0), 10);
    request(&budget, 10, UINT64_MAX);
    assert_int_equal(drain(&budget, 1000000, 0, UINT64_MAX), 10);
}

static void full_counts(void **state)
{
    struct retry_budget budget = {0};

    (void)state;
    for (unsigned i = 0; i < RETRY_BUDGET_SLOTS; i++) {
        budget.requests[i] = UINT32_MAX;
        budget.retries[i] = i ? UINT32_MAX : 0;
    }
    assert_true(retry_budget_take(&budget, 1000000, 0, 0));
    assert_false(retry_budget_take(&budget, 800000, 0, 0));
    assert_true(retry_budget_take(&budget, UINT32_MAX, UINT32_MAX, 0));
}

/* A run of bursts and pauses, where all that is granted is taken at once or now and then; the bound
 * holds at every moment. */
static void check_run(uint64_t seed, uint32_t share_ppm, uint32_t floor)
{
    struct retry_budget budget = {0};
    uint64_t now_us = random_below(&seed, SECOND), begin_us = now_us;
    uint64_t requests = 0, retries = 0;

    for (unsigned i = 0; i < 3000; i++) {
        unsigned burst = random_below(&seed, 4) ? random_below(&seed, 8) : random_below(&seed, 200);

        now_us += random_below(&seed, random_below(&seed, 50) ? SECOND / 2 : 15 * SECOND);
        request(&budget, burst, now_us);
        requests += burst;
        if (random_below(&seed, 3) == 0)
            retries += drain(&budget, share_ppm, floor, now_us);
        assert_true(retries <= requests * share_ppm / 1000000 +
                                   floor * ((now_us - begin_us + SECOND) / (10 * SECOND) + 1));
    }
    // And it is not stingy: every window's share can be had.
    assert_true(retries >= requests * share_ppm / 1000000 / 2);
}

static void long_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++)
        check_run(seed, (uint32_t)(seed % 5) * 100000, (uint32_t)(seed % 7) * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(share_and_floor),
        cmocka_unit_test(requests_leave_the_window),
        cmocka_unit_test(retries_leave_the_window),
        cmocka_unit_test(slots_do_not_drift),
        cmocka_unit_test(jumps),
        cmocka_unit_test(full_counts),
        cmocka_unit_test(long_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
