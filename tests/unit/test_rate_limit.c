/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/rate_limit*.c: what passes, who is told apart, and what the answer says.
 */
#include "test_rate_limit.h"

#include <jansson.h>

/* --- what the answer says */

static void says_how_it_stands(void **state)
{
    struct bench *bench = *state;

    load(bench, NULL);
    assert_true(passes(bench, "192.0.2.1"));
    tell(bench);
    assert_field(bench, "RateLimit-Limit", "100");
    assert_field(bench, "RateLimit-Remaining", "99");
    assert_field(bench, "RateLimit-Reset", "1");
    assert_field(bench, "RateLimit", "\"100/min\";r=99;t=1");
    assert_field(bench, "RateLimit-Policy", "\"100/min\";q=100;w=60");
    assert_field(bench, "Retry-After", NULL);
    assert_int_equal(count_passes(bench, "192.0.2.1", 104), 99);
    bench->visit.is_own = true;
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "0");
    assert_field(bench, "RateLimit-Reset", "60");
    assert_field(bench, "RateLimit", "\"100/min\";r=0;t=60");
    assert_field(bench, "Retry-After", "1");
    assert_true(passes(bench, "192.0.2.2"));

    advance(bench, 599);
    assert_false(passes(bench, "192.0.2.1"));
    advance(bench, 1);
    assert_int_equal(count_passes(bench, "192.0.2.1", 2), 1);
    advance(bench, 60000);
    assert_int_equal(count_passes(bench, "192.0.2.1", 105), 100);
}

/* Who waits as long as Retry-After says passes. */
static void retry_after_is_true(void **state)
{
    struct bench *bench = *state;
    struct str retry;

    load(bench, "rate: 7/min, burst: 3, cost: 2");
    for (unsigned round = 0; round < 20; round++) {
        while (passes(bench, "192.0.2.1"))
            ;
        tell(bench);
        retry = head_value_name(&bench->response, STR("Retry-After"));
        assert_true(retry.len > 0);
        advance(bench, 1000 * strtoull(retry.p, NULL, 10));
        assert_true(passes(bench, "192.0.2.1"));
        advance(bench, 37);
    }
}

/* --- who is told apart */

static void by_address(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 1/h");
    assert_true(passes(bench, "2001:db8:1:2::1"));
    assert_false(passes(bench, "2001:db8:1:2:ffff::99")); // the same /64
    assert_true(passes(bench, "2001:db8:1:3::1"));
    assert_true(passes(bench, "10.0.0.1"));
    assert_false(passes(bench, "10.0.0.1"));
    assert_true(passes(bench, "10.0.0.2"));
    assert_int_equal(count_passes(bench, "", 5), 5); // a unix socket has none
    tell(bench);
    assert_field(bench, "RateLimit", NULL);
}

static void by_other_things(void **state)
{
    static const struct {
        const char *by, *what, *one, *two;
        bool has_fallback; /* the address counts where it is not there */
    } samples[] = {
        {"path", "path", "/a", "/b", false},
        {"route", "route", "a", "b", false},
        {"consumer", "consumer", "ann", "bob", true},
        {"header:x-key", "X-Key", "1", "2", true},
        {"cookie:id", "Cookie", "a=b; id=1", "id=2", true},
        {"claim:sub", "claims", "{\"sub\":\"ann\"}", "{\"sub\":\"bob\"}", true},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct str keys = arena_format(&bench->arena, "rate: 1/h, by: \"%s\"", samples[i].by);

        load(bench, keys.p);
        assert_true(passes_with(bench, 1, samples[i].what, samples[i].one));
        assert_false(passes_with(bench, 2, samples[i].what, samples[i].one));
        assert_true(passes_with(bench, 1, samples[i].what, samples[i].two));
        if (!samples[i].has_fallback)
            continue;
        assert_true(passes_with(bench, 1, "", ""));
        assert_false(passes_with(bench, 1, "", ""));
        assert_true(passes_with(bench, 2, "", ""));
    }
}

static void by_several_together(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 1/h, by: [client_ip, \"header:x-key\"]");
    assert_true(passes_with(bench, 1, "X-Key", "1"));
    assert_true(passes_with(bench, 1, "X-Key", "2"));
    assert_true(passes_with(bench, 2, "X-Key", "1"));
    assert_false(passes_with(bench, 1, "X-Key", "1"));
    assert_true(passes_with(bench, 1, "", ""));
    assert_true(passes_with(bench, 1, "X-Key", "")); // an empty one is another than none
    assert_false(passes_with(bench, 1, "X-Key", ""));
}

/* --- several limits */

