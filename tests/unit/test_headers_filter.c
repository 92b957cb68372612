/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/headers.c, from its YAML to the head it leaves.
 */
#include "test_head_rig.h"

static const char *no_env(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static bool prepare(struct bench *bench)
{
    const struct filter_prepare with = {.arena = &bench->arena, .diag = &bench->diag};
    const struct conf_filter *item = &bench->conf->filters.items[0];

    return item->filter->prepare(item->conf, &with);
}

/* False when the configuration is refused. */
static bool load(struct bench *bench, const char *headers)
{
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct str text = arena_format(&bench->arena,
                                   "services: {app: {targets: [\"127.0.0.1:1\"]}}\n"
                                   "filters: [{headers: {%s}}, {rate_limit: off}, {shield: off}]\n",
                                   headers);

    bench->conf = conf_parse(text, "test", &world, &bench->arena, &bench->diag);
    if (!bench->conf || !prepare(bench))
        return false;
    bench->visit = (struct visit){.conf = bench->conf->filters.items[0].conf,
                                  .arena = &bench->arena,
                                  .caller = &bench->caller,
                                  .vars = &bench->vars,
                                  .id = STR("id-1"),
                                  .route = STR("shop"),
                                  .request = &bench->head,
                                  .response = &bench->head};
    return true;
}

static const struct filter *filter(const struct bench *bench)
{
    return bench->conf->filters.items[0].filter;
}

static void add(struct bench *bench, const char *name, const char *value)
{
    assert_int_equal(head_add(&bench->head, &bench->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
}

static void assert_head(const struct bench *bench, const char *want)
{
    char have[512] = "";
    size_t len = 0;

    for (unsigned i = 0; i < bench->head.count; i++) {
        const struct header *header = &bench->head.headers[i];

        len += (size_t)snprintf(have + len, sizeof(have) - len, "%.*s=%.*s;", header->name_len,
                                header->name, (int)header->value_len, header->value);
        assert_true(len < sizeof(have));
    }
    assert_string_equal(have, want);
}

static void test_request(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "request: {remove: [X-Gone, x-none], set: {x-set: new, x-made: m}, "
                            "add: {x-list: two}}"));
    add(bench, "x-gone", "1");
    add(bench, "X-Set", "old");
    add(bench, "x-list", "one");
    add(bench, "x-set", "old too");
    add(bench, "X-GONE", "2");
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_PASS);
    assert_non_null(head_find_name(&bench->head, STR("x-set")));
    assert_int_equal(head_remove_name(&bench->head, STR("x-set")), 1);
    assert_head(bench, "x-list=one;x-made=m;x-list=two;");
    assert_int_equal(filter(bench)->on_response(&bench->visit), VERDICT_PASS);
    assert_head(bench, "x-list=one;x-made=m;x-list=two;");
}

/* Removed first, then set, then added. */
static void test_response(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "response: {remove: [server], set: {Server: mine}, "
                            "add: {server: and mine}}"));
    add(bench, "Server", "theirs");
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_PASS);
    assert_head(bench, "Server=theirs;");
    assert_int_equal(filter(bench)->on_response(&bench->visit), VERDICT_PASS);
    assert_head(bench, "Server=mine;server=and mine;");
}

/* Names of a request with all there is to know of it. */
static void know(struct bench *bench)
{
    bench->caller = (struct caller){.text = STR("192.0.2.1"), .scheme = STR("https")};
    bench->vars = (struct vars){
        .consumer = STR("ann"),
        .tier = STR("gold"),
        .claims = STR("{\"sub\": \"7\", \"n\": 5, \"bad\": \"a\\nb\", \"nul\": \"\\u0000\", "
                      "\"odd\": \"\\u00e9\\ud83d\\ude00\\\"\\/\\ud800\", \"list\": [1, 2], "
                      "\"empty\": \"\", \"cut\": \"\\u00\"}"),
        .country = STR("FR"),
        .asn = 64496,
    };
    bench->head.method_name = STR("GET");
    bench->head.authority = STR("a.example:8443");
    bench->head.path = STR("/p");
    bench->head.query = STR("q=1");
}

static void assert_made(struct bench *bench, const char *written, const char *made)
{
    struct str yaml = arena_format(&bench->arena, "request: {set: {x-made: '%s'}}", written);
    struct str have;

    assert_true(load(bench, yaml.p));
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_PASS);
    have = head_value_name(&bench->head, STR("x-made"));
    if (!made && have.p)
        fail_msg("%s made \"%.*s\"", written, STR_FMT(have));
    if (made && !str_same(have, (struct str){made, strlen(made)}))
        fail_msg("%s made \"%.*s\", not \"%s\"", written, STR_FMT(have), made);
}

