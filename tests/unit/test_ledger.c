/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's chain: canonical JSON, hashes, and what a walk finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/ledger.h"

static void check_canonical(const char *text, const char *expected)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char *canonical;

    assert_non_null(json);
    canonical = ledger_canonical(json);
    json_decref(json);
    assert_non_null(canonical);
    assert_string_equal(canonical, expected);
    free(canonical);
}

static void test_canonical_json(void **state)
{
    (void)state;
    check_canonical(" { \"b\" : [ 1 , -2 ] , \"a\" : { \"d\" : null, \"c\" : true } } ",
                    "{\"a\":{\"c\":true,\"d\":null},\"b\":[1,-2]}");
    check_canonical("\"\\u00e9\\u2028\\/\"", "\"\xc3\xa9\xe2\x80\xa8/\"");
    check_canonical("\"\\u001F\\u000b\\n\\t\\\\u001F\\\"\"",
                    "\"\\u001f\\u000b\\n\\t\\\\u001F\\\"\"");
    check_canonical("\"\\u007f\"", "\"\x7f\"");
    check_canonical("{\"aa\":1,\"a\":2,\"B\":3,\"\":4}", "{\"\":4,\"B\":3,\"a\":2,\"aa\":1}");
    check_canonical("9007199254740993", "9007199254740993");
    check_canonical("{}", "{}");
    check_canonical("[]", "[]");
}

static void test_fractions_have_no_place(void **state)
{
    static const char *const texts[] = {"1.5", "[1,[2,{\"a\":1e3}]]", "{\"a\":{\"b\":0.0}}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);

        assert_non_null(json);
        assert_null(ledger_canonical(json));
        json_decref(json);
    }
}

/* By `(head -c 32 /dev/zero; printf '{"a":"x","id":1}') | sha256sum`. */
static void test_a_hash_that_others_find_too(void **state)
{
    json_t *entry = json_pack("{s:i,s:s,s:s,s:s}", "id", 1, "a", "x", "hash", "not part of it",
                              "previous", "nor is this");
    char hash[LEDGER_HEX + 1];

    (void)state;
    assert_true(ledger_hash(entry, ledger_origin(), hash));
    assert_string_equal(hash, "577a7841f66344ba87913049fc4517c203c3bb908aff2cb12564859df92f5907");
    assert_true(ledger_hash(entry, hash, hash));
    assert_string_equal(hash, "719187904e18234e7d148c93c4248b20ea37bbc9d1026eea032d4f37a61897b6");
    assert_string_equal(json_string_value(json_object_get(entry, "hash")), "not part of it");
    json_decref(entry);
}

static void test_what_is_no_hash(void **state)
{
    json_t *entry = json_pack("{s:i}", "id", 1);
    char hash[LEDGER_HEX + 1], long_one[LEDGER_HEX + 2] = "", odd[LEDGER_HEX + 1];

    (void)state;
    memset(long_one, '0', LEDGER_HEX + 1);
    memcpy(odd, ledger_origin(), sizeof(odd));
    odd[7] = 'A';
    assert_false(ledger_hash(entry, "", hash));
    assert_false(ledger_hash(entry, "00", hash));
    assert_false(ledger_hash(entry, long_one, hash));
    assert_false(ledger_hash(entry, odd, hash));
    json_decref(entry);
}

/* --- walks */

static json_t *make_chain(int count)
{
    char head[LEDGER_HEX + 1];
    json_t *chain = json_array();

    memcpy(head, ledger_origin(), sizeof(head));
    for (int id = 1; id <= count; id++) {
        json_t *entry = json_pack("{s:i,s:s,s:{s:i}}", "id", id, "actor", "ann", "after", "n", id);

        json_object_set_new(entry, "previous", json_string(head));
        assert_true(ledger_hash(entry, head, head));
        json_object_set_new(entry, "hash", json_string(head));
        json_array_append_new(chain, entry);
    }
    return chain;
}

