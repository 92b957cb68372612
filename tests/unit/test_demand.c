/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of demand.c and crowd.c: what is counted of a service and of those that wait for it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "edge/upstream/crowd.h"
#include "edge/upstream/demand.h"

enum { WORKERS = 4, ROUNDS = 20000, SEED = 7 };

static const struct demand_bounds wide = {.requests = 1000, .per_client = 1000};

static struct demand *make(void)
{
    struct demand *demand = demand_new(WORKERS);

    assert_non_null(demand);
    assert_true(demand_open(demand));
    return demand;
}

/* --- crowd */

static void each_key_has_its_own_count(void **state)
{
    struct crowd *crowd = malloc(sizeof(*crowd));

    (void)state;
    assert_non_null(crowd);
    crowd_init(crowd, SEED);
    for (uint64_t key = 1; key <= 100; key++)
        for (unsigned n = 0; n < 10; n++)
            assert_true(crowd_join(crowd, key, 10));
    for (uint64_t key = 1; key <= 100; key++)
        assert_false(crowd_join(crowd, key, 10));
    for (uint64_t key = 1; key <= 100; key++)
        for (unsigned n = 0; n < 10; n++)
            crowd_leave(crowd, key);
    for (unsigned row = 0; row < CROWD_ROWS; row++)
        for (unsigned i = 0; i < CROWD_CELLS; i++)
            assert_int_equal(crowd->cells[row][i], 0);
    free(crowd);
}

/* As many keys as a full queue has at most: hardly one of them shares all of its cells. */
static void few_are_counted_too_high(void **state)
{
    struct crowd *crowd = malloc(sizeof(*crowd));
    unsigned refused = 0;

    (void)state;
    assert_non_null(crowd);
    crowd_init(crowd, SEED);
    for (uint64_t key = 1; key <= 1000; key++)
        refused += !crowd_join(crowd, key, 1);
    assert_true(refused < 120); // (1000 / 2048)^3 of the last ones, fewer of those before
    free(crowd);
}

static void nobody_is_refused_none(void **state)
{
    struct crowd *crowd = malloc(sizeof(*crowd));

    (void)state;
    assert_non_null(crowd);
    crowd_init(crowd, SEED);
    assert_false(crowd_join(crowd, 5, 0));
    assert_true(crowd_join(crowd, 5, 1));
    assert_true(crowd_join(crowd, 5, UINT32_MAX));
    free(crowd);
}

/* --- those that wait */

static void the_first_one_calls(void **state)
{
    struct demand *demand = make();

    (void)state;
    assert_int_equal(demand_hold(demand, 1, &wide, 100), DEMAND_HELD_FIRST);
    assert_int_equal(demand->calls, 1);
    assert_int_equal(demand->asked_ms, 100);
    assert_int_equal(demand_hold(demand, 2, &wide, 200), DEMAND_HELD);
    assert_int_equal(demand->calls, 1);
    assert_int_equal(demand->held, 2);
    demand_release(demand, 1, 0);
    demand_release(demand, 2, 0);
    assert_int_equal(demand_hold(demand, 1, &wide, 300), DEMAND_HELD_FIRST);
    assert_int_equal(demand->calls, 2);
    assert_int_equal(demand->asked_ms, 100); // since it sleeps
    demand_release(demand, 1, 0);
    demand_free(&demand);
    assert_null(demand);
}

static void bounds_hold(void **state)
{
    const struct demand_bounds bounds = {.requests = 3, .per_client = 2};
    struct demand *demand = make();

    (void)state;
    assert_int_equal(demand_hold(demand, 1, &bounds, 1), DEMAND_HELD_FIRST);
    assert_int_equal(demand_hold(demand, 1, &bounds, 1), DEMAND_HELD);
    assert_int_equal(demand_hold(demand, 1, &bounds, 1), DEMAND_CLIENT_IS_FULL);
    assert_int_equal(demand_hold(demand, 2, &bounds, 1), DEMAND_HELD);
    assert_int_equal(demand_hold(demand, 3, &bounds, 1), DEMAND_IS_FULL);
    demand_release(demand, 1, 0);
    assert_int_equal(demand_hold(demand, 3, &bounds, 1), DEMAND_HELD);
    assert_int_equal(demand->held, 3);
    demand_release(demand, 1, 0);
    demand_release(demand, 2, 0);
    demand_release(demand, 3, 0);
    assert_int_equal(demand->held, 0);
    demand_free(&demand);
}

static void bytes_are_bounded(void **state)
{
    struct demand *demand = make();

    (void)state;
    assert_int_equal(demand_hold(demand, 1, &wide, 1), DEMAND_HELD_FIRST);
    assert_true(demand_hold_bytes(demand, 60, 100));
    assert_false(demand_hold_bytes(demand, 41, 100));
    assert_true(demand_hold_bytes(demand, 40, 100));
    assert_int_equal(demand->held_bytes, 100);
    demand_release(demand, 1, 100);
    assert_int_equal(demand->held_bytes, 0);
    demand_free(&demand);
}

