/* SPDX-License-Identifier: Apache-2.0
 *
 * Traffic as edges tell it: what is new counts, what was before the first answer does not, and an
 * edge that is another process is asked for all again.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/deploy/traffic.h"

#define MINUTE INT64_C(60000)

static bool tell(struct traffic *traffic, const char *edge, const char *text, int64_t now_ms)
{
    json_t *counters = json_loads(text, 0, NULL);
    bool is_other;

    assert_non_null(counters);
    is_other = traffic_take(traffic, edge, counters, now_ms);
    json_decref(counters);
    return is_other;
}

static bool is_near(double have, double want)
{
    return fabs(have - want) < 1e-9;
}

#define TOLD(instance_, number_, releases_)                                                        \
    "{\"instance\":" #instance_ ",\"number\":" #number_ ",\"releases\":[" releases_ "]}"
#define SHOP(release_, requests_, failures_)                                                       \
    "{\"service\":\"shop\",\"release\":\"" release_ "\",\"requests\":" #requests_                  \
    ",\"failures\":" #failures_ "}"

static void test_sums(void **state)
{
    struct traffic *traffic = traffic_new(&(struct traffic_options){.edges = NULL});
    struct traffic_rate rate;

    (void)state;
    assert_true(traffic_of(traffic, "shop", MINUTE).over_s == 0);
    assert_false(tell(traffic, "a", TOLD(1, 5, SHOP("1", 1000, 900)), MINUTE));
    assert_false(tell(traffic, "b", TOLD(9, 5, ""), MINUTE));
    rate = traffic_of(traffic, "shop", MINUTE + 10000);
    assert_true(rate.over_s == 10 && rate.requests_s == 0 && rate.failures == 0);
    assert_false(
        tell(traffic, "a", TOLD(1, 6, SHOP("1", 1100, 905) "," SHOP("2", 50, 0)), MINUTE + 10000));
    assert_false(tell(traffic, "b", TOLD(9, 6, SHOP("1", 50, 5)), MINUTE + 20000));
    rate = traffic_of(traffic, "shop", MINUTE + 20000);
    assert_true(is_near(rate.requests_s, 200 / 20.0));
    assert_true(is_near(rate.failures, 10 / 200.0));
    rate = traffic_of(traffic, "other", MINUTE + 20000);
    assert_true(rate.over_s == 20 && rate.requests_s == 0);
    traffic_free(&traffic);
    traffic_free(&traffic);
}

static void test_it_is_forgotten(void **state)
{
    struct traffic *traffic = traffic_new(&(struct traffic_options){.edges = NULL});
    struct traffic_rate rate;

    (void)state;
    assert_false(tell(traffic, "a", TOLD(1, 1, SHOP("1", 0, 0)), MINUTE));
    assert_false(tell(traffic, "a", TOLD(1, 2, SHOP("1", 600, 0)), 2 * MINUTE));
    rate = traffic_of(traffic, "shop", 10 * MINUTE);
    assert_true(is_near(rate.requests_s, 600 / 540.0));
    rate = traffic_of(traffic, "shop", 13 * MINUTE);
    assert_true(rate.over_s == TRAFFIC_SPAN_S && rate.requests_s == 0);
    traffic_free(&traffic);
}

static void test_another_process(void **state)
{
    struct traffic *traffic = traffic_new(&(struct traffic_options){.edges = NULL});

    (void)state;
    assert_false(tell(traffic, "a", TOLD(1, 7, SHOP("1", 1000, 0)), MINUTE));
    assert_true(tell(traffic, "a", TOLD(2, 3, ""), MINUTE + 2000));
    assert_false(tell(traffic, "a", TOLD(2, 4, SHOP("1", 10, 0)), MINUTE + 2000));
    assert_false(tell(traffic, "a", TOLD(2, 5, SHOP("1", 30, 0)), MINUTE + 10000));
    assert_true(is_near(traffic_of(traffic, "shop", MINUTE + 10000).requests_s, 2));
    traffic_free(&traffic);
}

/* Requests of our own are none; numbers that went down, and what is no number, add nothing. */
static void test_what_does_not_count(void **state)
{
    static const char *const odd[] = {TOLD(1, 3, "5"),
                                      TOLD(1, 3, "{\"service\":5,\"release\":\"1\"}"),
                                      TOLD(1, 3, "{\"service\":\"shop\"}"),
                                      TOLD(1, 3, SHOP("1", -5, -5)),
                                      TOLD(1, 3, SHOP("1", 100, 300)),
                                      TOLD(1, 3, SHOP("1", 40, 0)),
                                      "{\"instance\":1}"};
    struct traffic *traffic = traffic_new(&(struct traffic_options){.edges = NULL});
    struct traffic_rate rate;

    (void)state;
    assert_false(tell(traffic, "a", TOLD(1, 1, SHOP("1", 100, 0)), MINUTE));
    assert_false(tell(traffic, "a",
                      TOLD(1, 2,
                           "{\"service\":\"shop\",\"release\":\"1\",\"requests\":150,"
                           "\"failures\":0,\"probes\":50}"),
                      MINUTE));
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        assert_false(tell(traffic, "a", odd[i], MINUTE));
    rate = traffic_of(traffic, "shop", MINUTE + 10000);
    assert_true(rate.requests_s <= 10 && rate.failures <= 1);
    traffic_free(&traffic);
}

/* An edge that is not in the list any more. */
static void test_nobody_told_it(void **state)
{
    struct traffic *traffic = traffic_new(&(struct traffic_options){.edges = NULL});

    (void)state;
    assert_false(tell(traffic, NULL, TOLD(1, 1, SHOP("1", 100, 0)), MINUTE));
    assert_true(traffic_of(traffic, "shop", 2 * MINUTE).over_s == 0);
    traffic_free(&traffic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_it_is_forgotten),
        cmocka_unit_test(test_another_process),
        cmocka_unit_test(test_what_does_not_count),
        cmocka_unit_test(test_nobody_told_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
