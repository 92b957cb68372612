/* SPDX-License-Identifier: Apache-2.0
 *
 * Which route a request takes: hosts, paths, conditions and their order, written out by hand.
 * test_route_reference.c holds the same against a reference on random tables.
 */
#include <time.h>

#include "test_route.h"

#define NONE (-1)

static int ask(struct bench *bench, const char *method, const char *host, const char *target,
               const char *fields)
{
    struct route_match match =
        route_match(bench->table, request(bench, method, host, target, fields));

    if (!match.route)
        return NONE;
    assert_ptr_equal(match.route, &bench->conf.routes[match.index]);
    assert_false(match.method_mismatch);
    return (int)match.index;
}

static int get(struct bench *bench, const char *host, const char *target)
{
    return ask(bench, "GET", host, target, "");
}

static void hosts(void **state)
{
    static const char *const lines[] = {"@a.com",     "@*.a.com", "@*.b.a.com",
                                        "@x.b.a.com", "@[::1]",   NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(get(&bench, "a.com", "/"), 0);
    assert_int_equal(get(&bench, "A.CoM:8080", "/"), 0);
    assert_int_equal(get(&bench, "a.com.", "/"), 0);
    assert_int_equal(get(&bench, "a.com.:80", "/"), 0);
    assert_int_equal(get(&bench, "q.a.com", "/"), 1);
    assert_int_equal(get(&bench, "p.q.a.com", "/"), 1);
    assert_int_equal(get(&bench, "b.a.com", "/"), 1);
    assert_int_equal(get(&bench, "q.b.a.com", "/"), 2);
    assert_int_equal(get(&bench, "x.b.a.com", "/"), 3);
    assert_int_equal(get(&bench, "y.x.b.a.com", "/"), 2);
    assert_int_equal(get(&bench, "[::1]:80", "/"), 4);
    assert_int_equal(get(&bench, "[::1]", "/"), 4);
    assert_int_equal(get(&bench, ".a.com", "/"), NONE);
    assert_int_equal(get(&bench, "ba.com", "/"), NONE);
    assert_int_equal(get(&bench, "com", "/"), NONE);
    assert_int_equal(get(&bench, "", "/"), NONE);
    bench_fini(&bench);
}

static void less_specific_host_is_tried(void **state)
{
    static const char *const lines[] = {"@a.b.c /x", "@*.b.c /y", "@*.c /z", "/w", NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(get(&bench, "a.b.c", "/x"), 0);
    assert_int_equal(get(&bench, "a.b.c", "/y"), 1);
    assert_int_equal(get(&bench, "a.b.c", "/z"), 2);
    assert_int_equal(get(&bench, "a.b.c", "/w"), 3);
    assert_int_equal(get(&bench, "a.b.c", "/v"), NONE);
    bench_fini(&bench);
}

static void long_host(void **state)
{
    static const char *const lines[] = {"@*.com", "/any", NULL};
    struct bench bench;
    char name[300];

    (void)state;
    bench_table(&bench, lines);
    memset(name, 'a', sizeof(name));
    memcpy(name + 249, ".com", 5);
    assert_int_equal(get(&bench, name, "/any"), 0);
    memset(name + 249, 'a', 5);
    memcpy(name + 250, ".com", 5);
    assert_int_equal(get(&bench, name, "/any"), 1);
    bench_fini(&bench);
}

static void paths(void **state)
{
    static const char *const lines[] = {"/v1/*", "/v1/a/*",     "/v1/a", "~^/v[0-9]+/b$",
                                        "/*",    "/v1/a/b/c/*", "/v1/b", NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(get(&bench, "h", "/v1"), 0);
    assert_int_equal(get(&bench, "h", "/v1/"), 0);
    assert_int_equal(get(&bench, "h", "/v1/x"), 0);
    assert_int_equal(get(&bench, "h", "/v1x"), 4);
    assert_int_equal(get(&bench, "h", "/V1"), 4);
    assert_int_equal(get(&bench, "h", "/v1/a"), 2);
    assert_int_equal(get(&bench, "h", "/v1/a/"), 1);
    assert_int_equal(get(&bench, "h", "/v1/a/b"), 1);
    assert_int_equal(get(&bench, "h", "/v1/a/b/c"), 5);
    assert_int_equal(get(&bench, "h", "/v1/a/b/c/d/e/f/g"), 5);
    assert_int_equal(get(&bench, "h", "/v1/a/b/cd"), 1);
    assert_int_equal(get(&bench, "h", "/v1/b"), 6);
    // A prefix comes before a regex, and "/ *" is one.
    assert_int_equal(get(&bench, "h", "/v2/b"), 4);
    assert_int_equal(get(&bench, "h", "*"), 4);
    bench_fini(&bench);
}

static void regex_before_no_path(void **state)
{
    static const char *const lines[] = {"@h", "@h ~^/item/(\\d+)$", "@h ~item GET", "@h ~item",
                                        NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(get(&bench, "h", "/other"), 0);
    assert_int_equal(ask(&bench, "PUT", "h", "/item/12", ""), 1);
    assert_int_equal(get(&bench, "h", "/item/12"), 2);
    assert_int_equal(ask(&bench, "PUT", "h", "/my/items", ""), 3);
    bench_fini(&bench);
}

static void dot_segments(void **state)
{
    static const char *const lines[] = {"/admin/*", "/open/*", "/.well-known/*", NULL};
    static const char *const admin[] = {"/open/../admin",
                                        "/open/%2e%2e/admin/x",
                                        "/open/.%2E/admin",
                                        "//admin",
                                        "/./admin",
                                        "/admin/.",
                                        "/a/b/../../admin",
                                        "/../../admin",
                                        "/open/x/..//../admin",
                                        "/admin/x/..",
                                        "/%2e/admin",
                                        "///admin//x"};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    for (size_t i = 0; i < ARRAY_LEN(admin); i++)
        assert_int_equal(get(&bench, "h", admin[i]), 0);
    assert_int_equal(get(&bench, "h", "/open/..admin"), 1);
    assert_int_equal(get(&bench, "h", "/open/%2e%2eadmin"), 1);
    assert_int_equal(get(&bench, "h", "/.well-known/x"), 2);
    assert_int_equal(get(&bench, "h", "/open/.."), NONE);
    assert_int_equal(get(&bench, "h", "/open%2"), NONE);
    bench_fini(&bench);
}

static void long_path(void **state)
{
    static const char *const lines[] = {"/*", NULL};
    struct bench bench;
    char path[8400];

    (void)state;
    bench_table(&bench, lines);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(get(&bench, "h", path), 0);
    path[1] = '/';
    assert_int_equal(get(&bench, "h", path), NONE);
    path[8192] = '\0';
    assert_int_equal(get(&bench, "h", path), 0);
    bench_fini(&bench);
}

static void methods(void **state)
{
    static const char *const lines[] = {"/a GET", "/a POST PURGE", "/b POST", "/c GET h:x=1", NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(ask(&bench, "GET", "h", "/a", ""), 0);
    assert_int_equal(ask(&bench, "HEAD", "h", "/a", ""), 0);
    assert_int_equal(ask(&bench, "POST", "h", "/a", ""), 1);
    assert_int_equal(ask(&bench, "PURGE", "h", "/a", ""), 1);
    assert_int_equal(ask(&bench, "HEAD", "h", "/b", ""), NONE);
    assert_true(route_match(bench.table, request(&bench, "get", "h", "/a", "")).method_mismatch);
    assert_true(route_match(bench.table, request(&bench, "PUT", "h", "/c", "x=1")).method_mismatch);
    // Here more than the method kept it from fitting.
    assert_false(
        route_match(bench.table, request(&bench, "PUT", "h", "/c", "x=2")).method_mismatch);
    assert_false(route_match(bench.table, request(&bench, "PUT", "h", "/d", "")).method_mismatch);
    bench_fini(&bench);
}

static void headers_and_query(void **state)
{
    static const char *const lines[] = {
        "/",       "/ h:x-beta=1", "/ h:x-beta=1 q:v=a+b", "/ h:x-beta=*",
        "/ q:v=*", "/q q:n%=a&b",  "/q q:empty=",          NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(ask(&bench, "GET", "h", "/", ""), 0);
    assert_int_equal(ask(&bench, "GET", "h", "/", "X-Beta=1"), 1);
    assert_int_equal(ask(&bench, "GET", "h", "/", "x-beta=2"), 3);
    assert_int_equal(ask(&bench, "GET", "h", "/", "x-beta=2 x-beta=1"), 1);
    assert_int_equal(ask(&bench, "GET", "h", "/?v=a%2Bb", "x-beta=1"), 2);
    assert_int_equal(ask(&bench, "GET", "h", "/?v=a+b", "x-beta=1"), 1);
    assert_int_equal(ask(&bench, "GET", "h", "/?a&v", ""), 4);
    assert_int_equal(ask(&bench, "GET", "h", "/?vv=1&&=3", ""), 0);
    assert_int_equal(ask(&bench, "GET", "h", "/q?z=1&n%=a%26b", ""), 5);
    assert_int_equal(ask(&bench, "GET", "h", "/q?%6e%25=a%26b", ""), 5);
    assert_int_equal(ask(&bench, "GET", "h", "/q?empty", ""), 6);
    assert_int_equal(ask(&bench, "GET", "h", "/q?empty=%2", ""), NONE);
    bench_fini(&bench);
}

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void regex_is_bounded(void **state)
{
    static const char *const lines[] = {"~^(/?a+)+$", NULL};
    struct bench bench;
    char path[4000];
    double start;

    (void)state;
    bench_table(&bench, lines);
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(get(&bench, "h", path), 0);
    // Without a limit this takes longer than the universe has, with PCRE2's own one far too long.
    path[sizeof(path) - 2] = '!';
    start = cpu_ms();
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(&bench, "h", path), NONE);
    assert_true(cpu_ms() - start < 150);
    bench_fini(&bench);
}

static void bad_regex(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench, 3);
    bench_route(&bench, "~^/a(b");
    bench_route(&bench, "~^/good$");
    bench_route(&bench, "~(*UTF)x");
    bench_build(&bench);
    assert_null(bench.table);
    assert_int_equal(bench.diag.errors, 2);
    assert_non_null(strstr(bench.diag.entries[0].text.p, "at character 6"));
    assert_non_null(strstr(bench.diag.entries[0].text.p, "parenthesis"));
    bench_fini(&bench);
}

static void bad_rewrite(void **state)
{
    struct bench bench;

    (void)state;
    bench_init(&bench, 1);
    bench_route(&bench, "/a")->rewrite.regex.s = STR("[");
    bench_build(&bench);
    assert_null(bench.table);
    assert_int_equal(bench.diag.errors, 1);
    bench_fini(&bench);
}

static void duplicates(void **state)
{
    static const char *const lines[] = {
        "@a @b /x /y/* GET POST h:k=1 n:first",
        "@b @a /y/* /x h:k=1 POST GET", // all of it: never reached
        "@a @c /x GET POST h:k=1",      // reached by @c
        "@a /x GET h:k=1",              // other methods
        "@a ~re",
        "@a ~re n:again", // never reached
        "@a ~re q:k=1",
        "@a /x/. /x/ n:twice", // the same route twice is no fault
        NULL,
    };
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(bench.diag.errors, 0);
    assert_int_equal(bench.diag.count, 2);
    assert_int_equal(bench.diag.entries[0].severity, SEVERITY_WARNING);
    assert_non_null(strstr(bench.diag.entries[0].text.p, "never reached: route \"first\" at "));
    assert_int_equal(ask(&bench, "POST", "c", "/x", "k=1"), 2);
    assert_int_equal(ask(&bench, "GET", "a", "/x", "k=1"), 0);
    assert_int_equal(get(&bench, "a", "/x/"), 7);
    bench_fini(&bench);
}

static void empty_table(void **state)
{
    static const char *const lines[] = {NULL};
    struct bench bench;

    (void)state;
    bench_table(&bench, lines);
    assert_int_equal(get(&bench, "a.com", "/"), NONE);
    bench_fini(&bench);
}

static void memory_ends(void **state)
{
    struct bench bench;
    struct arena tiny;
    int built = 0;

    (void)state;
    bench_init(&bench, 2);
    bench_route(&bench, "@a @*.b /x /y/* ~z GET")->rewrite.regex.s = STR("^/(.)");
    for (size_t limit = 1; limit < 200000; limit += 4001) {
        arena_init(&tiny, NULL, limit);
        bench.table = route_table_new(&bench.conf, &tiny, &bench.diag);
        built += bench.table != NULL;
        route_table_free(&bench.table);
        arena_reset(&tiny);
    }
    assert_true(built > 0 && built < 50);
    bench_fini(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts),        cmocka_unit_test(less_specific_host_is_tried),
        cmocka_unit_test(long_host),    cmocka_unit_test(paths),
        cmocka_unit_test(dot_segments), cmocka_unit_test(regex_before_no_path),
        cmocka_unit_test(long_path),    cmocka_unit_test(methods),
        cmocka_unit_test(bad_regex),    cmocka_unit_test(headers_and_query),
        cmocka_unit_test(bad_rewrite),  cmocka_unit_test(regex_is_bounded),
        cmocka_unit_test(duplicates),   cmocka_unit_test(empty_table),
        cmocka_unit_test(memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
