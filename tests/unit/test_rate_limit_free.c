/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/rate_limit*.c: what is not counted, and how much of it.
 */
#include "test_rate_limit.h"

/* --- what is not counted */

static void exempt(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 1/h, exempt: [10.0.0.0/8, \"2001:db8::/32\", \"consumer:ci\", "
                "\"header:x-probe=s3cret\"]");
    assert_int_equal(count_passes(bench, "10.1.2.3", 5), 5);
    assert_int_equal(count_passes(bench, "2001:db8::1", 5), 5);
    assert_int_equal(count_passes(bench, "11.1.2.3", 5), 1);
    for (unsigned i = 0; i < 3; i++)
        assert_true(passes_with(bench, 1, "consumer", "ci"));
    for (unsigned i = 0; i < 3; i++)
        assert_true(passes_with(bench, 1, "X-Probe", "s3cret"));
    assert_true(passes_with(bench, 1, "X-Probe", "s3creT"));
    assert_false(passes_with(bench, 1, "X-Probe", "s3cre"));
    assert_false(passes_with(bench, 1, "X-Probe", ""));
    assert_false(passes_with(bench, 1, "consumer", "c"));
}

static void what_the_gateway_answers(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 1/h");
    for (unsigned i = 0; i < 5; i++) {
        begin(bench, "192.0.2.1");
        bench->visit.is_static = true;
        assert_true(ask(bench));
    }
    tell(bench);
    assert_field(bench, "RateLimit", NULL);
    assert_int_equal(count_passes(bench, "192.0.2.1", 2), 1);
}

static bool preflight(struct bench *bench)
{
    begin(bench, "192.0.2.1");
    bench->request.method = METHOD_OPTIONS;
    add(bench, &bench->request, "Origin", "https://app.example.com");
    add(bench, &bench->request, "Access-Control-Request-Method", "PUT");
    return ask(bench);
}

/* They are free, and yet no way round the limit. */
static void preflights(void **state)
{
    struct bench *bench = *state;
    unsigned passed = 0;

    load(bench, "rate: 10/h");
    for (unsigned i = 0; i < 2000; i++)
        passed += preflight(bench);
    assert_int_equal(passed, 1200 + 10);
    assert_true(passes(bench, "192.0.2.2"));
    begin(bench, "192.0.2.2");
    bench->request.method = METHOD_OPTIONS; // without its fields it is a request as any
    assert_true(ask(bench));
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "8");
}

static unsigned count_refunded(struct bench *bench, const char *control, unsigned status)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < 20; i++) {
        if (!passes(bench, "192.0.2.1"))
            continue;
        passed++;
        bench->response.status = (uint16_t)status;
        if (control)
            add(bench, &bench->response, "Cache-Control", control);
        tell(bench);
    }
    advance(bench, 24 * 3600 * 1000);
    return passed;
}

static void assets(void **state)
{
    static const struct {
        const char *control;
        unsigned status, passed;
    } samples[] = {
        {NULL, 304, 20},
        {"public, max-age=3600", 200, 20},
        {"max-age=31536000,public", 200, 20},
        {"Public, Max-Age=\"7200\"", 206, 20},
        {"immutable", 200, 20},
        {"private, max-age=60, immutable", 200, 20},
        {"public, max-age=99999999999999999999999", 200, 20},
        {NULL, 200, 5},
        {"public, max-age=3599", 200, 5},
        {"max-age=3600", 200, 5},
        {"private, max-age=3600", 200, 5},
        {"public, s-maxage=3600", 200, 5},
        {"public, max-age=", 200, 5},
        {"public, max-age=x3600", 200, 5},
        {"public, max-age=-3600", 200, 5},
        {"public; max-age=3600", 200, 5},
        {"", 200, 5},
        {"public, max-age=3600", 404, 5},
        {"immutable", 500, 5},
    };
    struct bench *bench = *state;

    load(bench, "rate: 5/h");
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        if (count_refunded(bench, samples[i].control, samples[i].status) != samples[i].passed)
            fail_msg("%s with %u", samples[i].control, samples[i].status);
    load(bench, "rate: 5/h, assets: count");
    assert_int_equal(count_refunded(bench, "immutable", 200), 5);
}

static void assets_have_an_end(void **state)
{
    struct bench *bench = *state;
    unsigned passed = 0;

    load(bench, "rate: 10/h");
    for (unsigned i = 0; i < 3000; i++) {
        if (!passes(bench, "192.0.2.1"))
            continue;
        passed++;
        bench->response.status = 304;
        tell(bench);
    }
    assert_int_equal(passed, 1200 + 10);
}

static void a_refund_is_said(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 10/h, cost: 4");
    assert_true(passes(bench, "192.0.2.1"));
    bench->response.status = 304;
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "10");
    assert_field(bench, "RateLimit-Reset", "0");
    begin(bench, "192.0.2.1");
    bench->request.method = METHOD_POST;
    assert_true(ask(bench));
    bench->response.status = 304;
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "6");
    assert_true(passes(bench, "192.0.2.1"));
    bench->response.status = 304;
    bench->visit.is_own = true; // only a target can say it
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "2");
}

static void dry_run(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 5/h, dry_run: true");
    assert_int_equal(count_passes(bench, "192.0.2.1", 12), 12);
    tell(bench);
    assert_field(bench, "RateLimit", NULL);
    assert_field(bench, "Retry-After", NULL);
    assert_int_equal(limiter_trials(bench->limiter), 7);
}

static void costs_nothing(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 5/h, cost: 0");
    assert_int_equal(count_passes(bench, "192.0.2.1", 12), 12);
    tell(bench);
    assert_field(bench, "RateLimit-Remaining", "5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exempt),
        TEST(what_the_gateway_answers),
        TEST(preflights),
        TEST(assets),
        TEST(assets_have_an_end),
        TEST(a_refund_is_said),
        TEST(dry_run),
        TEST(costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
