/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens, hosts and origins of the admin port.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "rest/token.h"

static struct conf_token tokens[] = {
    {.token.s = STR_INIT("read-me"), .can = 1U << CONF_CAN_READ},
    {.token.s = STR_INIT("operate"), .can = 1U << CONF_CAN_OPERATE},
    {.token.s = STR_INIT(""), .can = 1U << CONF_CAN_DEPLOY},
};

static const struct conf_admin conf = {
    .bind = {.host = STR_INIT("edge1.internal"), .port = 9900},
    .tokens = tokens,
    .token_count = ARRAY_LEN(tokens),
};

static uint32_t rights(const char *authorization)
{
    return token_rights(&conf, (struct str){authorization, strlen(authorization)});
}

static void test_a_token_has_its_rights(void **state)
{
    (void)state;
    assert_int_equal(rights("Bearer read-me"), 1U << CONF_CAN_READ);
    assert_int_equal(rights("Bearer operate"), 1U << CONF_CAN_OPERATE | 1U << CONF_CAN_READ);
    assert_int_equal(rights("bearer   operate"), 1U << CONF_CAN_OPERATE | 1U << CONF_CAN_READ);
}

static void test_all_else_has_none(void **state)
{
    static const char *const wrong[] = {
        "",          "Bearer",        "Bearer ",         "Bearer operat",   "Bearer operate2",
        "operate",   "Basic operate", "Bearer Operate",  "Bearer x",        "Bearer operateoperate",
        "Bearer   ", "Bearer read-m", "Bearer read-me ", "Bearer\toperate",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(rights(wrong[i]), 0);
    assert_int_equal(token_rights(&conf, STR_NONE), 0);
    assert_int_equal(token_rights(&(struct conf_admin){0}, STR("Bearer operate")), 0);
}

static bool is_ours(const char *host)
{
    return token_host_is_ours(&conf, (struct str){host, strlen(host)});
}

static void test_hosts_that_nobody_can_rebind(void **state)
{
    static const char *const good[] = {
        "127.0.0.1",      "127.0.0.1:9900", "10.1.2.3:1",
        "[::1]",          "[::1]:9900",     "localhost",
        "LocalHost:9900", "edge1.internal", "edge1.internal:9900",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(is_ours(good[i]));
}

static void test_names_of_others(void **state)
{
    static const char *const bad[] = {
        "evil.example",
        "evil.example:9900",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        ":9900",
        "127.0.0.1.",
        "localhost:80:80",
        "[::1",
        "::1",
        "[localhost]",
        "[127.0.0.1]",
        "edge1.internal.evil",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(is_ours(bad[i]));
    assert_false(token_host_is_ours(&(struct conf_admin){.bind.host = STR("")}, STR("")));
}

static void test_origins(void **state)
{
    struct str host = STR("127.0.0.1:9900");

    (void)state;
    assert_true(token_origin_is_same(STR("http://127.0.0.1:9900"), host));
    assert_true(token_origin_is_same(STR("HTTPS://127.0.0.1:9900"), host));
    assert_true(token_origin_is_same(STR("http://LOCALHOST"), STR("localhost")));
    assert_false(token_origin_is_same(STR("null"), host));
    assert_false(token_origin_is_same(STR(""), host));
    assert_false(token_origin_is_same(STR("http://"), STR("")));
    assert_false(token_origin_is_same(STR("http://127.0.0.1"), host));
    assert_false(token_origin_is_same(STR("http://127.0.0.1:99000"), host));
    assert_false(token_origin_is_same(STR("ftp://127.0.0.1:9900"), host));
    assert_false(token_origin_is_same(STR("http://evil.example:9900"), host));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_token_has_its_rights),
        cmocka_unit_test(test_all_else_has_none),
        cmocka_unit_test(test_hosts_that_nobody_can_rebind),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_origins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
