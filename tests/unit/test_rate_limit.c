/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/rate_limit*.c, from its YAML to what it lets through and the fields of the
 * answer, with a clock that the test moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/ip.h"
#include "config/conf.h"
#include "edge/filter/chain.h"
#include "edge/limit/limiter.h"
#include "edge/loop.h"

extern const struct filter filter_rate_limit;

struct bench {
    struct arena arena;
    struct diag diag;
    struct limiter *limiter;
    struct loop *loop;
    struct filter_env env;
    const struct conf *conf;
    void *filter_conf; /* of all routes */
    struct caller caller;
    struct vars vars;
    struct head request, response;
    struct visit visit;
    char state[256];
};

static const char *no_env(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static const struct conf *parse(struct bench *bench, const char *rest)
{
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct str text =
        arena_format(&bench->arena, "services: {app: {targets: [\"127.0.0.1:1\"]}}\n%s\n", rest);
    const struct conf *conf = conf_parse(text, "test", &world, &bench->arena, &bench->diag);

    if (!conf || !chain_prepare(conf, &bench->arena, &bench->diag))
        fail_msg("%s", diag_report(&bench->diag).p);
    return conf;
}

static void *conf_in(const struct conf_filters *filters)
{
    for (uint32_t i = 0; i < filters->count; i++)
        if (filters->items[i].filter == &filter_rate_limit)
            return filters->items[i].conf;
    return NULL;
}

/* The filter's own keys; NULL: it is not written. */
static void load(struct bench *bench, const char *keys)
{
    struct str text =
        keys ? arena_format(&bench->arena, "filters: [{rate_limit: {%s}}]", keys) : STR("");

    bench->conf = parse(bench, text.p);
    bench->filter_conf = conf_in(&bench->conf->filters);
}

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    bench->loop = calloc(1, sizeof(*bench->loop));
    bench->loop->now_us = UINT64_C(5000000000);
    bench->limiter = limiter_open(-1);
    bench->env = (struct filter_env){.loop = bench->loop, .workers = 1, .limiter = bench->limiter};
    assert_true(sizeof(bench->state) >= filter_rate_limit.state_size);
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    limiter_close(&bench->limiter);
    free(bench->loop);
    free(bench);
    return 0;
}

/* A request from an address; the test may change it before it is asked. */
static void begin(struct bench *bench, const char *address)
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

static void add(struct bench *bench, struct head *head, const char *name, const char *value)
{
    assert_int_equal(head_add(head, &bench->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
}

static bool ask(struct bench *bench)
{
    enum verdict verdict = filter_rate_limit.on_request(&bench->visit);

    if (verdict == VERDICT_FAIL)
        assert_int_equal(bench->visit.reason, REASON_RATE_LIMITED);
    return verdict == VERDICT_PASS;
}

static bool passes(struct bench *bench, const char *address)
{
    begin(bench, address);
    return ask(bench);
}

static unsigned count_passes(struct bench *bench, const char *address, unsigned asks)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < asks; i++)
        passed += passes(bench, address);
    return passed;
}

static void tell(struct bench *bench)
{
    assert_int_equal(filter_rate_limit.on_response(&bench->visit), VERDICT_PASS);
}

static void assert_field(const struct bench *bench, const char *name, const char *want)
{
    struct str value = head_value_name(&bench->response, (struct str){name, strlen(name)});

    if (!want) {
        assert_null(value.p);
        return;
    }
    if (!value.p || value.len != strlen(want) || memcmp(value.p, want, value.len) != 0)
        fail_msg("%s: %.*s is not %s", name, STR_FMT(value), want);
}

static void advance(struct bench *bench, uint64_t ms)
{
    bench->loop->now_us += ms * 1000;
}

/* --- what is refused */

