/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to a filter rate_limit, for the tests of filter/rate_limit*.c.
 */
#ifndef TEST_RATE_LIMIT_H
#define TEST_RATE_LIMIT_H

#include "test_rate_limit_rig.h"

/* A request from an address; the test may change it before it is asked. */
static inline void begin(struct bench *bench, const char *address)
{
    memset(bench->state, 0, sizeof(bench->state));
    bench->caller = (struct caller){.text = {address, strlen(address)}};
    bench->vars = (struct vars){0};
    if (*address)
        assert_true(ip_parse(bench->caller.text, bench->caller.ip));
    assert_int_equal(head_init(&bench->request, &bench->arena, 4), OK);
    assert_int_equal(head_init(&bench->response, &bench->arena, 4), OK);
    bench->request.method = METHOD_GET;
    bench->request.path = STR("/");
    bench->response.status = 200;
    bench->visit = (struct visit){
        .conf = bench->filter_conf,
        .state = bench->state,
        .arena = &bench->arena,
        .env = &bench->env,
        .caller = &bench->caller,
        .vars = &bench->vars,
        .route = STR("app"),
        .request = &bench->request,
        .response = &bench->response,
    };
}

static inline void add(struct bench *bench, struct head *head, const char *name, const char *value)
{
    assert_int_equal(head_add(head, &bench->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
}

static inline bool ask(struct bench *bench)
{
    enum verdict verdict = filter_rate_limit.on_request(&bench->visit);

    if (verdict == VERDICT_FAIL)
        assert_int_equal(bench->visit.reason, REASON_RATE_LIMITED);
    return verdict == VERDICT_PASS;
}

static inline bool passes(struct bench *bench, const char *address)
{
    begin(bench, address);
    return ask(bench);
}

static inline unsigned count_passes(struct bench *bench, const char *address, unsigned asks)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < asks; i++)
        passed += passes(bench, address);
    return passed;
}

static inline void tell(struct bench *bench)
{
    assert_int_equal(filter_rate_limit.on_response(&bench->visit), VERDICT_PASS);
}

static inline void assert_field(const struct bench *bench, const char *name, const char *want)
{
    struct str value = head_value_name(&bench->response, (struct str){name, strlen(name)});

    if (!want) {
        assert_null(value.p);
        return;
    }
    if (!value.p || value.len != strlen(want) || memcmp(value.p, want, value.len) != 0)
        fail_msg("%s: %.*s is not %s", name, STR_FMT(value), want);
}

static inline void advance(struct bench *bench, uint64_t ms)
{
    bench->loop->now_us += ms * 1000;
}

/* A request of 192.0.2.N with what `by` looks at. */
static inline bool passes_with(struct bench *bench, unsigned host, const char *what,
                               const char *value)
{
    char address[32];

    snprintf(address, sizeof(address), "192.0.2.%u", host);
    begin(bench, address);
    if (!strcmp(what, "path"))
        bench->request.path = (struct str){value, strlen(value)};
    else if (!strcmp(what, "route"))
        bench->visit.route = (struct str){value, strlen(value)};
    else if (!strcmp(what, "consumer"))
        bench->vars.consumer = (struct str){value, strlen(value)};
    else if (!strcmp(what, "claims"))
        bench->vars.claims = (struct str){value, strlen(value)};
    else if (*what)
        add(bench, &bench->request, what, value);
    return ask(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)

#endif