static void a_page_asks_once(void **state)
{
    struct demand *demand = make();

    (void)state;
    assert_true(demand_ask(demand, 100));
    assert_false(demand_ask(demand, 200));
    assert_int_equal(demand->calls, 1);
    assert_int_equal(demand->asked_ms, 100);
    demand_forget(demand, 300);
    assert_int_equal(demand->asked_ms, 0);
    assert_int_equal(demand->calls, 1);
    assert_true(demand_ask(demand, 400));
    demand_free(&demand);
}

static void those_that_still_wait_ask_anew(void **state)
{
    struct demand *demand = make();

    (void)state;
    demand_hold(demand, 1, &wide, 100);
    demand_forget(demand, 300);
    assert_int_equal(demand->asked_ms, 300);
    assert_int_equal(demand->calls, 2);
    demand_release(demand, 1, 0);
    demand_free(&demand);
}

/* --- those that leave */

static unsigned leave(struct demand *demand, uint64_t now_us)
{
    unsigned count = 0;

    while (count < 10000 && demand_may_leave(demand, 0, now_us)) {
        demand_leave(demand, 0);
        count++;
    }
    return count;
}

static void few_leave_at_first(void **state)
{
    struct demand *demand = make();
    const uint64_t start = 100000000;

    (void)state;
    assert_int_equal(leave(demand, start), 16);
    assert_int_equal(leave(demand, start), 0);
    assert_true(demand_may_leave(demand, 1, start)); // each worker by itself
    demand_answered(demand, 0);
    assert_int_equal(leave(demand, start), 2);
    for (unsigned n = 0; n < 17; n++)
        demand_answered(demand, 0);
    assert_int_equal(leave(demand, start + 1000), 34);
    assert_int_equal(leave(demand, start + 1000000), 250); // also where nothing is answered
    assert_int_equal(leave(demand, start + 6000000), 16);  // another wake
    demand_free(&demand);
}

/* --- counts */

static void workers_are_summed(void **state)
{
    struct demand *demand = make();
    struct demand_local sum;

    (void)state;
    for (unsigned w = 0; w < WORKERS; w++) {
        demand_arrive(demand, w);
        demand_fly(demand, w, 1);
        demand_note(demand, w, DEMAND_FULL);
    }
    demand_fly(demand, 0, -1);
    demand_fly(demand, 0, -1); // it began on another worker's count
    sum = demand_sum(demand);
    assert_int_equal(sum.arrivals, WORKERS);
    assert_int_equal(sum.in_flight, WORKERS - 2);
    assert_int_equal(sum.results[DEMAND_FULL], WORKERS);
    assert_int_equal(sum.results[DEMAND_SERVED], 0);
    demand_free(&demand);
}

static void *come_and_go(void *argument)
{
    const struct demand_bounds bounds = {.requests = 3, .per_client = 2};
    struct demand *demand = argument;
    uint64_t random = (uintptr_t)&bounds;

    for (unsigned n = 0; n < ROUNDS; n++) {
        uint64_t client = random_below(&random, 3);
        enum demand_hold hold = demand_hold(demand, client, &bounds, 1);

        if (hold != DEMAND_HELD && hold != DEMAND_HELD_FIRST)
            continue;
        assert_true(__atomic_load_n(&demand->held, __ATOMIC_RELAXED) <= bounds.requests);
        demand_release(demand, client, demand_hold_bytes(demand, 5, 12) ? 5 : 0);
    }
    return NULL;
}

static void many_threads_leave_nothing_behind(void **state)
{
    struct demand *demand = make();
    pthread_t threads[WORKERS];

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, demand), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(demand->held, 0);
    assert_int_equal(demand->held_bytes, 0);
    for (uint64_t client = 0; client < 3; client++)
        for (unsigned n = 0; n < 2; n++)
            assert_true(crowd_join(demand->crowd, client, 2));
    demand_free(&demand);
}

/* --- when to ask again */

static void retry_is_honest(void **state)
{
    static const struct {
        uint64_t eta_ms, passed_ms;
        uint32_t seconds;
    } cases[] = {
        {0, 0, 5},       {0, 100000, 5},       {1, 0, 1},
        {1000, 0, 1},    {1001, 0, 2},         {9000, 500, 9},
        {9000, 8999, 1}, {9000, 9000, 5},      {9000, 60000, 5},
        {500, 500, 1},   {300000, 400000, 30}, {300000, 0, 300},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(demand_retry_s(cases[i].eta_ms, cases[i].passed_ms), cases[i].seconds);
    assert_int_equal(demand_retry_s(UINT64_MAX, 0), 24 * 3600);
    assert_int_equal(demand_retry_s(UINT64_MAX, UINT64_MAX), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_own_count),
        cmocka_unit_test(few_are_counted_too_high),
        cmocka_unit_test(nobody_is_refused_none),
        cmocka_unit_test(the_first_one_calls),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(a_page_asks_once),
        cmocka_unit_test(those_that_still_wait_ask_anew),
        cmocka_unit_test(few_leave_at_first),
        cmocka_unit_test(workers_are_summed),
        cmocka_unit_test(many_threads_leave_nothing_behind),
        cmocka_unit_test(retry_is_honest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
