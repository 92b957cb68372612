/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of the PROXY protocol: whole, in pieces, and broken in every way there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/proxy_protocol.h"

#define BOTH (PROXY_V1 | PROXY_V2)
#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define TCP4_TAIL "\x11\0\x0c\xc0\0\2\x09\xc0\0\2\1\x12\x67\0\x50"

/* A copy of exactly these bytes, so that a sanitizer sees a look past them. */
static enum status read_exactly(struct str in, unsigned versions, struct proxy_header *header,
                                size_t *used)
{
    char *copy = test_malloc(in.len + 1);
    enum status status;

    memcpy(copy + 1, in.p, in.len);
    status = proxy_header_read((struct str){copy + 1, in.len}, versions, header, used);
    test_free(copy);
    return status;
}

static void check_good(struct str whole, const char *client)
{
    struct proxy_header header;
    char text[IP_TEXT_MAX], longer[600];
    size_t used = 0;

    for (size_t len = 1; len < whole.len; len++)
        assert_int_equal(read_exactly((struct str){whole.p, len}, BOTH, &header, &used), E_AGAIN);
    memcpy(longer, whole.p, whole.len);
    memcpy(longer + whole.len, "GET /", 5);
    assert_int_equal(read_exactly((struct str){longer, whole.len + 5}, BOTH, &header, &used), OK);
    assert_int_equal(used, whole.len);
    assert_int_equal(header.is_local, client == NULL);
    if (!client)
        return;
    ip_print(header.ip, text);
    assert_string_equal(text, client);
}

static void test_good_ones(void **state)
{
    (void)state;
    check_good(STR("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"), "192.0.2.9");
    check_good(STR("PROXY TCP6 2001:db8::9 ::1 65535 0\r\n"), "2001:db8::9");
    check_good(STR("PROXY UNKNOWN\r\n"), NULL);
    check_good(STR("PROXY UNKNOWN ffff:f...f:ffff what ever\r\n"), NULL);
    check_good(STR(V2 "\x21" TCP4_TAIL), "192.0.2.9");
    check_good(STR(V2 "\x20" TCP4_TAIL), NULL);
    check_good(STR(V2 "\x20\0\0\0"), NULL);
    check_good(STR(V2 "\x21\0\0\3abc"), NULL);
    check_good(STR(V2 "\x21\x11\0\x10\xc0\0\2\x09\xc0\0\2\1\x12\x67\0\x50\4\0\1x"), "192.0.2.9");
    check_good(STR(V2 "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
                      "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
               "2001:db8::9");
}

static void test_bad_ones(void **state)
{
    static const struct str bad[] = {
        STR_INIT("GET / HTTP/1.1\r\n"),
        STR_INIT("PROXYTCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
        STR_INIT("proxy TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY  TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9  192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80 \r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80 1\r\n"),
        STR_INIT("PROXY TCP4 2001:db8::9 ::1 4711 80\r\n"),
        STR_INIT("PROXY TCP6 192.0.2.9 192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY TCP5 192.0.2.9 192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.256 192.0.2.1 4711 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 65536 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 04711 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 -1 80\r\n"),
        STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\r\n"),
        STR_INIT("PROXY \r\n"),
        STR_INIT("PROXY\r\n"),
        STR_INIT("PROXY TCP4\r\n"),
        STR_INIT(V2 "\x11" TCP4_TAIL),
        STR_INIT(V2 "\x22" TCP4_TAIL),
        STR_INIT(V2 "\x21\x11\0\x0b\xc0\0\2\x09\xc0\0\2\1\x12\x67\0"),
        STR_INIT(V2 "\x21\x21\0\x0c\xc0\0\2\x09\xc0\0\2\1\x12\x67\0\x50"),
        STR_INIT(V2 "\x21\x11\xff\xff"),
    };
    struct proxy_header header;
    size_t used;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (read_exactly(bad[i], BOTH, &header, &used) != E_PROTOCOL)
            fail_msg("number %zu was taken", i);
}

static void test_long_lines_end(void **state)
{
    char line[PROXY_V1_MAX + 1];
    struct proxy_header header;
    size_t used;

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(read_exactly((struct str){line, PROXY_V1_MAX - 1}, BOTH, &header, &used),
                     E_AGAIN);
    assert_int_equal(read_exactly((struct str){line, PROXY_V1_MAX}, BOTH, &header, &used),
                     E_PROTOCOL);
}

static void test_versions_asked_for(void **state)
{
    const struct str v1 = STR("PROXY UNKNOWN\r\n"), v2 = STR(V2 "\x20\0\0\0");
    struct proxy_header header;
    size_t used;

    (void)state;
    assert_int_equal(read_exactly(v1, PROXY_V1, &header, &used), OK);
    assert_int_equal(read_exactly(v2, PROXY_V1, &header, &used), E_PROTOCOL);
    assert_int_equal(read_exactly(v1, PROXY_V2, &header, &used), E_PROTOCOL);
    assert_int_equal(read_exactly(v2, PROXY_V2, &header, &used), OK);
    assert_int_equal(read_exactly(v1, 0, &header, &used), E_PROTOCOL);
}

/* Any one byte changed of a good header: taken or not, nothing is read past the end. */
static void change_byte(struct str good, size_t at)
{
    char changed[80];
    struct proxy_header header;
    size_t used = 0;

    memcpy(changed, good.p, good.len);
    for (unsigned byte = 0; byte < 256; byte++) {
        changed[at] = (char)byte;
        if (read_exactly((struct str){changed, good.len}, BOTH, &header, &used) == OK)
            assert_true(used <= good.len);
    }
}

static void test_every_byte_changed(void **state)
{
    static const struct str good[] = {STR_INIT("PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n"),
                                      STR_INIT(V2 "\x21" TCP4_TAIL)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        for (size_t at = 0; at < good[i].len; at++)
            change_byte(good[i], at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),          cmocka_unit_test(test_bad_ones),
        cmocka_unit_test(test_long_lines_end),     cmocka_unit_test(test_versions_asked_for),
        cmocka_unit_test(test_every_byte_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
