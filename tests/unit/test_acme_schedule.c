/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of acme_schedule.c: when to renew, when to try again.
 */
#include "control/acme_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S INT64_C(1000)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void renewal_is_where_a_part_of_life_is_left(void **state)
{
    static const struct {
        int64_t life, left; /* at the latest */
    } cases[] = {{90 * DAY, 30 * DAY},
                 {45 * DAY, 15 * DAY},
                 {10 * DAY, 10 * DAY / 3},
                 {160 * HOUR, 80 * HOUR},
                 {6 * DAY, 3 * DAY},
                 {2 * HOUR, HOUR},
                 {S, S / 2}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_spread = false;
        int64_t first = 0;

        for (uint64_t seed = 0; seed < 200; seed++) {
            struct acme_life life = {5 * DAY, 5 * DAY + cases[i].life, {0, 0}, seed};
            int64_t at = acme_schedule_renewal(&life), left = life.not_after_ms - at;

            assert_in_range(left, cases[i].left, cases[i].left + cases[i].left / 10);
            assert_int_equal(at, acme_schedule_renewal(&life)); // the same when asked again
            first = seed ? first : at;
            is_spread = is_spread || at != first;
        }
        assert_true(is_spread || cases[i].left < 20);
    }
}

static void renewal_lies_in_the_window(void **state)
{
    int64_t least = INT64_MAX, most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct acme_life life = {0, 90 * DAY, {1000 * S, 2000 * S}, seed};
        int64_t at = acme_schedule_renewal(&life);

        assert_in_range(at, 1000 * S, 2000 * S);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    assert_true(least < 1050 * S && most > 1950 * S);
}

static void failures_wait_longer_and_longer(void **state)
{
    static const int64_t refused[] = {1, 10, 100, 1440, 1440};
    static const int64_t away_s[] = {5, 30, 60, 300, 1800, 3600, 3600};

    (void)state;
    for (uint32_t n = 0; n < ARRAY_LEN(refused); n++) {
        int64_t wait = acme_schedule_retry_ms(ACME_FAILURE_REFUSED, n + 1, 0, n * 77);

        assert_in_range(wait, refused[n] * MINUTE, refused[n] * MINUTE * 11 / 10);
    }
    for (uint32_t n = 0; n < ARRAY_LEN(away_s); n++) {
        int64_t wait = acme_schedule_retry_ms(ACME_FAILURE_UNREACHABLE, n + 1, 0, n);

        assert_in_range(wait, away_s[n] * S, away_s[n] * S * 11 / 10);
    }
    assert_true(acme_schedule_retry_ms(ACME_FAILURE_REFUSED, UINT32_MAX, 0, 1) >= DAY);
}

static void the_ca_may_ask_for_more_patience_within_reason(void **state)
{
    int64_t wait = acme_schedule_retry_ms(ACME_FAILURE_REFUSED, 1, 3 * HOUR, 5);

    (void)state;
    assert_in_range(wait, 3 * HOUR, 3 * HOUR + 18 * MINUTE);
    wait = acme_schedule_retry_ms(ACME_FAILURE_REFUSED, 1, 1000 * DAY, 5);
    assert_in_range(wait, 2 * DAY, 2 * DAY + 5 * HOUR);
    wait = acme_schedule_retry_ms(ACME_FAILURE_REFUSED, 1, -5, 5);
    assert_in_range(wait, MINUTE, MINUTE + 6 * S);
}

static void windows_are_asked_for_from_a_minute_to_a_day(void **state)
{
    (void)state;
    assert_int_equal(acme_schedule_window_ms(0), 6 * HOUR);
    assert_int_equal(acme_schedule_window_ms(1), MINUTE);
    assert_int_equal(acme_schedule_window_ms(2 * HOUR), 2 * HOUR);
    assert_int_equal(acme_schedule_window_ms(9 * DAY), DAY);
}

static void orders_that_follow_too_soon_are_held_back(void **state)
{
    (void)state;
    assert_int_equal(acme_schedule_hold_ms(0), 0);
    for (uint32_t n = 1; n < 5; n++)
        assert_true(acme_schedule_hold_ms(n) >= acme_schedule_hold_ms(n - 1));
    assert_int_equal(acme_schedule_hold_ms(1), 10 * MINUTE);
    assert_int_equal(acme_schedule_hold_ms(UINT32_MAX), DAY);
}

static void clocks_may_differ_by_an_hour(void **state)
{
    (void)state;
    assert_false(acme_schedule_is_skewed(HOUR));
    assert_false(acme_schedule_is_skewed(-HOUR));
    assert_true(acme_schedule_is_skewed(HOUR + 1));
    assert_true(acme_schedule_is_skewed(-HOUR - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renewal_is_where_a_part_of_life_is_left),
        cmocka_unit_test(renewal_lies_in_the_window),
        cmocka_unit_test(failures_wait_longer_and_longer),
        cmocka_unit_test(the_ca_may_ask_for_more_patience_within_reason),
        cmocka_unit_test(windows_are_asked_for_from_a_minute_to_a_day),
        cmocka_unit_test(orders_that_follow_too_soon_are_held_back),
        cmocka_unit_test(clocks_may_differ_by_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
