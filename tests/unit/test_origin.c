/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shape/origin.c and shape/vary.c.
 */
#include "test_head_rig.h"

#include "edge/shape/origin.h"
#include "edge/shape/vary.h"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static struct origin_list *list_of(struct bench *bench, struct str rule)
{
    struct conf_text item = {.s = rule};
    const struct conf_texts all = {&item, 1};

    return origin_list_new(&all, &bench->arena, &bench->diag);
}

static bool fits(struct bench *bench, const char *rule, const char *origin)
{
    struct origin_list *list = list_of(bench, text(rule));
    bool is_in;

    assert_non_null(list);
    is_in = origin_list_fits(list, text(origin));
    origin_list_fini(list);
    return is_in;
}

static void test_exact(void **state)
{
    struct bench *bench = *state;

    assert_true(fits(bench, "https://a.example", "https://a.example"));
    assert_false(fits(bench, "https://a.example", "https://a.exampl"));
    assert_false(fits(bench, "https://a.example", "https://a.example."));
    assert_true(fits(bench, "chrome-extension://abc", "chrome-extension://abc"));
    assert_true(fits(bench, "null", "null"));
    assert_false(fits(bench, "null", ""));
    assert_true(fits(bench, "*", "anything"));
}

static void test_below(void **state)
{
    struct bench *bench = *state;

    assert_true(fits(bench, "https://*.a.example", "https://b.a.example"));
    assert_true(fits(bench, "https://*.a.example", "https://c.b.a.example"));
    assert_false(fits(bench, "https://*.a.example", "https://a.example"));
    assert_false(fits(bench, "https://*.a.example", "https://.a.example"));
    assert_false(fits(bench, "https://*.a.example", "https://B.a.example"));
    assert_false(fits(bench, "https://*.a.example", "https://b.a.example:1"));
    assert_false(fits(bench, "https://*.a.example", "https://b/.a.example"));
    assert_false(fits(bench, "https://*.a.example", "https://b:1.a.example"));
}

static void test_regex(void **state)
{
    struct bench *bench = *state;

    assert_true(fits(bench, "~https://(a|ab)", "https://ab")); // also where a shorter one would do
    assert_false(fits(bench, "~https://a", "https://a.evil"));
    assert_false(fits(bench, "~https://a", "evil https://a"));
    assert_false(fits(bench, "~a|b", "xb"));
    assert_false(fits(bench, "~^a$", "a\n"));
}

/* The bytes behind a NUL are part of the pattern. */
static void test_regex_with_nul(void **state)
{
    struct bench *bench = *state;
    struct origin_list *list = list_of(bench, STR("~a\0b"));

    assert_non_null(list);
    assert_false(origin_list_fits(list, STR("a")));
    assert_true(origin_list_fits(list, STR("a\0b")));
    origin_list_fini(list);
}

/* One that is wrong takes the others with it, patterns that were compiled among them. */
static void test_wrong_among_good(void **state)
{
    struct bench *bench = *state;
    struct conf_text items[] = {{.s = STR("~a")},
                                {.s = STR("bad")},
                                {.s = STR("~(")},
                                {.s = STR("https://a.example")}};
    const struct conf_texts all = {items, ARRAY_LEN(items)};

    assert_null(origin_list_new(&all, &bench->arena, &bench->diag));
    assert_int_equal(bench->diag.errors, 2);
    origin_list_fini(NULL);
}

static void add(struct bench *bench, const char *value)
{
    assert_int_equal(head_add(&bench->head, &bench->arena, STR("vary"), text(value)), OK);
}

static void assert_vary(struct bench *bench, const char *want)
{
    struct str have = head_value_name(&bench->head, STR("Vary"));

    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.p, want, have.len);
    assert_int_equal(head_remove_name(&bench->head, STR("vary")), 1);
}

static void test_vary(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(vary_add(&bench->head, &bench->arena, STR("Origin")), OK);
    assert_vary(bench, "Origin");
    add(bench, "a");
    add(bench, "b, c");
    add(bench, "");
    assert_int_equal(vary_add(&bench->head, &bench->arena, STR("Origin")), OK);
    assert_vary(bench, "a, b, c, Origin");
    add(bench, "x, oriGin");
    assert_int_equal(vary_add(&bench->head, &bench->arena, STR("Origin")), OK);
    assert_vary(bench, "x, oriGin");
}

static void test_vary_without_memory(void **state)
{
    struct bench *bench = *state;

    arena_init(&bench->small, NULL, 1);
    add(bench, "a");
    assert_int_equal(vary_add(&bench->head, &bench->small, STR("Origin")), E_NOMEM);
    assert_vary(bench, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exact, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_below, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_regex, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_regex_with_nul, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_wrong_among_good, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_vary, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_vary_without_memory, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
