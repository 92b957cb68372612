/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads of HTTP/1.1: what each malformed one is refused for, and what a good one becomes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "http/h1.h"

static const struct wire_limits limits = {.header_bytes = 2048, .uri_bytes = 100, .headers = 8};
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

/* The block in a heap allocation of its own, so that ASan sees a read past it. */
static enum reason parse(struct str text, bool is_request, struct head *head, char **copy)
{
    *copy = malloc(text.len ? text.len : 1);
    assert_non_null(*copy);
    memcpy(*copy, text.p, text.len);
    text.p = *copy;
    return is_request ? h1_parse_request(text, &limits, &arena, head)
                      : h1_parse_response(text, &limits, &arena, head);
}

struct bad {
    const char *text;
    enum reason why;
};

static void check_all(const struct bad *cases, size_t count, bool is_request)
{
    for (size_t i = 0; i < count; i++) {
        struct str text = {cases[i].text, strlen(cases[i].text)};
        struct head head;
        char *copy;
        enum reason why = parse(text, is_request, &head, &copy);

        free(copy);
        if (why != cases[i].why)
            fail_msg("%s: %s, not %s", cases[i].text, reason_info(why)->slug,
                     reason_info(cases[i].why)->slug);
    }
}

#define H "Host: a\r\n"
#define LINE(line, reason)                                                                         \
    {                                                                                              \
        line "\r\n" H "\r\n", REASON_##reason                                                      \
    }
#define FIELD(field, reason)                                                                       \
    {                                                                                              \
        "POST / HTTP/1.1\r\n" H field "\r\n", REASON_##reason                                      \
    }

static void request_lines(void **state)
{
    static const struct bad cases[] = {
        LINE("GET / HTTP/1.1", NONE),
        LINE("\r\nGET / HTTP/1.1", NONE),
        LINE("\r\n\r\nGET / HTTP/1.1", REQUEST_LINE_INVALID),
        LINE(" GET / HTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET  / HTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET /  HTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET / HTTP/1.1 ", REQUEST_LINE_INVALID),
        LINE("GET\t/ HTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET /\tHTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET /", REQUEST_LINE_INVALID),
        LINE("GET", REQUEST_LINE_INVALID),
        LINE("G(T / HTTP/1.1", REQUEST_LINE_INVALID),
        LINE("GET / http/1.1", REQUEST_LINE_INVALID),
        LINE("GET / HTTP/1", REQUEST_LINE_INVALID),
        LINE("GET / HTTP/1.10", REQUEST_LINE_INVALID),
        LINE("GET / HTTP/11.1", REQUEST_LINE_INVALID),
        LINE("GET / ICE/1.0", REQUEST_LINE_INVALID),
        LINE("GET / RTSP/1.0", REQUEST_LINE_INVALID),
        LINE("GET / HTTP/0.9", VERSION_UNSUPPORTED),
        LINE("GET / HTTP/1.2", VERSION_UNSUPPORTED),
        LINE("GET / HTTP/2.0", VERSION_UNSUPPORTED),
        {"PRI * HTTP/2.0\r\n\r\n", REASON_VERSION_UNSUPPORTED},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", REASON_LINE_ENDING_INVALID},
        {"GET / HTTP/1.1\rHost: a\r\n\r\n", REASON_LINE_ENDING_INVALID},
        {"GET / HTTP/1.1\r\n", REASON_LINE_ENDING_INVALID},
        {"\r\n", REASON_REQUEST_LINE_INVALID},
        {"\r\n\r\n", REASON_REQUEST_LINE_INVALID},
        {"\n\n", REASON_REQUEST_LINE_INVALID},
        {"", REASON_LINE_ENDING_INVALID},
        LINE("get / HTTP/1.1", METHOD_UNKNOWN),
        LINE("FOO / HTTP/1.1", METHOD_UNKNOWN),
        LINE("GETT / HTTP/1.1", METHOD_UNKNOWN),
        LINE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1", METHOD_UNKNOWN),
        LINE("PROPFIND / HTTP/1.1", NONE),
        LINE("VERSION-CONTROL / HTTP/1.1", NONE),
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), true);
}

