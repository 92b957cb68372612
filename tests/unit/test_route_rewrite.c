/* SPDX-License-Identifier: Apache-2.0
 *
 * The path sent on, the Location of a redirect, and the words of route_explain().
 */
#include "test_route.h"

static void assert_str(struct str got, const char *expected)
{
    assert_non_null(got.p);
    if (got.len != strlen(expected) || memcmp(got.p, expected, got.len) != 0)
        fail_msg("got \"%.*s\", expected \"%s\"", STR_FMT(got), expected);
}

static void rewrites(void **state)
{
    static const struct {
        const char *strip, *add, *regex, *replace, *path, *expected;
    } cases[] = {
        {"", "", "", "", "/a/../b", "/a/../b"},
        {"/v1", "", "", "", "/v1/x", "/x"},
        {"/v1/", "", "", "", "/v1/x", "/x"},
        {"/v1", "", "", "", "/v1", "/"},
        {"/v1", "", "", "", "/v1/", "/"},
        {"/v1", "", "", "", "/v1x", "/v1x"},
        {"/v1", "", "", "", "/a/%2e%2e/v1//x", "/x"},
        {"/", "", "", "", "/x", "/x"},
        {"", "/api", "", "", "/x", "/api/x"},
        {"", "/api/", "", "", "/x", "/api/x"},
        {"", "api", "", "", "/x", "/api/x"},
        {"/v1", "/v2", "", "", "/v1/x", "/v2/x"},
        {"/v1", "/v2", "", "", "/v1", "/v2/"},
        {"/v1", "/v2", "", "", "/other", "/v2/other"},
        {"/v1", "/v2", "", "", "*", "*"},
        {"", "", "^/item/(\\d+)/(.*)$", "/$2?id=$1", "/item/12/x", "/x?id=12"},
        {"", "", "^/item/(\\d+)", "item$$-$1-$0$9$x$", "/item/12/x", "/item$-12-/item/12$x$/x"},
        {"", "", "b", "", "/abcb", "/acb"},
        {"", "", "^.*$", "", "/abc", "/"},
        {"", "", "(x)?a(?=b)", "[$1]", "/ab", "/[]b"},
        {"", "", "nothing", "/x", "/./a", "/./a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench bench;
        struct conf_route *route;

        bench_init(&bench, 1);
        route = bench_route(&bench, "");
        route->rewrite.strip_prefix.s = str_of(cases[i].strip);
        route->rewrite.add_prefix.s = str_of(cases[i].add);
        route->rewrite.regex.s = str_of(cases[i].regex);
        route->rewrite.replace.s = str_of(cases[i].replace);
        bench_build(&bench);
        assert_non_null(bench.table);
        assert_str(route_rewrite(bench.table, 0, request(&bench, "GET", "h", cases[i].path, ""),
                                 &bench.arena),
                   cases[i].expected);
        bench_fini(&bench);
    }
}

static void unchanged_path_is_the_same(void **state)
{
    struct bench bench;
    struct head *head;

    (void)state;
    bench_init(&bench, 1);
    bench_route(&bench, "/*");
    bench_build(&bench);
    head = request(&bench, "GET", "h", "/x", "");
    assert_ptr_equal(route_rewrite(bench.table, 0, head, &bench.arena).p, head->path.p);
    bench_fini(&bench);
}

static void redirects(void **state)
{
    static const struct {
        const char *to, *target, *expected;
    } cases[] = {
        {"https://b.com${path}", "/x/../y?q=1", "https://b.com/x/../y"},
        {"https://b.com${path}?${query}", "/x?q=1", "https://b.com/x?q=1"},
        {"https://b.com${uri}", "/x?q=1", "https://b.com/x?q=1"},
        {"https://b.com${uri}", "/x", "https://b.com/x"},
        {"https://b.com${uri}", "/x?", "https://b.com/x?"},
        {"${scheme}://www.${host}${path}", "/x", "https://www.a.com/x"},
        {"/fixed", "/x?q", "/fixed"},
        {"${unknown}$${path", "/x", "${unknown}$${path"},
        {"$${path}", "/x", "$/x"},
        {"${path}/", "/x", "/x/"},
        {"${path}", "//evil.com/x", "/evil.com/x"},
        {"${path}", "/\\/evil.com/x", "/evil.com/x"},
        {"${uri}", "///", "/"},
        {"/${path}", "/x", "/x"},
        {"//cdn.com${path}", "/x", "//cdn.com/x"},
        {"https://b.com${path}", "//x", "https://b.com//x"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench bench;
        struct conf_route *route;

        bench_init(&bench, 1);
        route = bench_route(&bench, "");
        route->redirect.to.s = str_of(cases[i].to);
        assert_str(route_redirect(route, request(&bench, "GET", "a.com:8080", cases[i].target, ""),
                                  STR("https"), &bench.arena),
                   cases[i].expected);
        bench_fini(&bench);
    }
}

static void redirect_refuses_control_characters(void **state)
{
    static const char *const targets[] = {"/x\r\nSet-Cookie:a", "/x\n", "/a b", "/x?\r",
                                          "/x?a\x7f"};
    struct bench bench;
    struct conf_route *route;

    (void)state;
    bench_init(&bench, 1);
    route = bench_route(&bench, "");
    route->redirect.to.s = STR("https://b.com${uri}");
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        assert_null(route_redirect(route, request(&bench, "GET", "h", targets[i], ""), STR("http"),
                                   &bench.arena)
                        .p);
    route->redirect.to.s = STR("http://${host}/");
    assert_null(
        route_redirect(route, request(&bench, "GET", "h\r\n", "/", ""), STR("http"), &bench.arena)
            .p);
    bench_fini(&bench);
}

static void explains(void **state)
{
    static const char *const lines[] = {"/*",
                                        "@*.example.com /v1/* h:x=1 GET",
                                        "@*.example.com /v1/* POST PUT",
                                        "@a.example.com /exact",
                                        "@other.com",
                                        "@*.example.com ~^/w",
                                        "@a.example.com q:k=*",
                                        "@a.example.com q:k=1",
                                        NULL};
    static const struct {
        uint32_t index;
        bool fits;
        const char *why;
    } expected[] = {
        {3, false, "path /v1/x is not /exact"},
        {6, true, "host a.example.com, any path, 1 condition"},
        {7, false, "query parameter k is not \"1\""},
        {1, true, "host *.example.com, prefix /v1 (3 bytes), 2 conditions"},
        {2, false, "method GET not among POST, PUT"},
        {5, false, "path /v1/x does not match ~^/w"},
        {0, true, "any host, prefix / (0 bytes), 0 conditions"},
    };
    struct route_explained out[8];
    struct bench bench;
    struct head *head;

    (void)state;
    bench_table(&bench, lines);
    head = request(&bench, "GET", "A.example.com", "/v1/x?k=2", "x=1");
    assert_int_equal(route_explain(bench.table, head, &bench.arena, out, 8), ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_int_equal(out[i].index, expected[i].index);
        assert_int_equal(out[i].fits, expected[i].fits);
        assert_str(out[i].why, expected[i].why);
    }
    assert_int_equal(route_explain(bench.table, head, &bench.arena, NULL, 0), ARRAY_LEN(expected));
    head = request(&bench, "GET", "a.example.com", "/v1/x", "");
    route_explain(bench.table, head, &bench.arena, out, 4);
    assert_str(out[1].why, "query parameter k is absent");
    assert_str(out[3].why, "header x is not \"1\"");
    bench_fini(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites),  cmocka_unit_test(unchanged_path_is_the_same),
        cmocka_unit_test(redirects), cmocka_unit_test(redirect_refuses_control_characters),
        cmocka_unit_test(explains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
