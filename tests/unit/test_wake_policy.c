/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of wake_policy.c and wake_page.c: who wakes a service that sleeps, and what a browser gets
 * meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/access/wake_page.h"
#include "edge/access/wake_policy.h"

struct bench {
    struct arena arena;
    struct diag diag;
    struct conf_wake_refuse conf;
    struct conf_text texts[3][8];
    struct wake_policy *policy;
};

static struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void put(struct bench *bench, struct conf_texts *list, unsigned i, const char *text)
{
    list->items = bench->texts[i];
    list->items[list->count++].s = str_of(text);
}

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    *state = bench;
    return 0;
}

static int free_bench(void **state)
{
    struct bench *bench = *state;

    wake_policy_free(&bench->policy);
    arena_reset(&bench->arena);
    free(bench);
    return 0;
}

static void build(struct bench *bench)
{
    bench->policy = wake_policy_new(&bench->conf, &bench->arena, &bench->diag);
    assert_non_null(bench->policy);
}

static struct wake_policy_why ask(struct bench *bench, const char *method, const char *path,
                                  const char *agent)
{
    struct head head = {0};

    assert_int_equal(head_init(&head, &bench->arena, 2), OK);
    head.method_name = str_of(method);
    head.path = str_of(path);
    head.method = !strcmp(method, "GET")    ? METHOD_GET
                  : !strcmp(method, "HEAD") ? METHOD_HEAD
                                            : METHOD_POST;
    if (agent)
        assert_int_equal(head_add(&head, &bench->arena, STR("User-Agent"), str_of(agent)), OK);
    return wake_policy_refuses(bench->policy, &head, head.path);
}

static void assert_why(struct wake_policy_why why, const char *kind, const char *entry)
{
    assert_non_null(why.kind);
    assert_string_equal(why.kind, kind);
    assert_true(str_same(why.entry, str_of(entry)));
}

static void nothing_is_refused_where_nothing_is_said(void **state)
{
    struct bench *bench = *state;

    build(bench);
    assert_null(ask(bench, "OPTIONS", "/.env", "Googlebot").kind);
    assert_null(ask(bench, "GET", "", NULL).kind);
}

static void what_fits_is_told(void **state)
{
    struct bench *bench = *state;

    put(bench, &bench->conf.agents, 0, "monitors");
    put(bench, &bench->conf.agents, 0, "none");
    put(bench, &bench->conf.paths, 1, "scanners");
    put(bench, &bench->conf.paths, 1, "/a/*");
    put(bench, &bench->conf.paths, 1, "/b");
    put(bench, &bench->conf.paths, 1, "~^/c[0-9]$");
    put(bench, &bench->conf.methods, 2, "PURGE");
    build(bench);
    assert_why(ask(bench, "PURGE", "/.env", NULL), "method", "PURGE");
    assert_why(ask(bench, "POST", "/.env", "x"), "path", "scanners");
    assert_why(ask(bench, "GET", "/a/b", "x"), "path", "/a/*");
    assert_why(ask(bench, "GET", "/b", "x"), "path", "/b");
    assert_why(ask(bench, "GET", "/c7", "x"), "path", "~^/c[0-9]$");
    assert_why(ask(bench, "GET", "/", NULL), "agent", "none");
    assert_why(ask(bench, "GET", "/", "kube-probe/1.30"), "agent", "monitors");
    assert_null(ask(bench, "GET", "/a", "x").kind);
    assert_null(ask(bench, "GET", "/b/", "x").kind);
    assert_null(ask(bench, "GET", "/c77", "x").kind);
    assert_null(ask(bench, "purge", "/", "x").kind);
}

static void what_is_asked_by_itself_is_only_read(void **state)
{
    static const char *const paths[] = {"/healthz", "/favicon.ico", "/robots.txt", "/ping"};
    struct bench *bench = *state;

    put(bench, &bench->conf.paths, 1, "probes");
    put(bench, &bench->conf.paths, 1, "automatic");
    build(bench);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_non_null(ask(bench, "GET", paths[i], "x").kind);
        assert_non_null(ask(bench, "HEAD", paths[i], "x").kind);
        assert_null(ask(bench, "POST", paths[i], "x").kind);
    }
}

static void long_paths_are_looked_at_in_part(void **state)
{
    struct bench *bench = *state;
    char path[9000];

    put(bench, &bench->conf.paths, 1, "scanners");
    put(bench, &bench->conf.agents, 0, "scanners");
    build(bench);
    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_null(ask(bench, "GET", path, path).kind);
    memcpy(path, "/.env", 5);
    assert_non_null(ask(bench, "GET", path, path).kind);
}

static void assert_wrong(struct bench *bench, const char *words)
{
    struct str report;

    assert_null(wake_policy_new(&bench->conf, &bench->arena, &bench->diag));
    report = diag_report(&bench->diag);
    assert_non_null(memmem(report.p, report.len, words, strlen(words)));
}

static void a_class_that_there_is_not(void **state)
{
    struct bench *bench = *state;

    put(bench, &bench->conf.paths, 1, "scaners");
    assert_wrong(bench, "did you mean \"scanners\"?");
}

static void a_path_that_is_none(void **state)
{
    struct bench *bench = *state;

    put(bench, &bench->conf.paths, 1, "quite/another/thing");
    assert_wrong(bench, "a path begins with \"/\"");
}

static void a_pattern_that_is_none(void **state)
{
    struct bench *bench = *state;

    put(bench, &bench->conf.paths, 1, "/good");
    put(bench, &bench->conf.paths, 1, "~(");
    put(bench, &bench->conf.paths, 1, "scanners");
    assert_wrong(bench, "parenthes");
}

static void an_agent_that_is_none(void **state)
{
    struct bench *bench = *state;

    put(bench, &bench->conf.agents, 0, "monitor");
    assert_wrong(bench, "did you mean \"monitors\"?");
}

/* --- the page */

static void assert_has(struct str page, const char *words)
{
    assert_non_null(page.p);
    if (!memmem(page.p, page.len, words, strlen(words)))
        fail_msg("\"%s\" is not in %.*s", words, STR_FMT(page));
}

static void the_page_says_when(void **state)
{
    struct bench *bench = *state;

    assert_has(wake_page(&bench->arena, 7, STR("id-1")), "about 7 more seconds;");
    assert_has(wake_page(&bench->arena, 7, STR("id-1")), "content=\"7\"");
    assert_has(wake_page(&bench->arena, 7, STR("id-1")), "request id-1");
    assert_has(wake_page(&bench->arena, 1, STR("-")), "about 1 more second;");
    assert_has(wake_page(&bench->arena, 90, STR("-")), "content=\"10\"");
    assert_has(wake_page(&bench->arena, 0, STR("-")), "It is being started; this page");
    assert_has(wake_page(&bench->arena, 0, STR("-")), "content=\"3\"");
}

static void a_page_without_memory(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 64);
    assert_null(wake_page(&arena, 7, STR("id")).p);
    arena_reset(&arena);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_bench, free_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_refused_where_nothing_is_said),
        TEST(what_fits_is_told),
        TEST(what_is_asked_by_itself_is_only_read),
        TEST(long_paths_are_looked_at_in_part),
        TEST(a_class_that_there_is_not),
        TEST(a_path_that_is_none),
        TEST(a_pattern_that_is_none),
        TEST(an_agent_that_is_none),
        TEST(the_page_says_when),
        TEST(a_page_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
