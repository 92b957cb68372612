/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of clock.c: dates against libc's calendar, and the cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static void assert_str(struct str s, const char *expected)
{
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.p, expected, s.len);
}

static void test_known_dates(void **state)
{
    (void)state;
    struct clock_date http = {0}, json = {0}, ncsa = {0};
    assert_str(clock_http_date(&http, 784111777000), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_str(clock_http_date(&http, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
    assert_str(clock_rfc3339(&json, 1795379388123), "2026-11-22T20:29:48.123Z");
    assert_str(clock_rfc3339(&json, 951782400007), "2000-02-29T00:00:00.007Z");
    assert_str(clock_ncsa_date(&ncsa, 1795379388999), "22/Nov/2026:20:29:48 +0000");
}

static void test_milliseconds_change_within_a_second(void **state)
{
    (void)state;
    struct clock_date json = {0};
    clock_rfc3339(&json, 1795379388123);
    assert_str(clock_rfc3339(&json, 1795379388999), "2026-11-22T20:29:48.999Z");
    assert_str(clock_rfc3339(&json, 1795379389000), "2026-11-22T20:29:49.000Z");
    assert_str(clock_rfc3339(&json, 1795379388000), "2026-11-22T20:29:48.000Z");
}

/* The cache must be used: a marked one is given back as it is. */
static void test_formats_once_a_second(void **state)
{
    (void)state;
    struct clock_date http = {0};
    clock_http_date(&http, 784111777000);
    http.text[0] = '#';
    assert_int_equal(clock_http_date(&http, 784111777999).p[0], '#');
    assert_str(clock_http_date(&http, 784111778000), "Sun, 06 Nov 1994 08:49:38 GMT");
}

static void test_past_the_year_9999(void **state)
{
    (void)state;
    struct clock_date json = {0};
    assert_str(clock_rfc3339(&json, UINT64_MAX), "9999-12-31T23:59:59.999Z");
}

static void test_agrees_with_libc(void **state)
{
    (void)state;
    struct clock_date http = {0};
    for (uint64_t day = 0; day < 2932896; day += 13) {
        time_t second = (time_t)(day * 86400 + day * 7 % 86400);
        struct tm parts;
        char expected[64];
        gmtime_r(&second, &parts);
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        assert_str(clock_http_date(&http, (uint64_t)second * 1000), expected);
    }
}

static void test_clocks_move(void **state)
{
    (void)state;
    uint64_t before = clock_us();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t wall = clock_wall_ms();
    assert_true(wall / 1000 >= (uint64_t)now.tv_sec && wall / 1000 <= (uint64_t)now.tv_sec + 60);
    uint64_t after = clock_us();
    assert_true(after >= before && after - before < 60000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_dates),
        cmocka_unit_test(test_milliseconds_change_within_a_second),
        cmocka_unit_test(test_formats_once_a_second),
        cmocka_unit_test(test_past_the_year_9999),
        cmocka_unit_test(test_agrees_with_libc),
        cmocka_unit_test(test_clocks_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
