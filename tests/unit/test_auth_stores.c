/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what workers read without locks or remember: cell.c with threads that read while values
 * are replaced, token_cache.c, key_ring.c and key_store.c.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/auth/key_store.h"

/* --- cell */

enum { READERS = 3, WRITES = 2000, LIVE = 0x5a5a };

struct value {
    uint32_t life;
    unsigned number;
};

static unsigned freed; /* by the writer's thread alone */

static void free_value(void *value)
{
    ((struct value *)value)->life = 0;
    freed++;
    free(value);
}

static struct value *new_value(unsigned number)
{
    struct value *value = malloc(sizeof(*value));

    *value = (struct value){LIVE, number};
    return value;
}

struct reader {
    pthread_t thread;
    struct cell *cell;
    unsigned worker;
    bool is_good;
};

static void *read_on(void *owner)
{
    struct reader *reader = owner;
    unsigned last = 0;

    reader->is_good = true;
    while (last < WRITES) {
        const struct value *value = cell_read(reader->cell, reader->worker);

        if (!value)
            continue;
        reader->is_good &= value->life == LIVE && value->number >= last;
        last = value->number;
    }
    return NULL;
}

static void values_live_while_they_are_held(void **state)
{
    struct reader readers[READERS];
    struct cell cell;

    (void)state;
    freed = 0;
    assert_int_equal(cell_init(&cell, READERS + 1, free_value), OK);
    assert_null(cell_read(&cell, READERS));
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.cell = &cell, .worker = i};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (unsigned i = 1; i <= WRITES; i++) {
        cell_write(&cell, new_value(i));
        assert_in_range(cell.retired_count, 0, READERS + 1);
    }
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_true(readers[i].is_good);
    }
    cell_fini(&cell);
    assert_int_equal(freed, WRITES);
}

static void what_an_idle_worker_holds_stays(void **state)
{
    struct cell cell;
    const struct value *held;

    (void)state;
    freed = 0;
    assert_int_equal(cell_init(&cell, 2, free_value), OK);
    cell_write(&cell, new_value(1));
    held = cell_read(&cell, 0);
    for (unsigned i = 2; i < 100; i++)
        cell_write(&cell, new_value(i));
    assert_int_equal(held->life, LIVE);
    assert_int_equal(freed, 97);
    assert_int_equal(((const struct value *)cell_read(&cell, 0))->number, 99);
    cell_fini(&cell);
}

/* --- tokens */

static struct jwt jwt_of(const char *claims, struct str *forward, uint64_t ends_ms)
{
    return (struct jwt){.claims = {claims, strlen(claims)},
                        .subject = STR("ann"),
                        .forward = forward,
                        .ends_ms = ends_ms};
}

static void tokens_are_known_as_they_were(void **state)
{
    struct token_cache *cache = token_cache_new();
    struct str forward[2] = {STR("one"), {NULL, 0}};
    struct jwt jwt = jwt_of("{}", forward, 1000);
    struct token_key key = {.token = STR("a.b.c"), .rules = 1, .keys = 1}, other;
    const struct jwt *known;

    (void)state;
    assert_null(token_cache_find(cache, &key, 0));
    token_cache_put(cache, &key, &jwt, 2);
    known = token_cache_find(cache, &key, 999);
    assert_non_null(known);
    assert_true(str_same(known->claims, STR("{}")) && str_same(known->subject, STR("ann")));
    assert_true(str_same(known->forward[0], STR("one")));
    assert_null(known->forward[1].p);
    other = key, other.token = STR("a.b.d");
    assert_null(token_cache_find(cache, &other, 0));
    other = key, other.rules = 2;
    assert_null(token_cache_find(cache, &other, 0));
    other = key, other.keys = 2; // and so it is gone
    assert_null(token_cache_find(cache, &other, 0));
    assert_null(token_cache_find(cache, &key, 0));
    token_cache_put(cache, &key, &jwt, 2);
    assert_null(token_cache_find(cache, &key, 1000)); // on its last millisecond
    token_cache_free(&cache);
}

