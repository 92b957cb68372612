/* SPDX-License-Identifier: Apache-2.0
 *
 * Where backups are in a store that speaks S3, and how they are called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "control/s3.h"

static struct s3_place read_place(const char *url, const char **wrong)
{
    struct s3_place place = {.region = "eu-west-3"};

    *wrong = s3_place_read(&place, (struct str){url, strlen(url)});
    return place;
}

static void test_places(void **state)
{
    static const struct {
        const char *url, *bucket, *prefix, *object;
    } good[] = {
        {"s3://back-ups", "https://back-ups.s3.eu-west-3.amazonaws.com", "", ""},
        {"s3://back-ups/", "https://back-ups.s3.eu-west-3.amazonaws.com", "", ""},
        {"s3://back-ups/a/b", "https://back-ups.s3.eu-west-3.amazonaws.com", "a/b/", ""},
        {"s3://back-ups/a/b//", "https://back-ups.s3.eu-west-3.amazonaws.com", "a/b/", ""},
        {"s3://my.backups/a", "https://s3.eu-west-3.amazonaws.com/my.backups", "a/", ""},
        {"https://s3.example.com:9000/bucket/x", "https://s3.example.com:9000/bucket", "x/", ""},
        {"http://127.0.0.1:9000/bucket", "http://127.0.0.1:9000/bucket", "", ""},
        {"s3://back-ups/a/control-20261128T103129Z.db",
         "https://back-ups.s3.eu-west-3.amazonaws.com", "a/", "control-20261128T103129Z.db"},
        {"s3://back-ups/control-20261128T103129Z.db", "https://back-ups.s3.eu-west-3.amazonaws.com",
         "", "control-20261128T103129Z.db"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        const char *wrong;
        struct s3_place place = read_place(good[i].url, &wrong);

        if (wrong)
            fail_msg("%s: %s", good[i].url, wrong);
        assert_string_equal(place.bucket, good[i].bucket);
        assert_string_equal(place.prefix, good[i].prefix);
        assert_string_equal(place.object, good[i].object);
    }
}

static void test_what_is_no_place(void **state)
{
    static const char *const bad[] = {"",
                                      "s3:/",
                                      "s3://",
                                      "s3://ab",
                                      "s3://Bucket",
                                      "s3://bucket/a b",
                                      "s3://bucket/a?x",
                                      "s3://bucket/a#x",
                                      "s3://bucket/a%41",
                                      "s3://bucket/\xc3\xa9",
                                      "ftp://host/bucket",
                                      "https://",
                                      "https://host",
                                      "https://host/",
                                      "https:///bucket",
                                      "https://u:p@host/bucket",
                                      "s3://bucket/xcontrol-20261128T103129Z.db"};
    char large[2000];
    const char *wrong;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)read_place(bad[i], &wrong);
        if (!wrong)
            fail_msg("%s is taken", bad[i]);
    }
    snprintf(large, sizeof(large), "s3://bucket/%0500d", 0);
    (void)read_place(large, &wrong);
    assert_non_null(wrong);
    snprintf(large, sizeof(large), "https://%01500d/bucket", 0);
    (void)read_place(large, &wrong);
    assert_non_null(wrong);
}

static void test_names(void **state)
{
    static const char *const bad[] = {"",
                                      "control-",
                                      "control-20261128T103129Z",
                                      "d",
                                      "control-20261128T103129Z.db2",
                                      "control-2026112dT103129Z.db",
                                      "control-20261128T103129Z.0b",
                                      "Control-20261128T103129Z.db"};
    char name[S3_NAME];

    (void)state;
    s3_name(INT64_C(1700000000000), name);
    assert_string_equal(name, "control-20231114T221320Z.db");
    assert_true(s3_is_name(name));
    assert_int_equal(s3_name_ms(name), INT64_C(1700000000000));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(s3_is_name(bad[i]));
        assert_int_equal(s3_name_ms(bad[i]), 0);
    }
}

/* --- lists */

static bool read_list(const char *text, json_t *names, char token[S3_TOKEN])
{
    struct s3_place place = {.prefix = "a&b/"};

    return s3_read_list((struct str){text, strlen(text)}, &place, names, token);
}

static void test_a_list(void **state)
{
    char token[S3_TOKEN];
    json_t *names = json_array();

    (void)state;
    assert_true(read_list("<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated>"
                          "<Contents><Key>a&amp;b/control-20250102T000000Z.db</Key></Contents>"
                          "<Contents><Key>a&amp;b/other.db</Key></Contents>"
                          "<Contents><Key>c/control-20250103T000000Z.db</Key></Contents>"
                          "<Contents><Key>a&amp;b/control-20250101T000000Z.db</Key></Contents>"
                          "<NextContinuationToken>1/x&lt;=</NextContinuationToken>"
                          "</ListBucketResult>",
                          names, token));
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(s3_newest(names), "control-20250102T000000Z.db");
    assert_string_equal(token, "1/x<=");
    json_decref(names);
}

static void test_what_is_no_list_does_no_harm(void **state)
{
    static const char *const odd[] = {"<ListBucketResult>",
                                      "<ListBucketResult><Key>",
                                      "<ListBucketResult><Key></Key><Key",
                                      "<ListBucketResult></Key><Key>&</Key><Key>&amp</Key>",
                                      "<ListBucketResult><Key>a&b/control-2025\n</Key>",
                                      "<ListBucketResult><NextContinuationToken>x"};
    char token[S3_TOKEN], large[4 * S3_TOKEN];
    json_t *names = json_array();

    (void)state;
    assert_false(read_list("", names, token));
    assert_false(read_list("<html>Sign in</html>", names, token));
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        assert_true(read_list(odd[i], names, token));
        assert_string_equal(token, "");
    }
    snprintf(large, sizeof(large),
             "<ListBucketResult><Key>%01000d</Key>"
             "<NextContinuationToken>%02000d</NextContinuationToken>",
             0, 0);
    assert_false(read_list(large, names, token)); // a list whose end is out of reach
    assert_int_equal(json_array_size(names), 0);
    assert_null(s3_newest(names));
    json_decref(names);
}

static void test_reasons(void **state)
{
    struct outbound_reply reply = {.status = 403,
                                   .body = STR("<Error><Code>AccessDenied</Code>"
                                               "<Message>No &amp; never</Message></Error>")};
    char why[S3_ERROR];

    (void)state;
    s3_explain(&reply, why);
    assert_string_equal(why, "the store answers 403, AccessDenied: No & never");
    reply.body = STR("<html>");
    s3_explain(&reply, why);
    assert_string_equal(why, "the store answers 403");
    reply = (struct outbound_reply){.error = "Could not resolve host"};
    s3_explain(&reply, why);
    assert_string_equal(why, "Could not resolve host");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_what_is_no_place),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_a_list),
        cmocka_unit_test(test_what_is_no_list_does_no_harm),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