static void targets(void **state)
{
    static const struct bad cases[] = {
        LINE("GET /a?b|c{d}[e]^`'@! HTTP/1.1", NONE),
        LINE("GET /%41%e2 HTTP/1.1", NONE),
        LINE("GET /a#b HTTP/1.1", TARGET_INVALID),
        LINE("GET /a\\b HTTP/1.1", TARGET_INVALID),
        LINE("GET /a<b HTTP/1.1", TARGET_INVALID),
        LINE("GET /a>b HTTP/1.1", TARGET_INVALID),
        LINE("GET /a\"b HTTP/1.1", TARGET_INVALID),
        LINE("GET /\x7f HTTP/1.1", TARGET_INVALID),
        LINE("GET /\x01 HTTP/1.1", TARGET_INVALID),
        LINE("GET /\xc3\xa9 HTTP/1.1", TARGET_INVALID),
        LINE("GET /%4 HTTP/1.1", TARGET_INVALID),
        LINE("GET /% HTTP/1.1", TARGET_INVALID),
        LINE("GET /%zz HTTP/1.1", TARGET_INVALID),
        LINE("GET /%00 HTTP/1.1", TARGET_INVALID),
        LINE("GET a HTTP/1.1", TARGET_INVALID),
        LINE("GET * HTTP/1.1", TARGET_INVALID),
        LINE("OPTIONS * HTTP/1.1", NONE),
        LINE("OPTIONS ** HTTP/1.1", TARGET_INVALID),
        LINE("GET ftp://a/ HTTP/1.1", TARGET_INVALID),
        LINE("GET http:/// HTTP/1.1", TARGET_INVALID),
        LINE("GET http://u@a/ HTTP/1.1", TARGET_INVALID),
        LINE("GET http://a:99999/ HTTP/1.1", TARGET_INVALID),
        LINE("GET HTTPS://a:443 HTTP/1.1", NONE),
        LINE("CONNECT a:443 HTTP/1.1", NONE),
        LINE("CONNECT a HTTP/1.1", TARGET_INVALID),
        LINE("CONNECT a: HTTP/1.1", TARGET_INVALID),
        LINE("CONNECT / HTTP/1.1", TARGET_INVALID),
        LINE("GET a:443 HTTP/1.1", TARGET_INVALID),
        LINE("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1",
             URI_TOO_LONG),
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), true);
}

static void fields(void **state)
{
    static const struct bad cases[] = {
        FIELD("X: y\r\n", NONE),
        FIELD("X:\t\ty \t\r\n", NONE),
        FIELD("X:\r\n", NONE),
        FIELD("X: a\tb\x80\xff\r\n", NONE),
        FIELD("X : y\r\n", HEADER_NAME_INVALID),
        FIELD("X\t: y\r\n", HEADER_NAME_INVALID),
        FIELD(": y\r\n", HEADER_NAME_INVALID),
        FIELD("X\r\n", HEADER_NAME_INVALID),
        FIELD("X(: y\r\n", HEADER_NAME_INVALID),
        FIELD("X\x80: y\r\n", HEADER_NAME_INVALID),
        FIELD("X: a\x01\r\n", HEADER_VALUE_INVALID),
        FIELD("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x7f\r\n", HEADER_VALUE_INVALID),
        FIELD("X: a\n", LINE_ENDING_INVALID),
        FIELD("X: a\rb\r\n", LINE_ENDING_INVALID),
        FIELD("X: a\r\r\n", LINE_ENDING_INVALID),
        FIELD("X\n", LINE_ENDING_INVALID),
        FIELD("X: a\r\n b\r\n", HEADER_FOLDED),
        FIELD("X: a\r\n\tb\r\n", HEADER_FOLDED),
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", REASON_HEADER_FOLDED},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nX", REASON_LINE_ENDING_INVALID},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n", REASON_LINE_ENDING_INVALID},
        FIELD("A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\n", NONE),
        FIELD("A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n", TOO_MANY_HEADERS),
        FIELD("Connection: close, x-a,,\r\n", NONE),
        FIELD("Connection: a b\r\n", CONNECTION_INVALID),
        FIELD("Connection: \"a\"\r\n", CONNECTION_INVALID),
        FIELD("Upgrade: a/b/c\r\n", CONNECTION_INVALID),
        FIELD("Upgrade:\r\n", CONNECTION_INVALID),
        FIELD("Upgrade: h2c, foo/1.0\r\n", NONE),
        FIELD("Expect: 100-Continue\r\n", NONE),
        FIELD("Expect: 200-ok\r\n", EXPECTATION_FAILED),
        {"GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", REASON_NONE},
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), true);
}