static void all_must_pass(void **state)
{
    struct bench *bench = *state;

    load(bench, "limits: [{rate: 10/s}, {name: long, rate: 15/min}]");
    assert_int_equal(count_passes(bench, "192.0.2.1", 30), 10);
    tell(bench);
    assert_field(bench, "RateLimit-Policy", "\"10/s\";q=10;w=1, \"long\";q=15;w=60");
    assert_field(bench, "RateLimit", "\"10/s\";r=0;t=1, \"long\";r=5;t=40");
    assert_field(bench, "RateLimit-Limit", "10");
    assert_field(bench, "Retry-After", "1");
    advance(bench, 1000); // the refused ones took nothing of the long limit
    assert_int_equal(count_passes(bench, "192.0.2.1", 30), 5);
    tell(bench);
    assert_field(bench, "RateLimit-Limit", "15");
    assert_field(bench, "RateLimit-Remaining", "0");
    assert_field(bench, "Retry-After", "3");
}

static void burst_is_said(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 60/min, burst: 5");
    assert_int_equal(count_passes(bench, "192.0.2.1", 9), 5);
    tell(bench);
    assert_field(bench, "RateLimit-Limit", "5");
    assert_field(bench, "RateLimit-Policy", "\"60/min\";q=60;w=60;burst=5");
    assert_field(bench, "RateLimit-Reset", "5");
}

static void tiers(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 1/h, tiers: {gold: {rate: 3/h, by: consumer}, tin: {rate: 2/h}}");
    for (unsigned i = 0; i < 4; i++) {
        begin(bench, "192.0.2.1");
        bench->vars = (struct vars){.consumer = STR("ann"), .tier = STR("gold")};
        assert_int_equal(ask(bench), i < 3);
    }
    tell(bench);
    assert_field(bench, "RateLimit-Policy", "\"3/h\";q=3;w=3600");
    for (unsigned i = 0; i < 3; i++) {
        begin(bench, "192.0.2.1");
        bench->vars.tier = STR("tin");
        assert_int_equal(ask(bench), i < 2);
    }
    begin(bench, "192.0.2.1");
    bench->vars.tier = STR("unknown");
    assert_true(ask(bench));
    assert_false(passes(bench, "192.0.2.1"));
}

/* --- why */

static void describes(void **state)
{
    struct bench *bench = *state;
    struct str text;
    json_t *json, *limit;

    load(bench, "limits: [{rate: 10/h}, {rate: 3/h}], cost: 2");
    assert_true(passes(bench, "192.0.2.1"));
    text = filter_rate_limit.describe(&bench->visit);
    text = arena_format(&bench->arena, "{%.*s}", STR_FMT(text));
    json = json_loads(text.p, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "outcome")), "passed");
    limit = json_array_get(json_object_get(json, "limits"), 1);
    assert_string_equal(json_string_value(json_object_get(limit, "name")), "3/h");
    assert_int_equal(json_integer_value(json_object_get(limit, "before")), 3);
    assert_int_equal(json_integer_value(json_object_get(limit, "after")), 1);
    json_decref(json);

    assert_false(passes(bench, "192.0.2.1"));
    text = filter_rate_limit.describe(&bench->visit);
    text = arena_format(&bench->arena, "{%.*s}", STR_FMT(text));
    json = json_loads(text.p, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "outcome")), "refused");
    limit = json_array_get(json_object_get(json, "limits"), 1);
    assert_int_equal(json_integer_value(json_object_get(limit, "after")), 1);
    assert_int_equal(json_integer_value(json_object_get(limit, "retry_ms")), 1200000);
    json_decref(json);
}

static void not_asked(void **state)
{
    struct bench *bench = *state;

    load(bench, NULL);
    begin(bench, "192.0.2.1");
    bench->visit.is_own = true; // refused before the filters were asked
    tell(bench);
    assert_field(bench, "RateLimit", NULL);
}

static void without_memory(void **state)
{
    struct bench *bench = *state;
    struct arena small;
    enum verdict verdict;

    load(bench, NULL);
    arena_init(&small, NULL, 1);
    begin(bench, "192.0.2.1");
    bench->visit.arena = &small;
    verdict = filter_rate_limit.on_request(&bench->visit);
    assert_int_equal(verdict, VERDICT_FAIL);
    assert_int_equal(bench->visit.reason, REASON_MEMORY_LIMIT);
    assert_true(passes(bench, "192.0.2.1"));
    bench->visit.arena = &small;
    assert_int_equal(filter_rate_limit.on_response(&bench->visit), VERDICT_FAIL);
    assert_null(filter_rate_limit.describe(&bench->visit).p);
    arena_reset(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_how_it_stands),  TEST(retry_after_is_true),
        TEST(by_address),          TEST(by_other_things),
        TEST(by_several_together), TEST(all_must_pass),
        TEST(burst_is_said),       TEST(tiers),
        TEST(describes),           TEST(not_asked),
        TEST(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
