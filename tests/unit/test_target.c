/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets given at run time: what a configuration would take, and the parts of their addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "rest/target.h"

#define GIVEN(name, where, share)                                                                  \
    {                                                                                              \
        .id = STR_INIT(name), .address = STR_INIT(where), .weight = share                          \
    }

#define PLACED(where, after)                                                                       \
    {                                                                                              \
        .id = STR_INIT("a"), .address = STR_INIT("127.0.0.1:80"), .weight = 1,                     \
        .region = STR_INIT(where), .priority = after                                               \
    }

struct judged {
    struct target_text target;
    const char *why; /* stands in the first diagnostic; NULL: it is good */
};

static void check(const struct judged *judged)
{
    struct arena arena;
    struct diag diag;
    bool is_good;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    is_good = target_check(&judged->target, &diag);
    assert_int_equal(is_good, !judged->why);
    if (judged->why) {
        const struct str *text = &diag.entries[0].text;

        assert_true(diag.count > 0);
        assert_non_null(memmem(text->p, text->len, judged->why, strlen(judged->why)));
    }
    arena_reset(&arena);
}

static void test_what_may_be_a_target(void **state)
{
    static const struct judged cases[] = {
        {GIVEN("a", "127.0.0.1:80", 1), NULL},
        {GIVEN("a b/\xc3\xbc", "app.internal:80", 1000), NULL},
        {GIVEN("a", "[::1]:80", 1), NULL},
        {GIVEN("a", "unix:/run/app.sock", 1), NULL},
        {GIVEN("", "127.0.0.1:80", 1), "empty"},
        {GIVEN("a", "", 1), ""},
        {GIVEN("a", "127.0.0.1", 1), "port"},
        {GIVEN("a", "127.0.0.1:99999", 1), "port"},
        {PLACED("fra", 15), NULL},
        {PLACED("fra", 16), ""},
        {PLACED("fra", -1), ""},
        {PLACED("${env:HOME}", 0), "${}"},
        {PLACED("\xff", 0), "UTF-8"},
        {GIVEN("a", "127.0.0.1:80", 0), ""},
        {GIVEN("a", "127.0.0.1:80", -1), ""},
        {GIVEN("a", "127.0.0.1:80", 1001), ""},
        {GIVEN("a", "${file:/etc/hostname}", 1), "${}"},
        {GIVEN("$${env:HOME}", "127.0.0.1:80", 1), "${}"},
        {GIVEN("\xff", "127.0.0.1:80", 1), "UTF-8"},
        {GIVEN("a\"}]}}, x: {", "127.0.0.1:80", 1), NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(&cases[i]);
}

static void check_parts(struct str address, struct str host, uint16_t port, bool is_unix)
{
    struct conf_address parts;

    target_split(address, &parts);
    assert_int_equal(parts.host.len, host.len);
    assert_memory_equal(parts.host.p, host.p, host.len);
    assert_ptr_equal(parts.text.s.p, address.p);
    assert_int_equal(parts.port, port);
    assert_int_equal(parts.is_unix, is_unix);
}

static void test_the_parts_of_an_address(void **state)
{
    (void)state;
    check_parts(STR("127.0.0.1:80"), STR("127.0.0.1"), 80, false);
    check_parts(STR("app.internal:65535"), STR("app.internal"), 65535, false);
    check_parts(STR("[fe80::1%eth0]:8080"), STR("fe80::1%eth0"), 8080, false);
    check_parts(STR("unix:/run/a:1"), STR("/run/a:1"), 0, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_be_a_target),
        cmocka_unit_test(test_the_parts_of_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
