/* SPDX-License-Identifier: Apache-2.0
 *
 * Cells of a grid: no byte of a text steers a terminal, and only what differs is painted.
 */
#include "cli/top_frame.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a row reads, after a text was put to it. */
static const char *put(unsigned width, bool is_utf8, const char *text, char out[256])
{
    struct top_frame frame;
    size_t size;
    char *p = NULL;
    FILE *file = open_memstream(&p, &size);

    assert_int_equal(top_frame_init(&frame, width, 1, is_utf8), OK);
    top_frame_put(&frame, (struct top_at){.width = width}, text);
    top_frame_print(&frame, 0, file);
    fclose(file);
    snprintf(out, 256, "%.*s", (int)strcspn(p, "\n"), p);
    free(p);
    top_frame_fini(&frame);
    return out;
}

static void texts_are_seen(void **state)
{
    char out[256];

    (void)state;
    assert_string_equal(put(10, true, "shop", out), "shop");
    assert_string_equal(put(10, true, "Zürich", out), "Zürich");
    assert_string_equal(put(10, true, "店", out), "店");
    assert_int_equal(top_frame_columns("店x", true), 3);
    assert_string_equal(put(10, false, "Zürich", out), "Z?rich");
    assert_string_equal(put(10, true, "", out), "");
}

static void nothing_steers(void **state)
{
    static const struct {
        const char *text, *seen;
    } cases[] = {
        {"a\033[2Jb", "a?[2Jb"},
        {"a\nb\rc\td", "a?b?c?d"},
        {"\x7f\x01", "??"},
        {"\xc2\x9b"
         "2J",
         "?2J"}, // CSI as one control (C1)
        {"\xff\xfe", "??"},
        {"\xe2\x80\xae"
         "txt",
         "?txt"},                // turns the direction of writing
        {"e\xcc\x81", "e?"},     // a mark on what stands before
        {"\xe2\x80\x8b", "?"},   // takes no room
        {"\xed\xa0\x80", "???"}, // a surrogate
        {"cut\xe5\xba", "cut??"},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(put(20, true, cases[i].text, out), cases[i].seen);
}

static void what_is_cut_says_so(void **state)
{
    char out[256];

    (void)state;
    assert_string_equal(put(4, true, "abcd", out), "abcd");
    assert_string_equal(put(4, true, "abcde", out), "abc…");
    assert_string_equal(put(4, false, "abcde", out), "abc~");
    assert_string_equal(put(4, true, "abc店", out), "abc…");
    assert_string_equal(put(3, true, "店店", out), "店…");
    assert_string_equal(put(1, true, "店", out), "…");
}

static void outside_is_left_out(void **state)
{
    struct top_frame frame;

    (void)state;
    assert_int_equal(top_frame_init(&frame, 4, 2, true), OK);
    assert_int_equal(top_frame_put(&frame, (struct top_at){.row = 2, .width = 4}, "x"), 0);
    assert_int_equal(top_frame_put(&frame, (struct top_at){.column = 4, .width = 4}, "x"), 0);
    assert_int_equal(top_frame_put(&frame, (struct top_at){.column = 3, .width = 9}, "xyz"), 1);
    assert_int_equal(top_frame_put(&frame, (struct top_at){.width = 0}, "x"), 0);
    top_frame_dye(&frame, 7, TOP_BAR);
    top_frame_put_right(&frame, (struct top_at){.row = 1, .width = 4}, "12");
    assert_int_equal(frame.cells[4 + 1].rune, ' ');
    assert_int_equal(frame.cells[4 + 2].rune, '1');
    top_frame_fini(&frame);
}

static void sizes_are_bounded(void **state)
{
    struct top_frame frame;

    (void)state;
    assert_int_equal(top_frame_init(&frame, 65535, 65535, true), OK);
    assert_int_equal(frame.width, TOP_WIDTH_MAX);
    assert_int_equal(frame.height, TOP_HEIGHT_MAX);
    top_frame_fini(&frame);
    assert_int_equal(top_frame_init(&frame, 0, 0, true), OK);
    assert_int_equal(top_frame_put(&frame, (struct top_at){.width = 9}, "x"), 0);
    top_frame_fini(&frame);
}

/* --- painting */

static char *paint(const struct top_frame *frame, const struct top_frame *old, bool has_colours)
{
    size_t size;
    char *p = NULL;
    FILE *file = open_memstream(&p, &size);

    top_frame_paint(frame, old, has_colours, file);
    fclose(file);
    return p;
}

static void paints_as(const struct top_frame *frame, const struct top_frame *old, const char *text)
{
    char *p = paint(frame, old, true);

    assert_string_equal(p, text);
    free(p);
}

static void only_what_differs(void **state)
{
    struct top_frame old, frame, other;

    (void)state;
    assert_int_equal(top_frame_init(&old, 10, 3, true), OK);
    assert_int_equal(top_frame_init(&frame, 10, 3, true), OK);
    assert_int_equal(top_frame_init(&other, 9, 3, true), OK);
    paints_as(&frame, &old, "");
    top_frame_put(&old, (struct top_at){.row = 1, .width = 10}, "rate 100");
    top_frame_put(&frame, (struct top_at){.row = 1, .width = 10}, "rate 120");
    paints_as(&frame, &old, "\033[2;7H\033[0m2\033[0m");
    top_frame_put(&frame, (struct top_at){.row = 1, .width = 10, .style = TOP_BAD}, "rate 100");
    paints_as(&frame, &old, "\033[2;1H\033[0;1;31mrate 100\033[0m");
    top_frame_clear(&frame);
    paints_as(&frame, &old, "\033[2;1H\033[0m    \033[2;6H   \033[0m");
    // Nothing is known of a screen of another size.
    paints_as(&frame, &other, "\033[0m\033[2J");
    paints_as(&frame, NULL, "\033[0m\033[2J");
    top_frame_fini(&old);
    top_frame_fini(&frame);
    top_frame_fini(&other);
}

static void wide_characters_are_whole(void **state)
{
    struct top_frame old, frame;

    (void)state;
    assert_int_equal(top_frame_init(&old, 4, 1, true), OK);
    assert_int_equal(top_frame_init(&frame, 4, 1, true), OK);
    top_frame_put(&old, (struct top_at){.width = 4}, "店a");
    top_frame_put(&frame, (struct top_at){.width = 4}, "ab");
    paints_as(&frame, &old, "\033[1;1H\033[0mab \033[0m");
    paints_as(&old, &frame, "\033[1;1H\033[0m店a\033[0m");
    top_frame_fini(&old);
    top_frame_fini(&frame);
}

static void without_colours(void **state)
{
    struct top_frame frame;
    char *p;

    (void)state;
    assert_int_equal(top_frame_init(&frame, 20, TOP_STYLES, true), OK);
    for (unsigned style = 0; style < TOP_STYLES; style++)
        top_frame_put(&frame, (struct top_at){style, 0, 20, (enum top_style)style}, "x");
    p = paint(&frame, NULL, false);
    assert_null(strstr(p, ";3"));
    assert_non_null(strstr(p, "\033[0;7m"));
    free(p);
    p = paint(&frame, NULL, true);
    assert_non_null(strstr(p, ";31m"));
    free(p);
    top_frame_fini(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_seen),
        cmocka_unit_test(nothing_steers),
        cmocka_unit_test(what_is_cut_says_so),
        cmocka_unit_test(outside_is_left_out),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(only_what_differs),
        cmocka_unit_test(wide_characters_are_whole),
        cmocka_unit_test(without_colours),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
