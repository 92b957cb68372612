/* SPDX-License-Identifier: Apache-2.0
 *
 * The short history of what a service answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/effect_count.h"

static json_t *told(int requests, int failures, unsigned bucket)
{
    return json_pack("{s:i,s:i,s:[[i,i]]}", "requests", requests, "failures", failures, "latency",
                     (int)bucket, requests);
}

static void take(struct effect_seen *seen, json_t *json, struct effect_ring *ring, int64_t number)
{
    effect_take(seen, json, ring, number);
    json_decref(json);
}

static void test_only_what_is_new_counts(void **state)
{
    struct effect_ring *ring = calloc(1, sizeof(*ring));
    struct effect_seen seen = {0};
    struct effect_sum sum;

    (void)state;
    take(&seen, told(1000, 10, 20), NULL, 99); // what was before anybody looked
    take(&seen, told(1010, 12, 20), ring, 100);
    take(&seen, told(1015, 12, 20), ring, 109);
    take(&seen, told(1100, 12, 20), ring, 110);
    effect_sum(ring, 100, &sum);
    assert_int_equal(sum.requests, 15);
    assert_int_equal(sum.failures, 2);
    assert_int_equal(sum.latency[20], 15);
    effect_sum(ring, 101, &sum);
    assert_int_equal(sum.requests, 90);
    assert_int_equal(sum.failures, 0);
    free(ring);
}

static void test_an_edge_that_begins_anew(void **state)
{
    struct effect_ring *ring = calloc(1, sizeof(*ring));
    struct effect_seen seen = {0};
    struct effect_sum sum;

    (void)state;
    take(&seen, told(500, 0, 20), NULL, 1);
    take(&seen, told(7, 1, 20), ring, 2);
    effect_sum(ring, 1, &sum);
    assert_int_equal(sum.requests, 7);
    assert_int_equal(sum.failures, 1);
    assert_int_equal(sum.latency[20], 7);
    free(ring);
}

static void test_what_is_old_is_not_counted_as_new(void **state)
{
    struct effect_ring *ring = calloc(1, sizeof(*ring));
    struct effect_seen seen = {0};
    struct effect_sum sum;

    (void)state;
    take(&seen, told(5, 0, 20), ring, 100);
    take(&seen, told(8, 0, 20), ring, 100 + EFFECT_SLOTS); // in the same place
    effect_sum(ring, 100, &sum);
    assert_int_equal(sum.requests, 0);
    effect_sum(ring, 100 + EFFECT_SLOTS - 3, &sum);
    assert_int_equal(sum.requests, 3);
    free(ring);
}

static void test_what_an_edge_says_wrongly_does_no_harm(void **state)
{
    static const char *const wrong[] = {
        "{}", "[]", "7", "{\"requests\":-5,\"failures\":-1,\"latency\":7}",
        "{\"requests\":\"x\",\"latency\":[[-1,5],[100000,5],[3,-5],[3],[],7,null]}"};
    struct effect_ring *ring = calloc(1, sizeof(*ring));
    struct effect_seen seen = {0};
    struct effect_sum sum;
    json_t *json;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        take(&seen, json_loads(wrong[i], JSON_DECODE_ANY, NULL), ring, 1);
    effect_sum(ring, 1, &sum);
    assert_int_equal(sum.requests, 0);
    assert_int_equal(sum.failures, 0);
    json = effect_json(&sum);
    assert_int_equal(json_object_size(json), 2);
    json_decref(json);
    free(ring);
}

static json_int_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void test_quantiles(void **state)
{
    struct effect_sum sum = {.requests = 100};
    json_t *json;

    (void)state;
    sum.latency[latency_bucket(1000)] = 90;
    sum.latency[latency_bucket(50000)] = 9;
    sum.latency[LATENCY_BUCKETS - 1] = 1;
    json = effect_json(&sum);
    assert_int_equal(number(json, "p50_us"), latency_least_us(latency_bucket(1000) + 1));
    assert_int_equal(number(json, "p95_us"), latency_least_us(latency_bucket(50000) + 1));
    json_decref(json);
    sum.latency[LATENCY_BUCKETS - 1] = 10000; // longer than is told apart
    json = effect_json(&sum);
    assert_int_equal(number(json, "p50_us"), latency_least_us(LATENCY_BUCKETS - 1));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_is_new_counts),
        cmocka_unit_test(test_an_edge_that_begins_anew),
        cmocka_unit_test(test_what_is_old_is_not_counted_as_new),
        cmocka_unit_test(test_what_an_edge_says_wrongly_does_no_harm),
        cmocka_unit_test(test_quantiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
