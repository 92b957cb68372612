/* SPDX-License-Identifier: Apache-2.0
 *
 * Between which numbers of replicas a service stays: by the hour of the week, and by what it costs.
 */
#include "control/scale/bounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MONDAY_NOON_S (1704110400.0) /* 2024-01-01 12:00 UTC */

static void test_windows(void **state)
{
    /* Weekdays from 8 to 18 and Friday nights, by a clock that is an hour ahead of UTC. */
    static const struct scale_window windows[] = {{0x1f, 480, 1080, 60, 4, 8},
                                                  {0x10, 1320, 120, 60, 6, 9}};
    static const struct {
        double hours; /* after Monday 00:00 UTC */
        uint32_t min, max;
    } times[] = {{6.99, 0, 5},        {7, 4, 8},
                 {16.99, 4, 8},       {17, 0, 5},
                 {4 * 24 + 7, 4, 8},  {5 * 24 + 7, 0, 5},
                 {6 * 24 + 12, 0, 5}, {4 * 24 + 20.99, 0, 5},
                 {4 * 24 + 21, 6, 9}, {5 * 24 + 0.99, 6, 9},
                 {5 * 24 + 1, 0, 5},  {3 * 24 + 22, 0, 5}};
    const struct scale_limits limits = {.min = 0, .max = 5, .windows = windows, .window_count = 2};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        double now_s = MONDAY_NOON_S - 12 * 3600 + times[i].hours * 3600;
        struct scale_bounds bounds = scale_bounds_at(&limits, now_s, 0);

        assert_int_equal(bounds.min, times[i].min);
        assert_int_equal(bounds.grow, times[i].max);
        assert_int_equal(bounds.is_window, times[i].max != 5);
    }
}

static void test_budgets(void **state)
{
    struct scale_limits limits = {.min = 1, .max = 50, .price_hour = 0.05, .budget_hour = 1};
    struct scale_bounds bounds = scale_bounds_at(&limits, MONDAY_NOON_S, 0);

    (void)state;
    assert_int_equal(bounds.grow, 20);
    assert_int_equal(bounds.by, SCALE_BY_HOUR);
    limits.budget_day = 7; // 4 were spent: 3 are left for 12 hours
    bounds = scale_bounds_at(&limits, MONDAY_NOON_S, 4);
    assert_int_equal(bounds.grow, 5);
    assert_int_equal(bounds.by, SCALE_BY_DAY);
    bounds = scale_bounds_at(&limits, MONDAY_NOON_S, 3.9);
    assert_int_equal(bounds.grow, 5);
    assert_int_equal(bounds.hold, 6);
    bounds = scale_bounds_at(&limits, MONDAY_NOON_S, 99);
    assert_int_equal(bounds.grow, 1);
    assert_int_equal(bounds.hold, 1);
    limits.min = 3;
    assert_int_equal(scale_bounds_at(&limits, MONDAY_NOON_S, 99).grow, 3);
    limits.ceiling = 2;
    bounds = scale_bounds_at(&limits, MONDAY_NOON_S, 0);
    assert_int_equal(bounds.min, 2);
    assert_int_equal(bounds.grow, 2);
    assert_int_equal(bounds.by, SCALE_BY_CEILING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_budgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
