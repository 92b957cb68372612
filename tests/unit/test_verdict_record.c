/* SPDX-License-Identifier: Apache-2.0
 *
 * A verdict that is written and read again is the same to the last bit and goes on the same way;
 * one that is damaged is refused, or is at least one.
 */
#include "control/verdict_record.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static const struct verdict_rule rule = {.error_ratio = 2,
                                         .error_margin = 0.005,
                                         .latency_ratio = 1.5,
                                         .latency_margin = 0.005,
                                         .minimum = 50};

static struct verdict_side random_side(uint64_t *random, unsigned requests, unsigned failing)
{
    struct verdict_side side = {.requests = requests};

    for (unsigned i = 0; i < requests; i++) {
        struct verdict_count *client = &side.clients[random_below(random, VERDICT_CLIENTS)];
        bool is_bad = random_below(random, 1000) < failing;

        client->requests++;
        client->failures += is_bad;
        side.failures += is_bad;
        if (!is_bad)
            side.latency[latency_bucket(1000 + random_below(random, 200000))]++;
    }
    return side;
}

static void add_some(struct verdict *verdict, uint64_t *random, unsigned blocks)
{
    for (unsigned i = 0; i < blocks; i++) {
        struct verdict_side stable = random_side(random, random_below(random, 40), 10);
        struct verdict_side canary = random_side(random, random_below(random, 4), 30);

        verdict_add(verdict, &rule, &stable, &canary, 1);
    }
}

static struct verdict made(void)
{
    uint64_t random = 42;
    struct verdict verdict;

    verdict_init(&verdict, 1000, 7);
    add_some(&verdict, &random, 200);
    verdict_step(&verdict);
    add_some(&verdict, &random, 101);
    return verdict;
}

/* As the store has it. */
static char *text_of(const struct verdict *verdict)
{
    json_t *record = verdict_record(verdict);
    char *text = json_dumps(record, JSON_COMPACT);

    assert_non_null(text);
    json_decref(record);
    return text;
}

static bool read_text(const char *text, struct verdict *verdict)
{
    json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = record && verdict_read(record, verdict);

    json_decref(record);
    return is_good;
}

static void test_round_trip(void **state)
{
    struct verdict before = made(), after;
    char *text = text_of(&before), *again;
    uint64_t left = 7, right = 7;

    (void)state;
    assert_in_range(strlen(text), 100, 24000);
    assert_true(read_text(text, &after));
    assert_memory_equal(&before, &after, sizeof(before));
    add_some(&before, &left, 50);
    add_some(&after, &right, 50);
    assert_memory_equal(&before, &after, sizeof(before));
    again = text_of(&after);
    assert_string_not_equal(text, again);
    free(text);
    free(again);
}

static void test_an_empty_one(void **state)
{
    struct verdict before, after;
    char *text;

    (void)state;
    verdict_init(&before, 0, 0);
    text = text_of(&before);
    assert_non_null(strstr(text, "\"cells\":[]"));
    assert_true(read_text(text, &after));
    assert_memory_equal(&before, &after, sizeof(before));
    free(text);
}

/* --- damage */

static void refuse(json_t *record)
{
    struct verdict verdict;

    assert_false(verdict_read(record, &verdict));
    json_decref(record);
}

static json_t *record_of_made(void)
{
    struct verdict verdict = made();

    return verdict_record(&verdict);
}

static json_t *with(const char *member, json_t *value)
{
    json_t *record = record_of_made();

    assert_int_equal(json_object_set_new(record, member, value), 0);
    return record;
}

static json_t *with_cell(size_t at, json_t *value)
{
    json_t *record = record_of_made();

    assert_int_equal(json_array_set_new(json_object_get(record, "cells"), at, value), 0);
    return record;
}

static json_t *without(const char *member)
{
    json_t *record = record_of_made();

    assert_int_equal(json_object_del(record, member), 0);
    return record;
}

static void test_members(void **state)
{
    (void)state;
    refuse(NULL);
    refuse(json_null());
    refuse(json_array());
    refuse(json_object());
    refuse(without("version"));
    refuse(without("size"));
    refuse(without("steps"));
    refuse(with("version", json_integer(2)));
    refuse(with("version", json_string("1")));
    refuse(with("size", json_integer(12)));
    refuse(with("steps", json_integer(-1)));
    refuse(with("steps", json_integer(INT64_C(1) << 32)));
    refuse(with("steps", json_real(1)));
    refuse(with("cells", json_pack("[i]", 0)));
    refuse(with("cells", json_pack("[i,s]", 0, "many")));
    refuse(with("cells", json_pack("[s,i]", "0", 5)));
    refuse(with("cells", json_pack("[i,i,i,i]", 0, 5, 0, 5)));
    refuse(with("cells", json_pack("[i,i]", -1, 5)));
    refuse(with("cells", json_pack("[i,f]", 1000000, 5.0)));
    refuse(with("cells", json_pack("[i,i,i,i]", 0, 5, 1, 6))); // more failures than requests
}

static void test_cells(void **state)
{
    json_t *record = record_of_made();
    size_t size = json_array_size(json_object_get(record, "cells")), last = size - 1;

    (void)state;
    json_decref(record);
    assert_true(size > 100);
    refuse(with_cell(1, json_integer(-5)));
    refuse(with_cell(1, json_real(5)));
    refuse(with_cell(1, json_string("5")));
    refuse(with_cell(1, json_null()));
    refuse(with_cell(last, json_real(-1))); // of an amount
    refuse(with_cell(last, json_integer(1)));
    refuse(with_cell(last - 1, json_integer(0)));
    refuse(with_cell(last - 1, json_integer(INT64_MAX)));
    refuse(with_cell(0, json_integer(INT64_MIN)));
}

/* Whatever is read can be looked at and goes on. */
static void test_any_byte(void **state)
{
    struct verdict verdict = made(), after;
    char *text = text_of(&verdict);
    size_t len = strlen(text), refused = 0;
    uint64_t random = 1;

    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        size_t at = random_below(&random, (uint32_t)len);
        char was = text[at];

        text[at] = (char)(was ^ (1 << random_below(&random, 7)));
        if (read_text(text, &after)) {
            uint64_t more = i;

            assert_true(after.whole.canary.failures <= after.whole.canary.requests);
            add_some(&after, &more, 2);
            (void)verdict_look(&after, &rule);
        } else {
            refused++;
        }
        text[at] = was;
    }
    assert_true(refused > 500);
    for (size_t cut = 0; cut < len; cut += 97) {
        char was = text[cut];

        text[cut] = '\0';
        assert_false(read_text(text, &after));
        text[cut] = was;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_an_empty_one),
        cmocka_unit_test(test_members),    cmocka_unit_test(test_cells),
        cmocka_unit_test(test_any_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
