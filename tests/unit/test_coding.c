/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shape/coding.c and shape/media.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "edge/shape/coding.h"
#include "edge/shape/media.h"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void test_wishes(void **state)
{
    static const struct {
        const char *accept;
        uint16_t q[CODING_COUNT]; /* identity, gzip, br, zstd */
    } table[] = {
        {"", {1, 0, 0, 0}},
        {"gzip", {1, 1000, 0, 0}},
        {"gzip;q=0.123,br;Q=1.0 , zstd;q=0", {1, 123, 1000, 0}},
        {"*", {1, 1000, 1000, 1000}},
        {"*;q=0", {0, 0, 0, 0}},
        {"*;q=0, identity", {1000, 0, 0, 0}},
        {"*;q=0, br", {0, 0, 1000, 0}},
        {"br, *;q=0.2", {1, 200, 1000, 200}},
        {"identity;q=0", {0, 0, 0, 0}},
        {"identity;q=0.7, *;q=0", {700, 0, 0, 0}},
        {"gzip;q=0.5, gzip;q=0.7", {1, 700, 0, 0}},
        {"gzip;q=1.001, br;q=0.1234, zstd;q=", {1, 0, 0, 0}},
        {"gzip;q=0.5;q=0.6", {1, 600, 0, 0}},
        {"gzip;q", {1, 0, 0, 0}},
        {"gzip;q=1.", {1, 1000, 0, 0}},
        {"gzip;q=1x", {1, 0, 0, 0}},
        {"\t gzip\t;\tq=0.5\t", {1, 500, 0, 0}},
        {",;,;;,", {1, 0, 0, 0}},
        {";", {1, 0, 0, 0}},
        {"*;q=x", {1, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct coding_wish wish = coding_read(text(table[i].accept));

        for (unsigned j = 0; j < CODING_COUNT; j++)
            if (wish.q[j] != table[i].q[j])
                fail_msg("%s: %u for %s", table[i].accept, wish.q[j], coding_name(j).p);
    }
    assert_int_equal(coding_read(STR_NONE).q[CODING_IDENTITY], 1);
}

static void test_choice(void **state)
{
    static const enum coding offered[] = {CODING_ZSTD, CODING_GZIP};
    struct coding_wish wish = coding_read(STR("gzip, br, zstd"));

    (void)state;
    assert_int_equal(coding_choose(&wish, offered, 2), CODING_ZSTD);
    assert_int_equal(coding_choose(&wish, offered, 0), CODING_IDENTITY);
    wish = coding_read(STR("gzip, zstd;q=0.9, identity"));
    assert_int_equal(coding_choose(&wish, offered, 2), CODING_GZIP);
    wish = coding_read(STR("gzip;q=0.9, identity"));
    assert_int_equal(coding_choose(&wish, offered, 2), CODING_IDENTITY);
    wish = coding_read(STR("identity;q=0, *;q=0"));
    assert_int_equal(coding_choose(&wish, offered, 2), CODING_IDENTITY);
}

static void test_media(void **state)
{
    (void)state;
    assert_true(media_fits(STR("text/html"), STR("Text/HTML; charset=utf-8")));
    assert_true(media_fits(STR("text/html"), STR("text/html\t;a")));
    assert_true(media_fits(STR("*/*"), STR("a/b")));
    assert_true(media_fits(STR("text/*"), STR("text/x")));
    assert_true(media_fits(STR("application/*+json"), STR("application/a+json")));
    assert_false(media_fits(STR("application/*+json"), STR("application/json")));
    assert_false(media_fits(STR("application/*+json"), STR("application/+json")));
    assert_false(media_fits(STR("text/html"), STR("text/htm")));
    assert_false(media_fits(STR("text/html"), STR("text/html2")));
    assert_false(media_fits(STR("text/*"), STR("texts/x")));
    assert_false(media_fits(STR("text/*"), STR("text/;x")));
    assert_false(media_fits(STR("*/*"), STR("")));
    assert_false(media_fits(STR("*/*"), STR("; a/b")));
}

static void test_patterns(void **state)
{
    static const char *const good[] = {"a/b", "*/*", "a/*", "a/*+x", "a-1.b/c+d"};
    static const char *const bad[] = {"",      "a",     "a/",    "/b",   "*/b", "a/b*",
                                      "a/b;c", "a/b c", "a/b/c", "**/*", "a/**"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(media_is_pattern(text(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (media_is_pattern(text(bad[i])))
            fail_msg("%s is a pattern", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
