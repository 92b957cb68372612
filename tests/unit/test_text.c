/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of text.c: numbers, JSON escaping, UTF-8.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

static void test_numbers(void **state)
{
    (void)state;
    const uint64_t edges[] = {0, 1, 9, 10, 99, 100, 101, 999, 1000, 65535, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        char expected[64], out[64] = {0};
        snprintf(expected, sizeof(expected), "%" PRIu64, edges[i]);
        *text_u64(out, edges[i]) = '\0';
        assert_string_equal(out, expected);
        snprintf(expected, sizeof(expected), "%" PRIx64, edges[i]);
        *text_hex(out, edges[i]) = '\0';
        assert_string_equal(out, expected);
        snprintf(expected, sizeof(expected), "%" PRIu64 ".%03u", edges[i] / 1000,
                 (unsigned)(edges[i] % 1000));
        *text_milli(out, edges[i]) = '\0';
        assert_string_equal(out, expected);
    }
}

static void assert_json(struct str in, const char *expected)
{
    char *copy = malloc(in.len + 1), *out = malloc(in.len * TEXT_JSON_FACTOR + 1);
    memcpy(copy, in.p, in.len);
    *text_json(out, (struct str){copy, in.len}) = '\0';
    assert_string_equal(out, expected);
    free(copy);
    free(out);
}

static void test_json_strings(void **state)
{
    (void)state;
    assert_json(STR(""), "");
    assert_json(STR("plain text of more than eight bytes ~\x7f"),
                "plain text of more than eight bytes ~\x7f");
    assert_json(STR("a\"b\\c/d"), "a\\\"b\\\\c/d");
    assert_json(STR("\b\t\n\f\r"), "\\b\\t\\n\\f\\r");
    assert_json(STR("\0\x01\x1f"), "\\u0000\\u0001\\u001f");
    assert_json(STR("z\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
                "z\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_json_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    assert_json(STR("\xff"), "\\ufffd");
    assert_json(STR("\x80"), "\\ufffd");
    assert_json(STR("\xc0\xaf"), "\\ufffd\\ufffd");
    assert_json(STR("\xe0\x80\x80"), "\\ufffd\\ufffd\\ufffd");
    assert_json(STR("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd");
    assert_json(STR("\xf4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd");
    assert_json(STR("\xe2\x82"), "\\ufffd\\ufffd");
    assert_json(STR("\xe2\x82"
                    "AAAAAAAAAAAA"),
                "\\ufffd\\ufffdAAAAAAAAAAAA");
}

/* Each special byte at each place of a long string: the fast path must miss none and spoil no
 * neighbour. */
static void test_json_finds_each_special_byte(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (unsigned at = 0; at < 24; at++) {
            char in[25], alone[8], expected[64];
            memset(in, 'x', 24);
            in[at] = (char)c;
            *text_json(alone, (struct str){&in[at], 1}) = '\0';
            snprintf(expected, sizeof(expected), "%.*s%s%.*s", (int)at, "xxxxxxxxxxxxxxxxxxxxxxxx",
                     alone, (int)(23 - at), "xxxxxxxxxxxxxxxxxxxxxxxx");
            bool is_plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
            assert_true(is_plain == (alone[0] == (char)c && !alone[1]));
            assert_json((struct str){in, 24}, expected);
        }
    }
}

/* What code points there are, and no others, are well-formed. */
static void test_utf8_is_exact(void **state)
{
    (void)state;
    unsigned counts[5] = {0};
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const char s[4] = {(char)first, (char)second, (char)0x80, (char)0xbf};
            counts[text_utf8((struct str){s, 4})]++;
        }
    }
    assert_int_equal(counts[1], 128 * 256);
    assert_int_equal(counts[2], 30 * 64);
    assert_int_equal(counts[3], 32 + 14 * 64 + 32);
    assert_int_equal(counts[4], 48 + 3 * 64 + 16);
    assert_int_equal(text_utf8(STR_NONE), 0);
}

static void test_what_others_wrote(void **state)
{
    static const struct {
        struct str in;
        size_t size;
        const char *out;
    } samples[] = {
        {STR(""), 8, ""},
        {STR_NONE, 8, ""},
        {STR("abc"), 4, "abc"},
        {STR("abc"), 3, "ab"},
        {STR("abc"), 1, ""},
        {STR("a\tb\nc"), 9, "a\tb\nc"},
        {STR("\x1b[1m\r\x7f\0z"), 16, "?[1m???z"},
        {STR("\xd0\xb6\xd0\xb6"), 5, "\xd0\xb6\xd0\xb6"},
        {STR("\xd0\xb6\xd0\xb6"), 4, "\xd0\xb6"},
        {STR("\xd0\xb6\xd0"), 16, "\xd0\xb6"},
        {STR("\xe2\x82"), 16, ""},
        {STR("\xf0\x9f\x98"), 16, ""},
        {STR("\xed\x9f"), 16, ""},
        {STR("\xed\xa0"), 16, "\xef\xbf\xbd\xef\xbf\xbd"},
        {STR("\xb6\xd0\xb6"), 16, "\xef\xbf\xbd\xd0\xb6"},
        {STR("\xd0 \xd0."), 16, "\xef\xbf\xbd \xef\xbf\xbd."},
        {STR("\xff\xfe"), 16, "\xef\xbf\xbd\xef\xbf\xbd"},
        {STR("\xff\xfe"), 6, "\xef\xbf\xbd"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        char out[32];

        memset(out, '#', sizeof(out));
        assert_int_equal(text_clean(out, samples[i].size, samples[i].in), strlen(samples[i].out));
        assert_string_equal(out, samples[i].out);
        assert_int_equal(out[samples[i].size], '#');
    }
}

static void check_any(struct str in, size_t size)
{
    char out[16], again[16];
    struct str left = {out, text_clean(out, size, in)};

    assert_int_equal(text_clean(again, sizeof(again), left), left.len);
    assert_memory_equal(out, again, left.len + 1);
    while (left.len) {
        size_t used = text_utf8(left);

        assert_true(used);
        left = (struct str){left.p + used, left.len - used};
    }
}

/* Whatever comes, what goes out is well-formed, and the same when it comes again. */
static void test_any_bytes_become_text(void **state)
{
    (void)state;
    for (unsigned bytes = 0; bytes < 256 * 256; bytes++) {
        const char in[] = {'x', (char)(bytes >> 8), (char)bytes, (char)0xbf};

        for (size_t size = 1; size <= 16; size++)
            check_any((struct str){in, sizeof(in)}, size);
    }
}

static void test_tokens(void **state)
{
    (void)state;
    assert_true(text_is_token(STR("a")) && text_is_token(STR("X-Client_1!#$%&'*+.^`|~")));
    assert_false(text_is_token(STR("")));
    for (int c = 0; c < 256; c++) {
        char three[] = {'a', (char)c, 'Z'};
        bool is_token = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));

        assert_int_equal(text_is_token((struct str){three, sizeof(three)}), is_token);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_replaces_what_is_not_utf8),
        cmocka_unit_test(test_json_finds_each_special_byte),
        cmocka_unit_test(test_utf8_is_exact),
        cmocka_unit_test(test_what_others_wrote),
        cmocka_unit_test(test_any_bytes_become_text),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
