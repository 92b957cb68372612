/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of targets outside the configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "config/conf_targets.h"

static void expect_error(const char *text, const char *place, const char *words)
{
    struct arena arena;
    struct diag diag;
    const struct diag_entry *first = diag.entries;
    struct str where;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    assert_null(conf_targets_parse((struct str){text, strlen(text)}, "list", &arena, &diag));
    assert_true(diag.count > 0);
    where = diag_place(&diag, first->at);
    assert_string_equal(where.p, place);
    if (!strstr(first->text.p, words))
        fail_msg("%s: %s", text, first->text.p);
    arena_reset(&arena);
}

static void test_lists(void **state)
{
    static const char *const texts[] = {
        "[{\"id\": \"a\", \"address\": \"h:1\", \"weight\": 7, \"region\": \"r\", \"priority\": "
        "3}, \"[::1]:2\"]",
        "- {id: a, address: h:1, weight: 7, region: r, priority: 3}\n- '[::1]:2'\n",
        "targets:\n- {id: a, address: h:1, weight: 7, region: r, priority: 3}\n- '[::1]:2'\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct conf_target_list *list;
        struct arena arena;
        struct diag diag;

        arena_init(&arena, NULL, 0);
        diag_init(&diag, &arena);
        list = conf_targets_parse((struct str){texts[i], strlen(texts[i])}, "list", &arena, &diag);
        assert_non_null(list);
        assert_int_equal(list->count, 2);
        assert_string_equal(list->items[0].id.s.p, "a");
        assert_string_equal(list->items[0].region.s.p, "r");
        assert_int_equal(list->items[0].weight, 7);
        assert_int_equal(list->items[0].priority, 3);
        assert_string_equal(list->items[1].id.s.p, "[::1]:2");
        assert_int_equal(list->items[1].weight, 1);
        arena_reset(&arena);
    }
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("", "list:1:1", "it lists no targets");
    expect_error("~", "list:1:1", "it lists no targets");
    expect_error("[]", "list:1:1", "the list is empty");
    expect_error("{}", "list:1:1", "it lists no targets");
    expect_error("text", "list:1:1", "expected a list");
    expect_error("- a:1\n- {id: x}\n", "list:2:3", "\"address\" is missing");
    expect_error("- a:1\n- b:0\n", "list:2:3", "no port");
    expect_error("- a:1\n- a:1\n", "list:2:3", "written twice");
    expect_error("services: {a: {targets: [\"a:1\"]}}", "list:1:1", "unknown key");
    expect_error("- ${env:HOME}:1\n", "list:1:3", "${env:HOME}:1"); // as it is written
    expect_error("- a: [\n", "list:2:1", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
