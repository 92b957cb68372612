/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shares.c: names of releases, what is a split and what is none, and what is left of one
 * beside a new release.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "control/deploy/shares.h"

static json_t *json(const char *text)
{
    json_t *made = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(made);
    return made;
}

static void names_are_ids_first_and_roles_then(void **state)
{
    json_t *two = json("[\"v1\", \"v2\"]"), *named = json("[\"v1\", \"stable\", \"canary\"]");

    (void)state;
    assert_string_equal(shares_find(two, "v2"), "v2");
    assert_string_equal(shares_find(two, "stable"), "v1");
    assert_string_equal(shares_find(two, "canary"), "v2");
    assert_null(shares_find(two, "v3"));
    assert_null(shares_find(two, ""));
    assert_string_equal(shares_find(named, "stable"), "stable");
    assert_string_equal(shares_find(named, "canary"), "canary");
    json_array_append_new(two, json_string("v3"));
    assert_null(shares_find(two, "canary")); // which of the two?
    json_decref(two);
    json_decref(named);
}

/* What is read of `said` among v1 and v2, as text; the fault's number where it is none. */
static void reads(const char *said, const char *expected, enum shares_fault fault)
{
    json_t *known = json("[\"v1\", \"v2\"]"), *body = json(said), *split;
    const char *unknown = "";
    char *text;

    assert_int_equal(shares_read(known, body, &split, &unknown), fault);
    if (fault == SHARES_UNKNOWN)
        assert_string_equal(unknown, expected);
    if (fault) {
        assert_null(split);
    } else {
        text = json_dumps(split, JSON_COMPACT);
        assert_string_equal(text, expected);
        free(text);
    }
    json_decref(split);
    json_decref(body);
    json_decref(known);
}

static void a_split_is_whole_numbers_of_known_releases(void **state)
{
    static const char *const malformed[] = {
        "[]",
        "5",
        "null",
        "{}",
        "{\"v1\":0}",
        "{\"v1\":-1}",
        "{\"v1\":1.0}",
        "{\"v1\":\"1\"}",
        "{\"v1\":[]}",
        "{\"v1\":1000001}",
        "{\"v1\":1,\"stable\":1}",
        "{\"v1\":9223372036854775807}",
    };

    (void)state;
    reads("{\"v1\":90,\"v2\":10}", "{\"v1\":90,\"v2\":10}", SHARES_GOOD);
    reads("{\"v2\":1}", "{\"v1\":0,\"v2\":1}", SHARES_GOOD);
    reads("{\"stable\":2,\"canary\":1000000}", "{\"v1\":2,\"v2\":1000000}", SHARES_GOOD);
    reads("{\"v1\":0,\"v3\":1}", "v3", SHARES_UNKNOWN);
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++)
        reads(malformed[i], NULL, SHARES_MALFORMED);
}

static void only_known_releases_count(void **state)
{
    json_t *known = json("[\"v1\", \"v2\"]"), *split = json("{\"v1\":0,\"v2\":3,\"gone\":9}");
    json_t *kept = shares_among(known, split), *none = json("{\"v1\":0,\"gone\":9}");

    (void)state;
    assert_int_equal(json_object_size(kept), 2);
    assert_int_equal(json_integer_value(json_object_get(kept, "v2")), 3);
    assert_null(shares_among(known, none));
    assert_null(shares_among(known, NULL));
    json_decref(none);
    json_decref(kept);
    json_decref(split);
    json_decref(known);
}

/* The text of what is left. */
static void leaves(const char *split, uint32_t whole, const char *expected)
{
    json_t *of = split ? json(split) : NULL, *to = json_object();
    struct shares_spread spread = {of, "new", "old", whole};
    char *text;

    shares_spread(to, &spread);
    text = json_dumps(to, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(to);
    json_decref(of);
}

static void the_rest_goes_by_the_shares(void **state)
{
    (void)state;
    leaves(NULL, 10, "{\"old\":10}");
    leaves("{}", 10, "{\"old\":10}");
    leaves("{\"a\":0,\"new\":5}", 10, "{\"old\":10}");
    leaves("{\"a\":60,\"b\":40}", 500000, "{\"b\":200000,\"a\":300000}");
    leaves("{\"a\":1,\"b\":0}", 7, "{\"a\":7}");
    leaves("{\"a\":1,\"b\":1,\"new\":98}", 10, "{\"b\":5,\"a\":5}");
    leaves("{\"a\":1,\"b\":1000000}", 10, "{\"b\":10}"); // a tenth of a millionth is nothing
    leaves("{\"a\":1,\"b\":1,\"c\":1}", 100, "{\"b\":33,\"c\":33,\"a\":34}");
    leaves("{\"a\":1}", 0, "{\"a\":0}");
}

static void nothing_is_lost_by_rounding(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint32_t whole = random_below(&seed, 1000001), sum = 0;
        json_t *split = json_object(), *to = json_object(), *part;
        const char *id;

        for (int i = 0; i < 8; i++) {
            char name[] = {(char)('a' + i), '\0'};

            json_object_set_new(split, name, json_integer(random_below(&seed, 1000001)));
        }
        shares_spread(to, &(struct shares_spread){split, "new", "old", whole});
        json_object_foreach(to, id, part)
        {
            json_int_t number = json_integer_value(part);

            assert_true(number >= 0 && number <= whole);
            sum += (uint32_t)number;
        }
        assert_int_equal(sum, whole);
        json_decref(to);
        json_decref(split);
    }
}

static void the_main_one_is_stable_while_it_has_a_share(void **state)
{
    json_t *split = json("{\"v1\":1,\"v2\":99}"), *other = json("{\"v1\":0,\"v2\":1,\"v3\":2}");

    (void)state;
    assert_string_equal(shares_main(split, "v1"), "v1");
    assert_string_equal(shares_main(other, "v1"), "v3");
    assert_string_equal(shares_main(NULL, "v1"), "v1");
    assert_null(shares_main(NULL, NULL));
    json_decref(other);
    json_decref(split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_ids_first_and_roles_then),
        cmocka_unit_test(a_split_is_whole_numbers_of_known_releases),
        cmocka_unit_test(only_known_releases_count),
        cmocka_unit_test(the_rest_goes_by_the_shares),
        cmocka_unit_test(nothing_is_lost_by_rounding),
        cmocka_unit_test(the_main_one_is_stable_while_it_has_a_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
