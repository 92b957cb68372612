/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples over long times: nothing that matters to a decision is lost with the room they take.
 */
#include "control/scale/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { DAY_S = 24 * 3600 };

static struct scale_ring ring;

static void add(double at_s, double in_flight, double arrivals, bool is_partial)
{
    scale_ring_add(&ring, &(struct scale_sample){.at_s = at_s,
                                                 .span_s = 1,
                                                 .in_flight = in_flight,
                                                 .arrivals = arrivals,
                                                 .is_partial = is_partial});
}

static struct scale_load load(double now_s, double window_s)
{
    struct scale_samples samples = scale_ring_view(&ring);

    return scale_load_over(&samples, now_s, window_s);
}

static bool is_idle(double now_s, double idle_s)
{
    struct scale_samples samples = scale_ring_view(&ring);

    return scale_load_is_idle(&samples, now_s, idle_s);
}

static void test_a_quiet_week_is_one_sample(void **state)
{
    (void)state;
    ring.count = 0;
    add(1, 1, 5, false);
    for (int i = 2; i <= 7 * DAY_S; i++)
        add(i, 0, 0, false);
    assert_int_equal(ring.count, 2);
    assert_true(is_idle(7 * DAY_S, 7 * DAY_S - 1));
    assert_false(is_idle(7 * DAY_S, 7 * DAY_S));
    // A second that nobody knows ends it.
    add(7 * DAY_S + 1, 0, 0, true);
    add(7 * DAY_S + 2, 0, 0, false);
    for (int i = 3; i < 10; i++)
        add(7 * DAY_S + i, 0, 0, false);
    assert_float_equal(load(7 * DAY_S + 9, 9).known_s, 8, 1e-9);
    assert_float_equal(load(7 * DAY_S + 9, 8).known_s, 8, 1e-9);
}

static void test_a_busy_day(void **state)
{
    struct scale_load over;

    (void)state;
    ring.count = 0;
    for (int i = 1; i <= DAY_S; i++)
        add(i, i > DAY_S / 2 ? 4 : 2, 10, false);
    assert_true(ring.count <= SCALE_RING_MAX);
    over = load(DAY_S, 60);
    assert_float_equal(over.in_flight, 4, 1e-9);
    assert_float_equal(over.rate, 10, 1e-9);
    assert_float_equal(over.known_s, 60, 1e-9);
    over = load(DAY_S, DAY_S);
    assert_float_equal(over.in_flight, 3, 0.2);
    assert_float_equal(over.rate, 10, 1e-6);
    assert_float_equal(over.known_s, DAY_S, 1e-3);
    assert_false(is_idle(DAY_S, 3600));
}

static void test_gaps_and_unknown_stay_so(void **state)
{
    (void)state;
    ring.count = 0;
    for (int i = 1; i <= 3 * SCALE_RING_MAX; i++)
        add(i * 2, 1, 1, i % 7 == 0); // a second in two is missing
    assert_true(ring.count <= SCALE_RING_MAX);
    assert_true(load(6 * SCALE_RING_MAX, 6 * SCALE_RING_MAX).known_s <= 3 * SCALE_RING_MAX);
}

static void test_a_clock_that_is_set(void **state)
{
    (void)state;
    ring.count = 0;
    for (int i = 100; i < 200; i++)
        add(i, 1, 1, false);
    add(50, 0, 0, false);
    assert_int_equal(ring.count, 1);
    add(50, 0, 0, false);
    assert_int_equal(ring.count, 1);
    scale_ring_add(&ring, &(struct scale_sample){.at_s = 60});
    assert_int_equal(ring.count, 1); // of no time
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quiet_week_is_one_sample),
        cmocka_unit_test(test_a_busy_day),
        cmocka_unit_test(test_gaps_and_unknown_stay_so),
        cmocka_unit_test(test_a_clock_that_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