static void hosts(void **state)
{
#define HOST(value, reason)                                                                        \
    {                                                                                              \
        "GET / HTTP/1.1\r\nHost: " value "\r\n\r\n", REASON_##reason                               \
    }
    static const struct bad cases[] = {
        HOST("a.example:8080", NONE),
        HOST("a_b.example", NONE),
        HOST("a:", NONE),
        HOST("[::1]", NONE),
        HOST("[2001:db8::1]:443", NONE),
        HOST("", HOST_INVALID),
        HOST(":80", HOST_INVALID),
        HOST("a b", HOST_INVALID),
        HOST("a,b", HOST_INVALID),
        HOST("u@a", HOST_INVALID),
        HOST("a/b", HOST_INVALID),
        HOST("a:b", HOST_INVALID),
        HOST("a:65536", HOST_INVALID),
        HOST("a:80:80", HOST_INVALID),
        HOST("a%41", HOST_INVALID),
        HOST("\xc3\xa9", HOST_INVALID),
        HOST("[::1", HOST_INVALID),
        HOST("[]", HOST_INVALID),
        HOST("[1.2.3.4]", HOST_INVALID),
        HOST("[::1]x", HOST_INVALID),
        HOST("[fe80::1%25eth0]", HOST_INVALID),
        {"GET / HTTP/1.1\r\n\r\n", REASON_HOST_MISSING},
        {"GET http://a/ HTTP/1.1\r\n\r\n", REASON_HOST_MISSING},
        {"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", REASON_HOST_INVALID},
        {"GET / HTTP/1.0\r\n\r\n", REASON_NONE},
        {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", REASON_HOST_INVALID},
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), true);
}

static void framing(void **state)
{
    static const struct bad cases[] = {
        FIELD("Content-Length: 0\r\n", NONE),
        FIELD("Content-Length: 9223372036854775807\r\n", NONE),
        FIELD("Content-Length: 9223372036854775808\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 99999999999999999999\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: +5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: -5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 5 5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 5, 5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 0x5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length:\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 5\r\ncontent-length: 5\r\n", CONTENT_LENGTH_INVALID),
        FIELD("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", FRAMING_AMBIGUOUS),
        FIELD("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", FRAMING_AMBIGUOUS),
        FIELD("Transfer-Encoding: CHUNKED\r\n", NONE),
        FIELD("Transfer-Encoding: gzip, chunked\r\n", CODING_UNKNOWN),
        FIELD("Transfer-Encoding: gzip\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: identity\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: xchunked\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: chunked;q=1\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: chunked, chunked\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: chunked, gzip\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: , chunked\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding:\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: \"chunked\"\r\n", TRANSFER_ENCODING_INVALID),
        FIELD("Transfer-Encoding: \x0b"
              "chunked\r\n",
              HEADER_VALUE_INVALID),
        FIELD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
              TRANSFER_ENCODING_INVALID),
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_TRANSFER_ENCODING_INVALID},
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), true);
}

static void responses(void **state)
{
    static const struct bad cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", REASON_NONE},
        {"HTTP/1.1 200 \r\n\r\n", REASON_NONE},
        {"HTTP/1.1 200\r\n\r\n", REASON_NONE},
        {"HTTP/1.0 599 Wat \xe9\t!\r\n\r\n", REASON_NONE},
        {"HTTP/1.1  200 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 20 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 2000 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 099 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 600 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/2.0 200 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 O\x01\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 OK\n\n", REASON_HTTP_PROTOCOL_ERROR},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
         REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", REASON_HTTP_PROTOCOL_ERROR},
        {"HTTP/1.1 200 OK\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\nA:9\r\n\r\n",
         REASON_HTTP_RESPONSE_HEADER_SIZE},
        {"HTTP/1.1 200 OK\r\nHost: a\r\nHost: b b\r\nExpect: x\r\n\r\n", REASON_NONE},
    };

    (void)state;
    check_all(cases, ARRAY_LEN(cases), false);
}

static void nul_bytes_are_refused_everywhere(void **state)
{
    static const char good[] = "GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
    char text[sizeof(good)];

    (void)state;
    for (size_t at = 0; at < sizeof(good) - 1; at++) {
        struct head head;
        char *copy;

        memcpy(text, good, sizeof(good));
        text[at] = '\0';
        assert_int_not_equal(parse((struct str){text, sizeof(good) - 1}, true, &head, &copy),
                             REASON_NONE);
        free(copy);
    }
}