/* The id of the first entry that is wrong; 0: none is. */
static json_int_t first_wrong(const json_t *chain, const char **why)
{
    struct ledger_walk walk = {0};
    const json_t *entry;
    size_t i;

    json_array_foreach(chain, i, entry)
    {
        *why = ledger_walk(&walk, entry);
        if (*why)
            return json_integer_value(json_object_get(entry, "id"));
    }
    assert_int_equal(walk.last, json_array_size(chain));
    return 0;
}

static void test_a_chain_that_holds(void **state)
{
    json_t *chain = make_chain(50);
    const char *why;

    (void)state;
    assert_int_equal(first_wrong(chain, &why), 0);
    json_decref(chain);
}

static void test_what_was_changed_is_named(void **state)
{
    json_t *chain = make_chain(5);
    const char *why;

    (void)state;
    json_object_set_new(json_array_get(chain, 2), "actor", json_string("bob"));
    assert_int_equal(first_wrong(chain, &why), 3);
    assert_non_null(strstr(why, "its hash is another"));
    json_decref(chain);
}

static void test_what_was_added_is_named(void **state)
{
    json_t *chain = make_chain(5);
    const char *why;

    (void)state;
    json_object_set_new(json_array_get(chain, 1), "more", json_true());
    assert_int_equal(first_wrong(chain, &why), 2);
    json_decref(chain);
}

/* Whoever changes an entry and its hash breaks the next one. */
static void test_what_was_hashed_again_is_named_by_the_next(void **state)
{
    json_t *chain = make_chain(5), *entry = json_array_get(chain, 2);
    char hash[LEDGER_HEX + 1];
    const char *why;

    (void)state;
    json_object_set_new(entry, "actor", json_string("bob"));
    assert_true(ledger_hash(entry, json_string_value(json_object_get(entry, "previous")), hash));
    json_object_set_new(entry, "hash", json_string(hash));
    assert_int_equal(first_wrong(chain, &why), 4);
    assert_non_null(strstr(why, "does not follow"));
    json_decref(chain);
}

static void test_what_is_missing_is_named(void **state)
{
    json_t *chain = make_chain(5);
    const char *why;

    (void)state;
    json_array_remove(chain, 1);
    assert_int_equal(first_wrong(chain, &why), 3);
    assert_non_null(strstr(why, "missing"));
    json_array_remove(chain, 0);
    assert_int_equal(first_wrong(chain, &why), 3);
    json_decref(chain);
}

static void test_what_stands_twice_or_in_another_order_is_named(void **state)
{
    json_t *chain = make_chain(3);
    const char *why;

    (void)state;
    json_array_insert(chain, 1, json_array_get(chain, 0));
    assert_int_equal(first_wrong(chain, &why), 1);
    assert_non_null(strstr(why, "not in order"));
    json_decref(chain);
}

static void test_what_has_no_hash_is_named(void **state)
{
    json_t *chain = make_chain(2);
    const char *why;

    (void)state;
    json_object_del(json_array_get(chain, 1), "hash");
    assert_int_equal(first_wrong(chain, &why), 2);
    json_object_set_new(json_array_get(chain, 1), "previous", json_integer(1));
    assert_int_equal(first_wrong(chain, &why), 2);
    json_decref(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_json),
        cmocka_unit_test(test_fractions_have_no_place),
        cmocka_unit_test(test_a_hash_that_others_find_too),
        cmocka_unit_test(test_what_is_no_hash),
        cmocka_unit_test(test_a_chain_that_holds),
        cmocka_unit_test(test_what_was_changed_is_named),
        cmocka_unit_test(test_what_was_added_is_named),
        cmocka_unit_test(test_what_was_hashed_again_is_named_by_the_next),
        cmocka_unit_test(test_what_is_missing_is_named),
        cmocka_unit_test(test_what_stands_twice_or_in_another_order_is_named),
        cmocka_unit_test(test_what_has_no_hash_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
