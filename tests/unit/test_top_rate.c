/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts at two times: what was added, and quantiles of it.
 */
#include "cli/top_rate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void nothing_is_negative(void **state)
{
    (void)state;
    assert_true(top_rate_added(12, 5) == 7);
    assert_true(top_rate_added(5, 5) == 0);
    assert_true(top_rate_added(3, 1000) == 3); // anew from zero
    assert_true(top_rate_added(-4, 2) == 0);
    assert_true(top_rate_added(4, -2) == 4);
}

static double quantile(const char *now, const char *before, double q)
{
    json_t *is = json_loads(now, 0, NULL), *was = before ? json_loads(before, 0, NULL) : NULL;
    json_t *edges = json_loads("[1000, 2000, 4000]", 0, NULL);
    struct top_latency latency = {0};
    double ms;

    top_rate_latency(&latency, is, was);
    ms = top_rate_quantile(&latency, edges, q);
    json_decref(is);
    json_decref(was);
    json_decref(edges);
    return ms;
}

static void near(double is, double wanted)
{
    assert_true(fabs(is - wanted) < 1e-9);
}

static void quantiles_lie_within_buckets(void **state)
{
    (void)state;
    near(quantile("[[0, 10]]", NULL, 0.5), 0.5);
    near(quantile("[[1, 10]]", NULL, 0.5), 1.5);
    near(quantile("[[1, 10]]", NULL, 1.0), 2);
    near(quantile("[[0, 5], [2, 5]]", NULL, 0.5), 1);
    near(quantile("[[0, 5], [2, 5]]", NULL, 0.9), 3.6);
    near(quantile("[[3, 4]]", NULL, 0.99), 4); // beyond the last edge
    near(quantile("[[0, 99], [3, 1]]", NULL, 0.5), 50.0 / 99);
    assert_true(isnan(quantile("[]", NULL, 0.5)));
    assert_true(isnan(quantile("[[0, 0]]", NULL, 0.5)));
}

static void only_what_was_added(void **state)
{
    (void)state;
    near(quantile("[[0, 100], [1, 10]]", "[[0, 100]]", 0.5), 1.5);
    assert_true(isnan(quantile("[[0, 100]]", "[[0, 100]]", 0.5)));
    // One bucket went back: all began anew.
    near(quantile("[[0, 1], [1, 10]]", "[[0, 100], [1, 9]]", 1.0), 2);
}

static void odd_answers_do_no_harm(void **state)
{
    static const char *const odd[] = {"{}",         "null",         "[1, 2]", "[[-1, 5]]",
                                      "[[256, 5]]", "[[\"a\", 1]]", "[[]]",   "[[9999999999, 1]]"};
    struct top_latency latency = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        json_t *json = json_loads(odd[i], JSON_DECODE_ANY, NULL);

        top_rate_latency(&latency, json, json);
        top_rate_latency(&latency, json, NULL);
        json_decref(json);
    }
    assert_true(isnan(top_rate_quantile(&latency, NULL, 0.5)));
    latency.counts[TOP_BUCKETS - 1] = latency.sum = 1;
    assert_true(isnan(top_rate_quantile(&latency, NULL, 0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_negative),
        cmocka_unit_test(quantiles_lie_within_buckets),
        cmocka_unit_test(only_what_was_added),
        cmocka_unit_test(odd_answers_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
