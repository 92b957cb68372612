/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of backoff.c: how long a crashed edge waits, and when crashes are a loop.
 */
#include "process/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_delays_double_to_five_seconds(void **state)
{
    (void)state;
    static const uint32_t wanted[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
    struct backoff backoff = {0};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_int_equal(backoff_crash(&backoff, 1000 + (int64_t)i, 0), wanted[i]);
}

static void test_long_streak_stays_at_the_longest(void **state)
{
    (void)state;
    struct backoff backoff = {.streak = UINT32_MAX};
    assert_int_equal(backoff_crash(&backoff, 1, 0), 5000);
    assert_int_equal(backoff_crash(&backoff, 2, 0), 5000);
}

static void test_a_minute_of_health_starts_anew(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    for (int64_t now = 1; now <= 4; now++)
        backoff_crash(&backoff, now, 0);
    assert_int_equal(backoff_crash(&backoff, 59000, 59999), 800);
    assert_int_equal(backoff_crash(&backoff, 130000, 60000), 0);
    assert_false(backoff_is_looping(&backoff, 130000));
}

static void test_three_crashes_in_a_minute_are_a_loop(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    backoff_crash(&backoff, 1000, 0);
    backoff_crash(&backoff, 2000, 0);
    assert_false(backoff_is_looping(&backoff, 2000));
    backoff_crash(&backoff, 3000, 0);
    assert_true(backoff_is_looping(&backoff, 3000));
    assert_true(backoff_is_looping(&backoff, 61000));
    assert_false(backoff_is_looping(&backoff, 61001));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_double_to_five_seconds),
        cmocka_unit_test(test_long_streak_stays_at_the_longest),
        cmocka_unit_test(test_a_minute_of_health_starts_anew),
        cmocka_unit_test(test_three_crashes_in_a_minute_are_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
