/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: places, quoted lines, carets, order, the ceiling, and the nearest word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/diag.h"

struct bench {
    struct arena arena;
    struct diag diag;
};

static int set_up(void **state)
{
    static struct bench bench;

    arena_init(&bench.arena, NULL, 0);
    diag_init(&bench.diag, &bench.arena);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    return 0;
}

/* The place of `word` in a text that becomes a source. */
static struct span find(struct diag *diag, const char *text, const char *word)
{
    const struct source *source =
        diag_source(diag, STR("conf/edge.yaml"), (struct str){text, strlen(text)});
    const char *at = strstr(source->text.p, word);

    assert_non_null(at);
    return (struct span){source, (uint32_t)(at - source->text.p), (uint32_t)strlen(word)};
}

static void assert_str(struct str s, const char *text)
{
    char copy[4096];

    assert_true(s.len < sizeof(copy));
    memcpy(copy, s.p, s.len);
    copy[s.len] = '\0';
    assert_string_equal(copy, text);
}

static void quotes_line_with_caret(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span at = find(diag, "routes:\n  - paths: [/pay]\n    service: chekout\n", "chekout");

    diag_error(diag, at, "no service named \"%s\"", "chekout");
    diag_hint(diag, "did you mean \"%s\" (line %d)?", "checkout", 6);
    assert_str(diag_render(diag, &diag->entries[0]),
               "conf/edge.yaml:3:14: error: no service named \"chekout\"\n"
               "    3 |     service: chekout\n"
               "      |              ^~~~~~~ did you mean \"checkout\" (line 6)?\n");
}

static void columns_count_characters(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span at = find(diag, "a: [\xc3\xa9\xe2\x82\xac, x\xc3\xa9]\n", "x\xc3\xa9");

    assert_str(diag_place(diag, at), "conf/edge.yaml:1:9");
    diag_warn(diag, at, "odd");
    assert_str(diag_render(diag, &diag->entries[0]),
               "conf/edge.yaml:1:9: warning: odd\n"
               "    1 | a: [\xc3\xa9\xe2\x82\xac, x\xc3\xa9]\n"
               "      |         ^~\n");
}

static void carets_stop_at_line_end(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span at = find(diag, "a: |\r\n  one\r\n  two\r\n", "|");

    at.length = 15;
    diag_error(diag, at, "long");
    assert_str(diag_render(diag, &diag->entries[0]), "conf/edge.yaml:1:4: error: long\n"
                                                     "    1 | a: |\n"
                                                     "      |    ^\n");
}

static void long_lines_are_cut(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    static char text[10001];
    struct str out;

    memset(text, 'a', 10000);
    memcpy(text + 5000, "needle", 6);
    diag_error(diag, find(diag, text, "needle"), "here");
    out = diag_render(diag, &diag->entries[0]);
    assert_true(out.len < 600);
    assert_non_null(memmem(out.p, out.len, "needle", 6));
    assert_non_null(memmem(out.p, out.len, "conf/edge.yaml:1:5001:", 22));
}

static void places_past_the_end_are_safe(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span at = find(diag, "a: b", "b");

    at.offset = 1000;
    at.length = UINT32_MAX;
    diag_error(diag, at, "end");
    assert_str(diag_render(diag, &diag->entries[0]), "conf/edge.yaml:1:5: error: end\n"
                                                     "    1 | a: b\n"
                                                     "      |     ^\n");
    assert_null(diag_place(diag, (struct span){0}).p);
    assert_int_equal(diag_line((struct span){0}), 0);
}

static void control_characters_are_not_shown(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span at = find(diag, "a: \"\x1b[31m\"\tb\n", "b");

    diag_error(diag, at, "bad \x1b[31m");
    assert_str(diag_render(diag, &diag->entries[0]), "conf/edge.yaml:1:12: error: bad ?[31m\n"
                                                     "    1 | a: \" [31m\" b\n"
                                                     "      |            ^\n");
}

static void secrets_are_not_quoted(void **state)
{
    struct bench *bench = *state;
    const char *text = "tokens: [{name: é, token: sé-cret, can: now}]\n";
    struct span name = find(&bench->diag, text, "now");
    const char *secret = strstr(name.source->text.p, "sé-cret");

    diag_hide(&bench->diag, (struct span){name.source, (uint32_t)(secret - name.source->text.p),
                                          (uint32_t)strlen("sé-cret")});
    diag_error(&bench->diag, name, "no such right");
    assert_str(diag_render(&bench->diag, &bench->diag.entries[0]),
               "conf/edge.yaml:1:41: error: no such right\n"
               "    1 | tokens: [{name: é, token: ********, can: now}]\n"
               "      |                                          ^~~\n");
}

static void report_is_in_order(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct span b = find(diag, "one: a\ntwo: b\n", "b"), a = b;

    a.offset -= 7;
    diag_error(diag, b, "second");
    diag_error(diag, b, "third");
    diag_error(diag, a, "first");
    diag_error(diag, (struct span){0}, "without a place");
    diag_hint(diag, "a hint");
    assert_str(diag_report(diag), "error: without a place; a hint\n"
                                  "conf/edge.yaml:1:6: error: first\n"
                                  "    1 | one: a\n"
                                  "      |      ^\n"
                                  "conf/edge.yaml:2:6: error: second\n"
                                  "    2 | two: b\n"
                                  "      |      ^\n"
                                  "conf/edge.yaml:2:6: error: third\n"
                                  "    2 | two: b\n"
                                  "      |      ^\n");
}

static void more_than_fifty_are_counted(void **state)
{
    struct diag *diag = &((struct bench *)*state)->diag;
    struct str report;

    for (int i = 0; i < 57; i++)
        diag_error(diag, (struct span){0}, "wrong %d", i);
    diag_hint(diag, "lost");
    assert_int_equal(diag->count, 50);
    assert_int_equal(diag->errors, 57);
    report = diag_report(diag);
    assert_memory_equal(report.p + report.len - 14, "\u2026and 7 more\n", 14);
    assert_null(memmem(report.p, report.len, "lost", 4));
}

static void nearest_word(void **state)
{
    static const char *const names[] = {"targets", "balance", "bind", "hosts"};

    (void)state;
    assert_string_equal(diag_nearest(STR("tagets"), names, 4), "targets");
    assert_string_equal(diag_nearest(STR("tragets"), names, 4), "targets");
    assert_string_equal(diag_nearest(STR("balanec"), names, 4), "balance");
    assert_string_equal(diag_nearest(STR("bnid"), names, 4), "bind");
    assert_string_equal(diag_nearest(STR("host"), names, 4), "hosts");
    assert_null(diag_nearest(STR("xyz"), names, 4));
    assert_null(diag_nearest(STR(""), names, 4));
    assert_null(diag_nearest(STR("completely_else"), names, 4));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(quotes_line_with_caret),       TEST(columns_count_characters),
        TEST(carets_stop_at_line_end),      TEST(long_lines_are_cut),
        TEST(places_past_the_end_are_safe), TEST(control_characters_are_not_shown),
        TEST(secrets_are_not_quoted),       TEST(report_is_in_order),
        TEST(more_than_fifty_are_counted),  TEST(nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