static void a_head_over_the_limit_is_refused(void **state)
{
    static char text[4096];
    struct head head;
    struct str block = {text, limits.header_bytes};
    size_t fixed = strlen("GET / HTTP/1.1\r\nHost: a\r\nX: ");

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "GET / HTTP/1.1\r\nHost: a\r\nX: ", fixed);
    memcpy(text + block.len - 4, "\r\n\r\n", 4);
    assert_int_equal(h1_parse_request(block, &limits, &arena, &head), REASON_NONE);
    memcpy(text + block.len - 4, "xxx\r\n\r\n", 7);
    block.len += 3;
    assert_int_equal(h1_parse_request(block, &limits, &arena, &head), REASON_HEADERS_TOO_LARGE);
}

static void assert_str(struct str s, const char *want)
{
    assert_non_null(s.p);
    if (s.len != strlen(want) || memcmp(s.p, want, s.len) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(s), want);
}

static struct head good(const char *text)
{
    struct str block = arena_copy(&arena, (struct str){text, strlen(text)});
    struct head head;

    assert_int_equal(h1_parse_request(block, &limits, &arena, &head), REASON_NONE);
    return head;
}

static void a_request_is_understood(void **state)
{
    struct head head = good("POST /a/b?c=d?e HTTP/1.1\r\nhOST: x.example:81\r\n"
                            "Content-Length: 12\r\nConnection: Upgrade, close\r\n"
                            "Upgrade: websocket\r\nExpect: 100-continue\r\nX-Y:  z w \r\n\r\n");

    (void)state;
    assert_int_equal(head.method, METHOD_POST);
    assert_str(head.method_name, "POST");
    assert_int_equal(head.form, TARGET_ORIGIN);
    assert_str(head.path, "/a/b");
    assert_str(head.query, "c=d?e");
    assert_str(head.authority, "x.example:81");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.content_length, 12);
    assert_true(head.is_upgrade && head.expects_continue && head.wants_close);
    assert_false(head.chunked);
    assert_int_equal(head.count, 6);
    assert_str(head_value_name(&head, STR("x-y")), "z w");
    assert_true(head.present >> HDR_HOST & head.present >> HDR_UPGRADE & 1);
}

static void targets_are_split(void **state)
{
    struct head head = good("GET http://b.example:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    assert_int_equal(head.form, TARGET_ABSOLUTE);
    assert_str(head.authority, "b.example:1");
    assert_str(head.path, "/p");
    assert_str(head.query, "q");
    head = good("GET https://b?q HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_str(head.path, "/");
    assert_str(head.query, "q");
    head = good("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(head.form, TARGET_ASTERISK);
    assert_str(head.path, "*");
    assert_str(head.authority, "b");
    head = good("CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(head.form, TARGET_AUTHORITY);
    assert_str(head.authority, "b:443");
    head = good("GET /? HTTP/1.0\r\n\r\n");
    assert_str(head.query, "");
    assert_null(head.authority.p);
    assert_true(head.wants_close);
    head = good("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nUpgrade: x\r\n\r\n");
    assert_false(head.wants_close || head.is_upgrade);
    assert_null(head.query.p);
    assert_int_equal(head.content_length, -1);
}

static void head_lengths_are_found_at_every_split(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"GET / HTTP/1.1\r\nA: b\r\n\r\nGET", 24},
        {"A\n\nB", 3},
        {"A\r\n\nB", 4},
        {"A\n\r\nB", 4},
        {"\r\n\r\n", 4},
        {"A\r\n\r", 0},
        {"A\r\n\rB\r\n", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t all = strlen(cases[i].text);
        size_t scanned = 0;
        size_t got = 0;

        for (size_t n = 0; n <= all && !got; n++)
            got = h1_head_length((struct str){cases[i].text, n}, &scanned);
        assert_int_equal(got, cases[i].len);
        scanned = 0;
        assert_int_equal(h1_head_length((struct str){cases[i].text, all}, &scanned), cases[i].len);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(request_lines),
        TEST(targets),
        TEST(fields),
        TEST(hosts),
        TEST(framing),
        TEST(responses),
        TEST(nul_bytes_are_refused_everywhere),
        TEST(a_head_over_the_limit_is_refused),
        TEST(a_request_is_understood),
        TEST(targets_are_split),
        TEST(head_lengths_are_found_at_every_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