static void test_names(void **state)
{
    static const char *const table[][2] = {
        {"${client_ip} ${request_id} ${route}", "192.0.2.1 id-1 shop"},
        {"${method} ${scheme}://${host}${uri}", "GET https://a.example/p?q=1"},
        {"${path}?${query}", "/p?q=1"},
        {"${consumer}/${tier}/${country}/${asn}", "ann/gold/FR/64496"},
        {"${header.X-Sent}", "sent"},
        {"${claim.sub}${claim.n}", "75"},
        {"<${claim.empty}>", "<>"},
        {"${claim.list}", "[1, 2]"},
        {"${claim.odd}", "\xc3\xa9\xf0\x9f\x98\x80\"/\xef\xbf\xbd"},
        {"${dollar}{path}$", "${path}$"},
        {"${claim.none}", NULL},
        {"a ${claim.none} b", NULL},
        {"${claim.bad}", NULL}, // a line of its own in somebody's log, or worse
        {"${claim.nul}", NULL},
        {"${claim.cut}", NULL},
        {"${header.x-none}", NULL},
    };
    struct bench *bench = *state;

    know(bench);
    add(bench, "x-sent", "sent");
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_made(bench, table[i][0], table[i][1]);
}

/* What a client claims to be does not pass for what the gateway knows. */
static void test_names_without_value(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "request: {set: {x-user: '${consumer}'}, add: {x-tier: '${tier}'}}"));
    add(bench, "X-User", "root");
    add(bench, "x-tier", "theirs");
    add(bench, "X-User", "admin");
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_PASS);
    assert_head(bench, "x-tier=theirs;");
}

/* Nor under a name that CGI and its kin cannot tell from the field's (RFC 3875 4.1.18). */
static void test_names_that_look_alike(void **state)
{
    struct bench *bench = *state;

    know(bench);
    assert_true(
        load(bench, "request: {set: {x-user: '${consumer}', x-edge: e}, remove: [x-gone]}"));
    add(bench, "X_User", "root");
    add(bench, "x-user", "root");
    add(bench, "X_Edge", "theirs");
    add(bench, "X_GONE", "1");
    add(bench, "x_users", "stays");
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_PASS);
    assert_head(bench, "x_users=stays;x-user=ann;x-edge=e;");
}

static void test_security(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "security: true, response: {set: {server: edge}, remove: "
                            "[permissions-policy, cross-origin-opener-policy]}"));
    add(bench, "Server", "nginx/1.2");
    add(bench, "X-Powered-By", "PHP/5");
    add(bench, "x-frame-options", "DENY");
    assert_int_equal(filter(bench)->on_response(&bench->visit), VERDICT_PASS);
    assert_head(bench, "x-frame-options=DENY;X-Content-Type-Options=nosniff;"
                       "Referrer-Policy=strict-origin-when-cross-origin;server=edge;");
}

static void test_names_without_memory(void **state)
{
    struct bench *bench = *state;

    know(bench);
    assert_true(
        load(bench, "request: {set: {x-a: 'a ${path}'}}, response: {add: {x-a: '${uri}'}}"));
    arena_init(&bench->small, NULL, 1);
    bench->visit.arena = &bench->small;
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_FAIL);
    assert_int_equal(filter(bench)->on_response(&bench->visit), VERDICT_FAIL);
}

static void test_without_memory(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "request: {add: {x-a: a, x-b: b}}, response: {set: {x-c: c}}"));
    arena_init(&bench->small, NULL, 1);
    bench->visit.arena = &bench->small;
    for (unsigned i = bench->head.count; i < bench->head.capacity; i++)
        add(bench, "x", "y");
    assert_int_equal(filter(bench)->on_request(&bench->visit), VERDICT_FAIL);
    assert_int_equal(bench->visit.reason, REASON_HEADERS_TOO_LARGE);
    assert_int_equal(filter(bench)->on_response(&bench->visit), VERDICT_FAIL);
    assert_int_equal(bench->visit.reason, REASON_HTTP_RESPONSE_HEADER_SIZE);
}

static void test_what_is_refused(void **state)
{
    struct bench *bench = *state;
    static const char *const refused[] = {
        "request: {set: {Connection: close}}",
        "request: {add: {content-length: \"0\"}}",
        "request: {remove: [Host]}",
        "response: {remove: [TRANSFER-ENCODING]}",
        "response: {set: {upgrade: h2c}}",
        "response: {set: {\"x y\": z}}",
        "response: {set: {\"x:\": z}}",
        "response: {set: {\"\": z}}",
        "response: {add: {x-split: \"a\\r\\nset-cookie: b\"}}",
        "response: {add: {x-nul: \"a\\0b\"}}",
        "response: {add: {\"x-\\u00e9\": b}}",
        "request: {set: {x-a: '${pth}'}}",
        "request: {set: {x-a: '${}'}}",
        "request: {set: {x-a: '${header.}'}}",
        "request: {set: {x-a: '${claim.}'}}",
        "response: {add: {x-a: '${path'}}",
        "response: {add: {x-a: '${path}${'}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        unsigned before = bench->diag.errors;

        assert_false(load(bench, refused[i]));
        assert_true(bench->diag.errors > before);
    }
    assert_true(load(bench, "response: {add: {x-fine: \"tab\\tand \\u00e9\"}}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_response, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_names, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_names_without_value, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_names_that_look_alike, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_security, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_names_without_memory, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_without_memory, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_what_is_refused, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
