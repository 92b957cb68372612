/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of http/grpc_web.c: base64 in pieces of every size, boundaries of messages, the frame of
 * the trailers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "http/grpc_web.h"

enum { ROOM = 64 };

static struct str str(const char *text)
{
    return (struct str){text, strlen(text)};
}

/* Decodes `text` in pieces of `step` bytes into `out`; bytes, or -1. */
static int decode(const char *text, size_t step, int room, char *out)
{
    struct grpc_web_decoder decoder = {0};
    int total = 0;

    for (size_t at = 0; at < strlen(text); at += step) {
        size_t left = strlen(text) - at;
        struct str piece = {text + at, left < step ? left : step};

        while (piece.len) {
            int len = grpc_web_decode(&decoder, &piece, out + total, room);

            if (len < 0)
                return -1;
            total += len;
        }
    }
    return grpc_web_is_whole(&decoder) ? total : -1;
}

static void test_decode(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},        {"Zg==", "f"},          {"Zm8=", "fo"},
        {"Zm9v", "foo"}, {"Zm9vYmFy", "foobar"}, {"Zg==Zm8=Zm9v", "ffofoo"},
        {"Pj8+", ">?>"}, {"Pz8/", "???"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step <= 5; step++) {
            char out[ROOM];
            int len = decode(cases[i].text, step, step == 1 ? GRPC_WEB_ROOM : 16, out);

            assert_int_equal(len, strlen(cases[i].want));
            assert_memory_equal(out, cases[i].want, (size_t)len);
        }
    }
}

static void test_what_is_no_base64(void **state)
{
    static const char *const cases[] = {"Z",     "Zg",   "Zg=",    "Zm9v=", "=AAA",
                                        "A=AA",  "AA=A", "Zm9 v",  "Zm9\n", "Zm_-v",
                                        "Zg===", "####", "AAA\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t step = 1; step <= 5; step++) {
            char out[ROOM];

            assert_int_equal(decode(cases[i], step, 16, out), -1);
        }
    }
}

static void test_encode_gives_what_decode_takes(void **state)
{
    char bytes[256];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7);
    for (size_t step = 1; step < 40; step++) {
        struct grpc_web_encoder encoder = {0};
        char text[512] = "", back[sizeof(bytes) + GRPC_WEB_ROOM];
        int len = 0;

        for (size_t at = 0; at < sizeof(bytes); at += step) {
            size_t left = sizeof(bytes) - at;
            struct str piece = {bytes + at, left < step ? left : step};

            while (piece.len)
                len += grpc_web_encode(&encoder, &piece, text + len, GRPC_WEB_ROOM);
        }
        len += grpc_web_pad(&encoder, text + len);
        assert_int_equal(grpc_web_pad(&encoder, text + len), 0);
        assert_int_equal(len, (sizeof(bytes) + 2) / 3 * 4);
        assert_int_equal(decode(text, step, GRPC_WEB_ROOM, back), sizeof(bytes));
        assert_memory_equal(back, bytes, sizeof(bytes));
    }
}

static void test_pad(void **state)
{
    struct grpc_web_encoder encoder = {0};
    struct str two = STR("fo");
    char text[GRPC_WEB_ROOM];

    (void)state;
    assert_int_equal(grpc_web_encode(&encoder, &two, text, sizeof(text)), 0);
    assert_int_equal(two.len, 0);
    assert_int_equal(grpc_web_pad(&encoder, text), 4);
    assert_memory_equal(text, "Zm8=", 4);
}

/* Two messages, the second compressed, an empty one, and bytes of any value inside. */
static void test_follow(void **state)
{
    static const char body[] = "\0\0\0\0\3abc\1\0\0\0\2\xff\x80\0\0\0\0\0";
    static const bool between[] = {1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

    (void)state;
    for (size_t cut = 0; cut < sizeof(body); cut++) {
        struct grpc_web_frames frames = {0};

        assert_true(grpc_web_follow(&frames, (struct str){body, cut}));
        assert_int_equal(grpc_web_is_between(&frames), between[cut]);
        assert_true(grpc_web_follow(&frames, (struct str){body + cut, sizeof(body) - 1 - cut}));
        assert_true(grpc_web_is_between(&frames));
    }
}

static void test_flags_that_no_message_has(void **state)
{
    static const char *const cases[] = {"\2", "\x80", "\xff", "{", "\1\1"};
    struct grpc_web_frames frames = {0};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        frames = (struct grpc_web_frames){0};
        assert_false(grpc_web_follow(&frames, str(cases[i])));
    }
    frames = (struct grpc_web_frames){0};
    assert_true(grpc_web_follow(&frames, str(cases[4]))); // the second byte is of the length
    assert_false(grpc_web_is_between(&frames));
}

static void test_trailers(void **state)
{
    static const char want[] = "\x80\0\0\0\x28grpc-status: 0\r\ngrpc-message: \r\nx-a: B\r\n";
    struct arena arena;
    struct head head;
    struct str have;

    (void)state;
    arena_init(&arena, NULL, 0);
    assert_int_equal(head_init(&head, &arena, 3), OK);
    assert_int_equal(head_add(&head, &arena, STR("Grpc-Status"), STR("0")), OK);
    assert_int_equal(head_add(&head, &arena, STR("grpc-message"), STR("")), OK);
    assert_int_equal(head_add(&head, &arena, STR("X-A"), STR("B")), OK);
    have = grpc_web_trailers(&arena, &head);
    assert_int_equal(have.len, sizeof(want) - 1);
    assert_memory_equal(have.p, want, have.len);
    head.count = 0;
    have = grpc_web_trailers(&arena, &head);
    assert_int_equal(have.len, 5);
    assert_memory_equal(have.p, "\x80\0\0\0\0", 5);
    arena_reset(&arena);
    arena_init(&arena, NULL, 1);
    assert_null(grpc_web_trailers(&arena, &head).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_what_is_no_base64),
        cmocka_unit_test(test_encode_gives_what_decode_takes),
        cmocka_unit_test(test_pad),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_flags_that_no_message_has),
        cmocka_unit_test(test_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
