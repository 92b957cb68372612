/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked coding: what is accepted, what is refused, at every split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "http/h1.h"

struct outcome {
    char data[256];
    size_t len, rest; /* rest: bytes from the trailer section on */
    enum chunk_event event;
};

static void drain(struct chunked *chunked, struct str in, struct outcome *out)
{
    struct str data;

    for (;;) {
        out->event = chunked_next(chunked, &in, &data);
        if (out->event != CHUNK_DATA)
            break;
        assert_true(out->len + data.len <= sizeof(out->data));
        memcpy(out->data + out->len, data.p, data.len);
        out->len += data.len;
    }
    out->rest += in.len;
}

static struct outcome decode(struct str in, size_t split)
{
    struct chunked chunked = {0};
    struct outcome out = {0};

    drain(&chunked, (struct str){in.p, split}, &out);
    if (out.event == CHUNK_MORE)
        drain(&chunked, (struct str){in.p + split, in.len - split}, &out);
    else
        out.rest += in.len - split;
    return out;
}

static void check(struct str in, enum chunk_event event, const char *data, size_t rest)
{
    for (size_t split = 0; split <= in.len; split++) {
        struct outcome out = decode(in, split);

        assert_int_equal(out.event, event);
        if (event == CHUNK_BAD)
            continue;
        assert_int_equal(out.len, strlen(data));
        assert_memory_equal(out.data, data, out.len);
        assert_int_equal(out.rest, rest);
    }
}

static void good_bodies_decode_at_every_split(void **state)
{
    (void)state;
    check(STR("5\r\nhello\r\n0\r\n\r\n"), CHUNK_TRAILERS, "hello", 2);
    check(STR("1\r\na\r\n2\r\nbc\r\n000\r\nX: y\r\n\r\n"), CHUNK_TRAILERS, "abc", 8);
    check(STR("A;x=\"y\";z\r\n0123456789\r\n0;q\r\n"), CHUNK_TRAILERS, "0123456789", 0);
    check(STR("000000000000000a\r\n0123456789\r\n0\r\n"), CHUNK_TRAILERS, "0123456789", 0);
    check(STR("5\r\nhel"), CHUNK_MORE, "hel", 0);
    check(STR("3\r\n\r\n\n\r\n0\r\n\r\n"), CHUNK_TRAILERS, "\r\n\n", 2);
}

static void bad_bodies_are_refused_at_every_split(void **state)
{
    static const struct str bad[] = {
        {"\r\n", 2},
        {"g\r\n", 3},
        {"-1\r\n", 4},
        {"+1\r\n", 4},
        {"0x5\r\n", 5},
        {" 5\r\n", 4},
        {"5 \r\n", 4},
        {"5\n", 2},
        {"5\rhello", 7},
        {"5\r\nhello\n", 9},
        {"5\r\nhello0\r\n", 11},
        {"5\r\nhello\r0", 10},
        {"5\r\nhello\r\n\r\n", 12},
        {"5;a\n", 4},
        {"5;a\rb", 5},
        {"5;a\0\r\n", 6},
        {"8000000000000000\r\n", 18},
        {"00000000000000005\r\n", 19},
        {"ffffffffffffffff\r\n", 18},
        {";a\r\n", 4},
        {"5,5\r\n", 5},
        {"1_\r\n", 4},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check(bad[i], CHUNK_BAD, "", 0);
}

static void the_largest_size_is_not_an_overflow(void **state)
{
    struct chunked chunked = {0};
    struct str in = STR("7fffffffffffffff\r\nx");
    struct str data;

    (void)state;
    assert_int_equal(chunked_next(&chunked, &in, &data), CHUNK_DATA);
    assert_int_equal(data.len, 1);
    assert_int_equal(chunked.left, INT64_MAX - 1);
}

/* Feeds lines of one byte of data with `len` bytes of extension; how many were accepted. */
static unsigned feed_extensions(size_t len)
{
    static char line[8192];
    struct chunked chunked = {0};
    unsigned n = 0;

    memcpy(line, "1;", 2);
    memset(line + 2, 'e', len - 1);
    memcpy(line + 1 + len, "\r\nx\r\n", 5);
    while (n < 100000) {
        struct str in = {line, len + 6};
        struct str data;

        if (chunked_next(&chunked, &in, &data) != CHUNK_DATA)
            return n;
        if (chunked_next(&chunked, &in, &data) != CHUNK_MORE)
            return n;
        n++;
    }
    return n;
}

static void extensions_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(feed_extensions(4097), 0);
    assert_in_range(feed_extensions(4096), 1, 4);
    assert_in_range(feed_extensions(1), 16 * 1024, 16 * 1024 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_bodies_decode_at_every_split),
        cmocka_unit_test(bad_bodies_are_refused_at_every_split),
        cmocka_unit_test(the_largest_size_is_not_an_overflow),
        cmocka_unit_test(extensions_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