static void wrong_keys(void **state)
{
    static const struct {
        const char *keys, *words; /* of the report */
    } samples[] = {
        {"rate: 100 per minute", "is not a rate, such as 10/s"},
        {"rate: 0/s", "is not a rate"},
        {"rate: [1]", "expected a rate, such as 100/min, got a list"},
        {"rate: 5000000/s", "is more than 1000000 a second"},
        {"rate: 1/d, burst: 500", "takes more than 400 days to fill"},
        {"burst: 0", "is too small"},
        {"by: adress", "is nothing that requests can be told apart by"},
        {"by: \"header:\"", "is nothing that requests can be told apart by"},
        {"by: client_ip2", "is nothing that requests can be told apart by"},
        {"by: []", "the list is empty"},
        {"by: {a: b}", "expected a text, got a map"},
        {"by: [path, path, path, path, path, path, path, path, path]", "more than 8 parts"},
        {"rate: 1/s, limits: [{rate: 10/s}]", "write `rate` or `limits`, not both"},
        {"limits: [{burst: 3}]", "key \"rate\" is missing"},
        {"limits: []", "the list is empty"},
        {"limits: [{rate: 10/s}, {rate: 10/s, burst: 5}]", "two limits are called \"10/s\""},
        {"limits: [{rate: 10/s, name: \"a\\\"b\"}]", "is plain ASCII without quotes"},
        {"limits: [{rate: 1/s}, {rate: 2/s}, {rate: 3/s}, {rate: 4/s}, {rate: 5/s}, {rate: 6/s}, "
         "{rate: 7/s}, {rate: 8/s}, {rate: 9/s}]",
         "more than 8 limits"},
        {"cost: 101", "a cost of 101 never passes a burst of 100"},
        {"cost: 7, tiers: {gold: {rate: 5/s}}", "a cost of 7 never passes a burst of 5"},
        {"tiers: {gold: {}}", "key \"rate\" is missing"},
        {"exempt: [10.0.0.1/8]", "it is no address, network"},
        {"exempt: [\"header:x\"]", "it is no address, network"},
        {"exempt: [\"header:=x\"]", "it is no address, network"},
        {"exempt: [\"consumer:\"]", "it is no address, network"},
        {"assets: free", "is not a choice here"},
        {"limit: []", "did you mean \"limits\"?"},
    };
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct str text = arena_format(&bench->arena,
                                       "services: {app: {targets: [\"127.0.0.1:1\"]}}\n"
                                       "filters: [{rate_limit: {%s}}]\n",
                                       samples[i].keys);
        struct diag diag;

        diag_init(&diag, &bench->arena);
        assert_null(conf_parse(text, "test", &world, &bench->arena, &diag));
        if (!strstr(diag_report(&diag).p, samples[i].words))
            fail_msg("%s gives %s", samples[i].keys, diag_report(&diag).p);
    }
}

/* --- what is there by itself */

static void is_there_unwritten(void **state)
{
    static const struct {
        const char *filters;
        unsigned count, place;
    } samples[] = {
        {"", 1, 0},
        {"filters: []", 1, 0},
        {"filters: [{headers: {}}]", 2, 0},
        {"filters: [{headers: {}}, {grpc_web: {}}]", 3, 0},
        {"filters: [{headers: {}}, {rate_limit: {}}]", 2, 1},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const struct conf *conf = parse(bench, samples[i].filters);

        assert_int_equal(conf->filters.count, samples[i].count);
        assert_ptr_equal(conf->filters.items[samples[i].place].filter, &filter_rate_limit);
        assert_non_null(conf->filters.items[samples[i].place].conf);
    }
    assert_null(conf_in(&parse(bench, "filters: [{rate_limit: off}]")->filters));
}

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

/* A request of 192.0.2.N with what `by` looks at. */
static bool passes_with(struct bench *bench, unsigned host, const char *what, const char *value)
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

/* --- identity */

static void *route_conf(const struct conf *conf, unsigned i)
{
    return conf_in(&conf->routes[i].filters);
}

/* A route with another cost draws on the tokens of all; one with another rate, or the same as
 * another route's, has its own. */
static void whose_tokens(void **state)
{
    struct bench *bench = *state;
    const struct conf *conf =
        parse(bench,
              "filters: [{rate_limit: {rate: 10/h}}]\n"
              "routes:\n"
              "  - {name: dear, paths: [/a], service: app, filters: [{rate_limit: {rate: 10/h, "
              "cost: 5}}]}\n"
              "  - {name: b, paths: [/b], service: app, filters: [{rate_limit: {rate: 2/h}}]}\n"
              "  - {name: c, paths: [/c], service: app, filters: [{rate_limit: {rate: 2/h}}]}\n"
              "  - {paths: [/d], service: app}\n");

    bench->filter_conf = route_conf(conf, 0);
    assert_true(passes(bench, "192.0.2.1"));
    bench->filter_conf = conf_in(&conf->filters);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 5);
    bench->filter_conf = route_conf(conf, 1);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 2);
    bench->filter_conf = route_conf(conf, 2);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 2);
}

/* What is spent stays spent when the configuration is read again, whatever else changed. */
static void outlives_the_configuration(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 10/h");
    assert_int_equal(count_passes(bench, "192.0.2.1", 7), 7);
    load(bench, "rate: 10/h, assets: count, exempt: [10.0.0.0/8]");
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 3);
    load(bench, "rate: 11/h");
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 11);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_keys),
        TEST(is_there_unwritten),
        TEST(says_how_it_stands),
        TEST(retry_after_is_true),
        TEST(by_address),
        TEST(by_other_things),
        TEST(by_several_together),
        TEST(all_must_pass),
        TEST(burst_is_said),
        TEST(tiers),
        TEST(exempt),
        TEST(what_the_gateway_answers),
        TEST(preflights),
        TEST(assets),
        TEST(assets_have_an_end),
        TEST(a_refund_is_said),
        TEST(dry_run),
        TEST(costs_nothing),
        TEST(whose_tokens),
        TEST(outlives_the_configuration),
        TEST(describes),
        TEST(not_asked),
        TEST(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
