/* SPDX-License-Identifier: Apache-2.0
 *
 * One claim out of a token's payload, also out of text that is none; and cookies.
 */
#include "edge/limit/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/cookie.h"

static struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void assert_value(struct str value, const char *want)
{
    if (!want) {
        assert_null(value.p);
        return;
    }
    assert_non_null(value.p);
    assert_int_equal(value.len, strlen(want));
    assert_memory_equal(value.p, want, value.len);
}

static const struct {
    const char *claims, *value; /* of the claim "sub" */
} claims[] = {
    {"{\"sub\":\"ann\"}", "ann"},
    {" {\"a\" : 1 , \"sub\" : \"ann\" }", "ann"},
    {"{\"sub\":42}", "42"},
    {"{\"sub\":-1.5e3 ,\"a\":1}", "-1.5e3"},
    {"{\"sub\":true}", "true"},
    {"{\"sub\":\"\"}", ""},
    {"{\"sub\":\"a\\\"b\"}", "a\\\"b"},
    {"{\"sub\":[1,{\"x\":\"]}\"}, 2] }", "[1,{\"x\":\"]}\"}, 2]"},
    {"{\"a\":{\"sub\":\"inner\"},\"sub\":\"outer\"}", "outer"},
    {"{\"a\":[{\"sub\":1}],\"b\":\"sub\",\"sub\":2}", "2"},
    {"{\"a\":{\"sub\":\"inner\"}}", NULL},
    {"{\"subs\":1,\"su\":2}", NULL},
    {"{}", NULL},
    {"", NULL},
    {"[]", NULL},
    {"\"sub\"", NULL},
    {"{\"sub\"", NULL},
    {"{\"sub\":", NULL},
    {"{\"sub\":\"ann", NULL},
    {"{\"sub\":\"ann\\", NULL},
    {"{\"sub\":}", NULL},
    {"{sub:1}", NULL},
    {"{\"a\":\"x\" \"sub\":1}", NULL},
    {"{\"a\":\"\\\"sub\\\":1\"}", NULL},
};

static void claims_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++)
        assert_value(claim_value(str_of(claims[i].claims), STR("sub")), claims[i].value);
    assert_null(claim_value(STR_NONE, STR("sub")).p);
}

/* Of every beginning of a text nothing is read past its end. */
static void claims_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
        for (size_t len = 0; len < strlen(claims[i].claims); len++) {
            char *copy = malloc(len + 1);
            struct str value;

            assert_non_null(copy);
            memcpy(copy, claims[i].claims, len);
            copy[len] = '"';
            value = claim_value((struct str){copy, len}, STR("sub"));
            assert_true(!value.p || value.p + value.len <= copy + len);
            free(copy);
        }
    }
}

static void cookies(void **state)
{
    static const struct {
        const char *field, *value; /* of the cookie "id" */
    } samples[] = {
        {"id=7", "7"},       {"a=b; id=7", "7"}, {"a=b;id=7; c=d", "7"},
        {"id=7; id=8", "7"}, {"id=", ""},        {"id=a=b", "a=b"},
        {"a=id=7", NULL},    {"xid=7", NULL},    {"idx=7", NULL},
        {"id", NULL},        {"", NULL},         {";;", NULL},
        {"ID=7", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        assert_value(cookie_value(str_of(samples[i].field), STR("id")), samples[i].value);
    assert_null(cookie_value(STR_NONE, STR("id")).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_by_name),
        cmocka_unit_test(claims_cut_short),
        cmocka_unit_test(cookies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
