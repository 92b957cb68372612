/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of script/dict.c: times to live, the ceiling, and many threads at once.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/script/dict.h"

enum { LIMIT = 256 * 1024, THREADS = 4, ADDS = 20000 };

static int make_store(void **state)
{
    *state = dict_open(LIMIT);
    return *state ? 0 : -1;
}

static int remove_store(void **state)
{
    struct dict_store *store = *state;

    dict_close(&store);
    return 0;
}

static enum status put(struct dict_store *store, const char *key, const char *text, uint64_t now_ms,
                       uint64_t ttl_ms)
{
    const struct dict_write write = {.key = {key, strlen(key)},
                                     .value = {.text = {text, strlen(text)}},
                                     .now_ms = now_ms,
                                     .ttl_ms = ttl_ms};

    return dict_set(store, &write);
}

static const char *get(struct dict_store *store, const char *key, uint64_t now_ms)
{
    static _Thread_local char text[DICT_VALUE_MAX + 1];
    struct dict_value value;

    if (dict_get(store, (struct str){key, strlen(key)}, now_ms, text, &value))
        return NULL;
    if (value.is_number)
        snprintf(text, sizeof(text), "%g", value.number);
    else
        text[value.text.len] = 0;
    return text;
}

static double add(struct dict_store *store, const char *key, double by, uint64_t now_ms,
                  uint64_t ttl_ms)
{
    const struct dict_write write = {.key = {key, strlen(key)},
                                     .value = {.is_number = true, .number = by},
                                     .now_ms = now_ms,
                                     .ttl_ms = ttl_ms};
    double sum = -1;

    assert_int_equal(dict_add(store, &write, &sum), OK);
    return sum;
}

static void test_values_live_for_their_time(void **state)
{
    assert_int_equal(put(*state, "a", "1", 1000, 500), OK);
    assert_int_equal(put(*state, "b", "2", 1000, 0), OK);
    assert_string_equal(get(*state, "a", 1499), "1");
    assert_null(get(*state, "a", 1500));
    assert_string_equal(get(*state, "b", UINT64_MAX), "2");
    assert_int_equal(put(*state, "b", "3", 1000, 0), OK);
    assert_string_equal(get(*state, "b", 1000), "3");
    assert_true(dict_remove(*state, STR("b"), 1000));
    assert_false(dict_remove(*state, STR("b"), 1000));
    assert_int_equal(dict_used(*state), 0);
}

static void test_counters_begin_again_after_their_time(void **state)
{
    assert_true(add(*state, "n", 2, 1000, 100) == 2);
    assert_true(add(*state, "n", 3, 1050, 100) == 5); // the first has set the time
    assert_true(add(*state, "n", 1, 1099, 100) == 6);
    assert_true(add(*state, "n", 1, 1100, 100) == 1);
    assert_string_equal(get(*state, "n", 1150), "1");
}

static void test_the_ceiling_holds_and_the_oldest_goes(void **state)
{
    char key[32], text[1001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(put(*state, key, text, 1, 0), OK);
        assert_non_null(get(*state, "k0", 1)); // what is used stays
        assert_true(dict_used(*state) <= LIMIT);
    }
    assert_non_null(get(*state, "k4999", 1));
    assert_non_null(get(*state, "k0", 1));
    assert_null(get(*state, "k1", 1));
}

static void test_what_is_too_long_is_refused(void **state)
{
    char *text = calloc(1, DICT_VALUE_MAX + 2);
    struct dict_write write = {.key = {text, DICT_KEY_MAX + 1}};

    assert_int_equal(dict_set(*state, &write), E_INVALID);
    write.key.len = DICT_KEY_MAX;
    assert_int_equal(dict_set(*state, &write), OK);
    write.key.len = 1;
    write.value.text = (struct str){text, DICT_VALUE_MAX + 1};
    assert_int_equal(dict_set(*state, &write), E_INVALID);
    free(text);
}

static void *add_many(void *store)
{
    char key[32];

    for (unsigned i = 0; i < ADDS; i++) {
        add(store, "all", 1, 1, 0);
        snprintf(key, sizeof(key), "k%u", i);
        if (put(store, key, "some text", 1, i % 3) || get(store, key, 5))
            dict_remove(store, (struct str){key, strlen(key)}, 1);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    pthread_t threads[THREADS];
    char want[32];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, *state), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    snprintf(want, sizeof(want), "%d", THREADS * ADDS);
    assert_string_equal(get(*state, "all", 1), want);
    assert_true(dict_used(*state) <= LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, remove_store)
        TEST(test_values_live_for_their_time),
        TEST(test_counters_begin_again_after_their_time),
        TEST(test_the_ceiling_holds_and_the_oldest_goes),
        TEST(test_what_is_too_long_is_refused),
        TEST(test_threads_lose_nothing),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