static void many_and_large_tokens_are_bounded(void **state)
{
    struct token_cache *cache = token_cache_new();
    static char text[16 * 1024], huge[300 * 1024];
    unsigned known = 0;

    (void)state;
    memset(text, 'a', sizeof(text));
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 5000; i++) {
            struct jwt jwt = jwt_of("{}", NULL, UINT64_MAX);
            struct token_key key = {.token = {text, sizeof(text)}, .rules = 1, .keys = 1};

            memcpy(text, &i, sizeof(i));
            if (!round)
                token_cache_put(cache, &key, &jwt, 0);
            else
                known += token_cache_find(cache, &key, 0) != NULL;
        }
    assert_in_range(known, 100, 4 * 1024 * 1024 / sizeof(text)); // 4 MiB and no more
    memset(huge, 'a', sizeof(huge));
    token_cache_put(cache, &(struct token_key){.token = {huge, sizeof(huge)}, .rules = 1},
                    &(struct jwt){.ends_ms = 1}, 0);
    assert_null(
        token_cache_find(cache, &(struct token_key){.token = {huge, sizeof(huge)}, .rules = 1}, 0));
    token_cache_free(&cache);
}

/* --- API keys */

static void keys_are_found_by_their_hash(void **state)
{
    enum { COUNT = 3000 };
    struct key_ring_entry *entries = calloc(COUNT, sizeof(*entries));
    char key[API_KEY_TEXT + 1], text[2 * API_KEY_HASH + 1];
    uint8_t hash[API_KEY_HASH];
    struct key_ring *ring;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        entries[i] = (struct key_ring_entry){.consumer = STR("ann"), .expires_ms = i};
        api_key_hash((struct str){(const char *)&i, sizeof(i)}, entries[i].hash);
        if (i < 100) // all in one place
            memset(entries[i].hash, 0xff, 4);
    }
    ring = key_ring_new(entries, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(key_ring_find(ring, entries[i].hash)->expires_ms, i);
    assert_true(api_key_make(key));
    assert_memory_equal(key, "slk_", 4);
    assert_int_equal(strlen(key), API_KEY_TEXT);
    api_key_hash((struct str){key, API_KEY_TEXT}, hash);
    assert_null(key_ring_find(ring, hash));
    api_key_write_hash(hash, text);
    memset(hash, 0, sizeof(hash));
    assert_true(api_key_read_hash((struct str){text, strlen(text)}, hash));
    assert_false(api_key_read_hash((struct str){text, strlen(text) - 1}, hash));
    text[5] = 'g';
    assert_false(api_key_read_hash((struct str){text, strlen(text)}, hash));
    key_ring_free(ring);
    ring = key_ring_new(NULL, 0);
    assert_null(key_ring_find(ring, hash));
    key_ring_free(ring);
    free(entries);
}

/* --- the store */

static void count_wake(void *owner)
{
    ++*(unsigned *)owner;
}

static bool is_any(struct key_source *source, void *owner)
{
    (void)owner;
    return source->due_ms == 0;
}

static void sources_are_shared_by_name(void **state)
{
    struct key_store *store = key_store_new(2);
    struct key_source *a, *b, *c, *picked;
    const char *why;
    unsigned woken = 0;

    (void)state;
    store->wake = count_wake;
    store->owner = &woken;
    a = key_store_take(store, STR("keys.json"), false,
                       jwks_read_secret(STR("thirty-two bytes are enough here"), &why));
    b = key_store_take(store, STR("keys.json"), false,
                       jwks_read_secret(STR("thirty-two bytes are enough here"), &why));
    c = key_store_take(store, STR("https://id.example/"), true, NULL);
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_equal(woken, 3);
    assert_non_null(cell_read(&a->keys, 0));
    assert_null(cell_read(&c->keys, 1));
    picked = key_store_pick(store, is_any, NULL);
    assert_ptr_equal(picked, c);
    key_store_drop(store, &c);
    assert_int_equal(picked->refs, 1);
    key_store_drop(store, &picked);
    key_store_drop(store, &a);
    key_store_drop(store, &b);
    assert_null(store->sources);
    assert_int_equal(key_store_rules(store), 1);
    assert_int_equal(key_store_rules(store), 2);
    assert_ptr_equal(key_store_cache(store, 1), key_store_cache(store, 1));
    key_store_free(&store);
    assert_null(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_live_while_they_are_held),
        cmocka_unit_test(what_an_idle_worker_holds_stays),
        cmocka_unit_test(tokens_are_known_as_they_were),
        cmocka_unit_test(many_and_large_tokens_are_bounded),
        cmocka_unit_test(keys_are_found_by_their_hash),
        cmocka_unit_test(sources_are_shared_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
