/* SPDX-License-Identifier: Apache-2.0
 *
 * What a terminal sends for keys, whole, in pieces and wrong.
 */
#include "cli/top_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void keys_are_known(void **state)
{
    static const struct {
        const char *bytes;
        enum top_key key;
    } cases[] = {
        {"q", TOP_KEY_TEXT},          {"\t", TOP_KEY_TAB},
        {"\r", TOP_KEY_ENTER},        {"\n", TOP_KEY_ENTER},
        {"\x7f", TOP_KEY_BACKSPACE},  {"\b", TOP_KEY_BACKSPACE},
        {"\x03", TOP_KEY_QUIT},       {"\x04", TOP_KEY_QUIT},
        {"\x0c", TOP_KEY_REDRAW},     {"\x15", TOP_KEY_CLEAR},
        {"\x01", TOP_KEY_NONE},       {"\033[A", TOP_KEY_UP},
        {"\033[B", TOP_KEY_DOWN},     {"\033[C", TOP_KEY_RIGHT},
        {"\033[D", TOP_KEY_LEFT},     {"\033OA", TOP_KEY_UP},
        {"\033[H", TOP_KEY_HOME},     {"\033OF", TOP_KEY_END},
        {"\033[1~", TOP_KEY_HOME},    {"\033[4~", TOP_KEY_END},
        {"\033[5~", TOP_KEY_PAGE_UP}, {"\033[6~", TOP_KEY_PAGE_DOWN},
        {"\033[Z", TOP_KEY_BACK_TAB}, {"\033[1;5C", TOP_KEY_RIGHT},
        {"\033[3~", TOP_KEY_NONE},    {"\033[15~", TOP_KEY_NONE},
        {"ü", TOP_KEY_TEXT},          {"\xff", TOP_KEY_NONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str bytes = {cases[i].bytes, strlen(cases[i].bytes)};
        struct top_press press;

        assert_int_equal(top_keys_next(bytes, true, &press), bytes.len);
        assert_int_equal(press.key, cases[i].key);
        if (press.key == TOP_KEY_TEXT)
            assert_string_equal(press.text, cases[i].bytes);
    }
}

static void the_rest_is_waited_for(void **state)
{
    static const char *const parts[] = {"", "\033", "\033[", "\033[1", "\033[1;", "\033O", "\xc3"};
    struct top_press press;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        assert_int_equal(top_keys_next((struct str){parts[i], strlen(parts[i])}, false, &press), 0);
    assert_int_equal(top_keys_next(STR("\033"), true, &press), 1);
    assert_int_equal(press.key, TOP_KEY_ESCAPE);
    assert_int_equal(top_keys_next(STR("\033["), true, &press), 2);
    assert_int_equal(press.key, TOP_KEY_NONE);
}

static void one_after_the_other(void **state)
{
    struct top_press press;

    (void)state;
    assert_int_equal(top_keys_next(STR("\033[Bq"), false, &press), 3);
    assert_int_equal(press.key, TOP_KEY_DOWN);
    assert_int_equal(top_keys_next(STR("\033q"), false, &press), 1);
    assert_int_equal(press.key, TOP_KEY_ESCAPE);
}

/* Any bytes are used up in the end, one at least at a time. */
static void anything_ends(void **state)
{
    char bytes[64];
    struct top_press press;

    (void)state;
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        struct str left = {bytes, (size_t)(1 + rand() % 64)};

        for (size_t i = 0; i < left.len; i++)
            bytes[i] = "\033[O;1~A\xc3\xe5q\x03\xff"[rand() % 12];
        while (left.len) {
            size_t n = top_keys_next(left, true, &press);

            assert_in_range(n, 1, left.len);
            left = (struct str){left.p + n, left.len - n};
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_known),
        cmocka_unit_test(the_rest_is_waited_for),
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(anything_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
