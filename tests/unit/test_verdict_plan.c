/* SPDX-License-Identifier: Apache-2.0
 *
 * What a canary can show, told before it begins. Whether that comes true is counted by the
 * simulation in bench/verdict.c.
 */
#include "control/verdict_plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct verdict_rule rule = {.error_ratio = 2,
                                         .error_margin = 0.005,
                                         .latency_ratio = 1.5,
                                         .latency_margin = 0.005,
                                         .minimum = 50};

static void test_more_requests_show_more(void **state)
{
    double last = HUGE_VAL;

    (void)state;
    for (double n = 4; n < 1e7; n *= 1.7) {
        double now = verdict_detectable(0.01, 19 * n, n);

        assert_true(now > 1 && (now <= last || isinf(last)));
        last = now;
    }
    assert_true(last < 1.05);
    assert_true(isinf(verdict_detectable(0.01, 19, 1)));
    assert_true(isinf(verdict_detectable(0.01, 0, 1000)));
    assert_true(isinf(verdict_detectable(0.01, 1000, 0)));
    assert_true(isinf(verdict_detectable(1, 19000, 1000)));
    assert_true(verdict_detectable(0, 19000, 1000) > 1000);
}

/* However rare failures are, three of them must be seen. */
static void test_rare_failures(void **state)
{
    (void)state;
    for (double base = 1e-6; base < 0.001; base *= 3)
        assert_true(verdict_detectable(base, 1e9, 1000) * base * 1000 > 5.3);
}

static void test_a_minimum(void **state)
{
    struct verdict_traffic traffic = {100, 0.001, 0.05, 1800};
    struct verdict_rule ours = rule;

    (void)state;
    ours.minimum = 9001;
    assert_int_equal(verdict_foresee(&traffic, &ours).advice, VERDICT_BLUEGREEN);
    ours.minimum = 8999;
    assert_int_equal(verdict_foresee(&traffic, &ours).advice, VERDICT_CANARY);
}

/* What is promised of it: twice 1 % within some 4,000, 5 % within some 450. */
static void test_sizes_that_are_known(void **state)
{
    (void)state;
    assert_in_range((uintmax_t)(100 * verdict_detectable(0.01, 19 * 3500, 3500)), 180, 215);
    assert_in_range((uintmax_t)(100 * verdict_detectable(0.01, 19 * 350, 350)), 400, 600);
}

static void test_enough_traffic(void **state)
{
    struct verdict_traffic traffic = {100, 0.001, 0.05, 1800};
    struct verdict_sight sight = verdict_foresee(&traffic, &rule);
    char text[VERDICT_ADVICE_LEN];

    (void)state;
    assert_float_equal(sight.requests, 9000, 0.001);
    assert_float_equal(sight.limit, 6, 0.001);
    assert_true(sight.detectable > 1.5 && sight.detectable < 6);
    assert_true(sight.enough_s > 300 && sight.enough_s < 1200);
    assert_int_equal(sight.advice, VERDICT_CANARY);
    verdict_advise(&traffic, &rule, text);
    assert_string_equal(
        text,
        "100 requests a second, 0.1 % of them failing: in 30 minutes a canary of 5 % has 9000 "
        "requests, which show 0.35 % failures or more, 3.5 times as many; to tell a healthy "
        "one from one with the 0.6 % that are not tolerated takes 11 minutes: a canary is "
        "proposed");
}

static void test_too_little_traffic(void **state)
{
    struct verdict_traffic traffic = {1.0 / 60, 0.001, 0.05, 1800};
    struct verdict_sight sight = verdict_foresee(&traffic, &rule);
    char text[VERDICT_ADVICE_LEN];

    (void)state;
    assert_true(isinf(sight.detectable));
    assert_true(sight.enough_s > 86400);
    assert_int_equal(sight.advice, VERDICT_BLUEGREEN);
    verdict_advise(&traffic, &rule, text);
    assert_string_equal(
        text,
        "0.0167 requests a second, 0.1 % of them failing: in 30 minutes a canary of 5 % has 1 "
        "request, too few to show even one that always fails; to tell a healthy one from one "
        "with the 0.6 % that are not tolerated takes 43 days: blue-green with a watchdog is "
        "proposed");
}

/* Something would be seen, but not what is not tolerated. */
static void test_traffic_that_shows_the_worst_only(void **state)
{
    struct verdict_traffic traffic = {2, 0.01, 0.05, 1800};
    struct verdict_sight sight = verdict_foresee(&traffic, &rule);
    char text[VERDICT_ADVICE_LEN];

    (void)state;
    assert_true(sight.detectable > 2 && sight.detectable < 20);
    assert_int_equal(sight.advice, VERDICT_BLUEGREEN);
    verdict_advise(&traffic, &rule, text);
    assert_string_equal(
        text, "2 requests a second, 1 % of them failing: in 30 minutes a canary of 5 % has 180 "
              "requests, which show 8.1 % failures or more, 8.1 times as many; to tell a healthy "
              "one from one with the 2 % that are not tolerated takes 12 hours: blue-green with a "
              "watchdog is proposed");
}

/* No traffic, no share, failures only: never a number that is none. */
static void test_what_can_never_be(void **state)
{
    static const struct verdict_traffic traffic[] = {{0, 0.01, 0.05, 1800}, {10, 0.01, 0, 1800},
                                                     {10, 0.01, 1, 1800},   {10, 1, 0.05, 1800},
                                                     {10, 0.01, 0.05, 0},   {10, 0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(traffic); i++) {
        char text[VERDICT_ADVICE_LEN];

        assert_int_equal(verdict_foresee(&traffic[i], &rule).advice, VERDICT_BLUEGREEN);
        verdict_advise(&traffic[i], &rule, text);
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        assert_non_null(strstr(text, "blue-green with a watchdog is proposed"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_requests_show_more),
        cmocka_unit_test(test_rare_failures),
        cmocka_unit_test(test_a_minimum),
        cmocka_unit_test(test_sizes_that_are_known),
        cmocka_unit_test(test_enough_traffic),
        cmocka_unit_test(test_too_little_traffic),
        cmocka_unit_test(test_traffic_that_shows_the_worst_only),
        cmocka_unit_test(test_what_can_never_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
