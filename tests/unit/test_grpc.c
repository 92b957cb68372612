/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of http/grpc.c: content types, deadlines, status codes, the text of grpc-message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "http/grpc.h"

static struct str str(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void test_types(void **state)
{
    static const struct {
        const char *type;
        enum grpc_kind kind;
        const char *rest;
    } cases[] = {
        {"application/grpc", GRPC_PLAIN, ""},
        {"application/grpc+proto", GRPC_PLAIN, "+proto"},
        {"Application/GRPC+json; charset=utf-8", GRPC_PLAIN, "+json; charset=utf-8"},
        {"application/grpc;x=y", GRPC_PLAIN, ";x=y"},
        {"application/grpc ; x=y", GRPC_PLAIN, " ; x=y"},
        {"application/grpc-web", GRPC_WEB, ""},
        {"application/grpc-web+proto", GRPC_WEB, "+proto"},
        {"application/grpc-web-text", GRPC_WEB_TEXT, ""},
        {"application/grpc-web-text+proto", GRPC_WEB_TEXT, "+proto"},
        {"application/grpc-web-texts", GRPC_NONE, ""},
        {"application/grpc-webby", GRPC_NONE, ""},
        {"application/grpc-", GRPC_NONE, ""},
        {"application/grpcx", GRPC_NONE, ""},
        {"application/grp", GRPC_NONE, ""},
        {"text/html", GRPC_NONE, ""},
        {"", GRPC_NONE, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str rest = STR("");

        assert_int_equal(grpc_read_type(str(cases[i].type), &rest), cases[i].kind);
        assert_int_equal(rest.len, strlen(cases[i].rest));
        assert_memory_equal(rest.p, cases[i].rest, rest.len);
    }
    assert_int_equal(grpc_read_type(STR_NONE, NULL), GRPC_NONE);
    assert_int_equal(grpc_read_type(STR("application/grpc"), NULL), GRPC_PLAIN);
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"100m", 100},
        {"1S", 1000},
        {"2M", 120000},
        {"1H", 3600000},
        {"0n", 0},
        {"1n", 1},
        {"1u", 1},
        {"1000u", 1},
        {"1001u", 2},
        {"999999n", 1},
        {"1000001n", 2},
        {"99999999n", 100},
        {"99999999u", 100000},
        {"99999999H", UINT64_C(359999996400000)},
        {"00000001S", 1000},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 42;

        assert_true(grpc_parse_timeout(str(cases[i].text), &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_what_is_no_timeout(void **state)
{
    static const char *const cases[] = {"",   "S",    "1",   "100000000S", "-1S", "+1S", " 1S",
                                        "1s", "1.5S", "1 S", "1SS",        "xS",  "1h",  "0x1S"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ms = 42;

        assert_false(grpc_parse_timeout(str(cases[i]), &ms));
        assert_int_equal(ms, 42);
    }
    assert_false(grpc_parse_timeout(STR_NONE, &(uint64_t){0}));
}

static void test_http_statuses(void **state)
{
    static const struct {
        unsigned status;
        enum grpc_status want;
    } cases[] = {
        {400, GRPC_INTERNAL},      {401, GRPC_UNAUTHENTICATED}, {403, GRPC_PERMISSION_DENIED},
        {404, GRPC_UNIMPLEMENTED}, {429, GRPC_UNAVAILABLE},     {502, GRPC_UNAVAILABLE},
        {503, GRPC_UNAVAILABLE},   {504, GRPC_UNAVAILABLE},     {200, GRPC_UNKNOWN},
        {308, GRPC_UNKNOWN},       {418, GRPC_UNKNOWN},         {500, GRPC_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(grpc_map_http(cases[i].status), cases[i].want);
}

static void test_reasons(void **state)
{
    static const struct {
        enum reason why;
        enum grpc_status want;
    } cases[] = {
        {REASON_DEADLINE_EXCEEDED, GRPC_DEADLINE_EXCEEDED},
        {REASON_HTTP_RESPONSE_TIMEOUT, GRPC_DEADLINE_EXCEEDED},
        {REASON_STREAM_IDLE, GRPC_DEADLINE_EXCEEDED},
        {REASON_BODY_TIMEOUT, GRPC_DEADLINE_EXCEEDED},
        {REASON_BODY_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED},
        {REASON_HEADERS_TOO_LARGE, GRPC_RESOURCE_EXHAUSTED},
        {REASON_HTTP_RESPONSE_HEADER_SIZE, GRPC_RESOURCE_EXHAUSTED},
        {REASON_ROUTE_NOT_FOUND, GRPC_UNIMPLEMENTED},
        {REASON_METHOD_NOT_ALLOWED, GRPC_UNIMPLEMENTED},
        {REASON_METHOD_UNKNOWN, GRPC_UNIMPLEMENTED},
        {REASON_CONNECTION_REFUSED, GRPC_UNAVAILABLE},
        {REASON_CONNECTION_TERMINATED, GRPC_UNAVAILABLE},
        {REASON_CONNECTION_TIMEOUT, GRPC_UNAVAILABLE},
        {REASON_DESTINATION_UNAVAILABLE, GRPC_UNAVAILABLE},
        {REASON_HTTP_RESPONSE_INCOMPLETE, GRPC_UNAVAILABLE},
        {REASON_QUEUE_FULL, GRPC_UNAVAILABLE},
        {REASON_DRAINING, GRPC_UNAVAILABLE},
        {REASON_MISDIRECTED, GRPC_UNAVAILABLE},
        {REASON_INTERNAL_ERROR, GRPC_INTERNAL},
        {REASON_HTTP_PROTOCOL_ERROR, GRPC_INTERNAL},
        {REASON_HEADER_NAME_INVALID, GRPC_INTERNAL},
        {REASON_GRPC_FRAME_INVALID, GRPC_INTERNAL},
        {REASON_GRPC_WEB_TEXT_INVALID, GRPC_INVALID_ARGUMENT},
        {REASON_CLIENT_GONE, GRPC_CANCELLED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(grpc_map_reason(cases[i].why), cases[i].want);
    for (unsigned why = REASON_NONE + 1; why < REASON_COUNT; why++)
        assert_int_not_equal(grpc_map_reason((enum reason)why), GRPC_OK);
}

static void assert_message(struct str text, const char *want)
{
    struct arena arena;
    struct str have;

    arena_init(&arena, NULL, 0);
    have = grpc_encode_message(&arena, text);
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.p, want, have.len);
    arena_reset(&arena);
}

static void test_messages(void **state)
{
    (void)state;
    assert_message(STR(""), "");
    assert_message(STR("No route: \"/a~b\""), "No route: \"/a~b\"");
    assert_message(STR("100%"), "100%25");
    assert_message(STR("a\r\nb\tc\x7f"), "a%0D%0Ab%09c%7F");
    assert_message(STR("\xc3\xa9\xff"), "%C3%A9%FF");
    assert_message((struct str){"a\0b", 3}, "a%00b");
}

static void test_message_without_memory(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 1);
    assert_null(grpc_encode_message(&arena, STR("text")).p);
    arena_reset(&arena);
}

static void test_failures(void **state)
{
    static const char *const bad[] = {"2", "4", "12", "13", "14", "15", "02"};
    static const char *const fine[] = {"",   "0",  "1",  "3",   "5",  "7",  "8",          "9",
                                       "11", "16", "99", "013", "-2", "2 ", "2147483650", "x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(grpc_is_failure(str(bad[i])));
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_false(grpc_is_failure(str(fine[i])));
    assert_false(grpc_is_failure(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),      cmocka_unit_test(test_types),
        cmocka_unit_test(test_timeouts),      cmocka_unit_test(test_what_is_no_timeout),
        cmocka_unit_test(test_http_statuses), cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_messages),      cmocka_unit_test(test_message_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
