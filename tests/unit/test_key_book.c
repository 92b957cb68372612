/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of key_json.c and key_book.c: what is a key and what is none, a book with keys of its own
 * and of control's, changes that are taken back, and the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/manager/key_book.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct bench {
    char folder[64];
    struct key_book *book;
};

static void reopen(struct bench *bench)
{
    const char *error;

    key_book_close(&bench->book);
    bench->book = key_book_open(bench->folder, &error);
    assert_non_null(bench->book);
    assert_null(error);
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    strcpy(bench->folder, "/tmp/sluice-keys-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    reopen(bench);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    char path[128];

    key_book_close(&bench->book);
    snprintf(path, sizeof(path), "%s/keys.json", bench->folder);
    unlink(path);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static json_t *json(const char *text)
{
    json_t *made = json_loads(text, 0, NULL);

    assert_non_null(made);
    return made;
}

/* A new key of somebody's. */
static struct key_entry grant(const char *consumer, char key[API_KEY_TEXT + 1])
{
    struct key_wish wish = {.consumer = {consumer, strlen(consumer)}};
    struct key_entry entry;

    assert_true(key_wish_grant(&wish, 1700000000000, key, &entry));
    return entry;
}

static bool has(const struct key_book *book, const char *key)
{
    struct key_ring *ring = key_book_ring(book);
    uint8_t hash[API_KEY_HASH];
    bool is_there;

    api_key_hash((struct str){key, strlen(key)}, hash);
    assert_non_null(ring);
    is_there = key_ring_find(ring, hash) != NULL;
    key_ring_free(ring);
    return is_there;
}

/* What control says of one key. */
static json_t *word(int64_t revision, const struct key_entry *entry)
{
    json_t *said = json_pack("{s:I,s:I,s:[o]}", "epoch", (json_int_t)3, "revision",
                             (json_int_t)revision, "keys", key_entry_write(entry));
    const char *wrong;
    json_t *kept = key_book_read(said, &wrong);

    json_decref(said);
    assert_null(wrong);
    return kept;
}

/* --- keys in JSON */

static void a_key_is_read_as_it_was_written(void **state)
{
    char key[API_KEY_TEXT + 1], id[API_KEY_ID + 1];
    struct key_entry entry = grant("ann", key), again;
    json_t *written, *shown, *answer;

    (void)state;
    entry.tier = STR("gold");
    entry.expires_ms = 1800000000000;
    written = key_entry_write(&entry);
    assert_null(key_entry_read(written, &again));
    assert_memory_equal(again.hash, entry.hash, API_KEY_HASH);
    assert_true(str_same(again.consumer, entry.consumer) && str_same(again.tier, entry.tier));
    assert_true(again.created_ms == entry.created_ms && again.expires_ms == entry.expires_ms);
    key_entry_id(&entry, id);
    shown = key_entry_show(&entry, "edge");
    assert_string_equal(json_string_value(json_object_get(shown, "id")), id);
    assert_string_equal(json_string_value(json_object_get(shown, "source")), "edge");
    assert_null(json_object_get(shown, "hash"));
    answer = key_entry_answer(&entry, key);
    assert_string_equal(json_string_value(json_object_get(answer, "key")), key);
    json_decref(answer);
    json_decref(shown);
    json_decref(written);
}

static void what_is_no_key_is_told(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "{}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a\"}",
        "{\"hash\": \"" HASH "\", \"created_ms\": 1}",
        "{\"hash\": \"" HASH "0\", \"consumer\": \"a\", \"created_ms\": 1}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a b\", \"created_ms\": 1}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a\", \"tier\": \"\", \"created_ms\": 1}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a\", \"created_ms\": -1}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a\", \"created_ms\": 253402300800000}",
        "{\"hash\": \"" HASH "\", \"consumer\": \"a\", \"created_ms\": 1, \"expires_ms\": null}",
    };
    struct key_entry entry;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        json_t *text = json(wrong[i]);

        assert_non_null(key_entry_read(text, &entry));
        json_decref(text);
    }
}

static void wishes_are_checked(void **state)
{
    struct str body = STR("{\"consumer\": \"ann\", \"tier\": \"gold\", \"expires_in\": \"2h\"}");
    struct key_wish wish;
    json_t *held;

    (void)state;
    assert_null(key_wish_read(body, &held, &wish));
    assert_true(str_same(wish.consumer, STR("ann")) && str_same(wish.tier, STR("gold")));
    assert_int_equal(wish.expires_in_ms, 7200000);
    json_decref(held);
    assert_non_null(key_wish_read(STR_NONE, &held, &wish));
    assert_null(held);
    assert_non_null(key_wish_read(STR("{\"tier\": \"gold\"}"), &held, &wish));
    json_decref(held);
}

/* --- the book */

static void control_replaces_its_own_alone(void **state)
{
    struct bench *bench = *state;
    char own[API_KEY_TEXT + 1], first[API_KEY_TEXT + 1], second[API_KEY_TEXT + 1];
    struct key_entry entry = grant("ann", own), one = grant("bob", first);
    struct key_entry two = grant("eve", second);
    json_t *said = word(1, &one);

    assert_int_equal(key_book_add(bench->book, &entry), OK);
    key_book_settle(bench->book);
    assert_int_equal(key_book_put(bench->book, said), OK);
    assert_int_equal(key_book_count(bench->book).all, 1); // it is not written yet
    assert_int_equal(key_book_word(bench->book).revision, 0);
    key_book_settle(bench->book);
    json_decref(said);
    assert_true(has(bench->book, own) && has(bench->book, first));
    said = word(2, &two);
    assert_int_equal(key_book_put(bench->book, said), OK);
    json_decref(said);
    key_book_settle(bench->book);
    assert_true(has(bench->book, own) && !has(bench->book, first) && has(bench->book, second));
    assert_int_equal(key_book_save(bench->book), OK);
    reopen(bench);
    assert_true(has(bench->book, own) && has(bench->book, second));
    assert_true(key_book_word(bench->book).epoch == 3 && key_book_word(bench->book).revision == 2);
    assert_int_equal(key_book_count(bench->book).control, 1);
}

static void who_may_take_a_key_away(void **state)
{
    struct bench *bench = *state;
    char own[API_KEY_TEXT + 1], given[API_KEY_TEXT + 1];
    char own_id[API_KEY_ID + 1], given_id[API_KEY_ID + 1];
    struct key_entry entry = grant("ann", own), other = grant("bob", given);
    struct str mine = {own_id, API_KEY_ID}, its = {given_id, API_KEY_ID};
    json_t *said = word(1, &other);

    key_entry_id(&entry, own_id);
    key_entry_id(&other, given_id);
    assert_int_equal(key_book_add(bench->book, &entry), OK);
    assert_int_equal(key_book_put(bench->book, said), OK);
    json_decref(said);
    assert_int_equal(key_book_remove(bench->book, its, false), E_CONFLICT);
    assert_int_equal(key_book_remove(bench->book, STR("0123"), true), E_NOT_FOUND);
    assert_int_equal(key_book_remove(bench->book, STR("0123456789zz"), true), E_NOT_FOUND);
    assert_int_equal(key_book_remove(bench->book, mine, false), OK);
    assert_false(has(bench->book, own));
    assert_true(has(bench->book, given));
    assert_int_equal(key_book_remove(bench->book, its, true), OK);
    assert_false(has(bench->book, given));
    key_book_undo(bench->book);
    assert_true(has(bench->book, given));
}

static void what_control_cannot_mean_is_told(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "{}",
        "{\"epoch\": 1, \"revision\": 1}",
        "{\"epoch\": 0, \"revision\": 1, \"keys\": []}",
        "{\"epoch\": 1, \"revision\": 0, \"keys\": []}",
        "{\"epoch\": 1, \"revision\": \"1\", \"keys\": []}",
        "{\"epoch\": 1, \"revision\": 1, \"keys\": {}}",
        "{\"epoch\": 1, \"revision\": 1, \"keys\": [null]}",
        "{\"epoch\": 1, \"revision\": 1, \"keys\": [{\"hash\": \"" HASH "\", \"consumer\": \"a\", "
        "\"created_ms\": 1}, {\"hash\": \"" HASH "\", \"consumer\": \"b\", \"created_ms\": 1}]}",
    };
    const char *why;

    (void)state;
    assert_null(key_book_read(NULL, &why));
    assert_non_null(why);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        json_t *said = json(wrong[i]);

        assert_null(key_book_read(said, &why));
        assert_non_null(why);
        json_decref(said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_key_is_told),
        cmocka_unit_test(wishes_are_checked),
        cmocka_unit_test_setup_teardown(control_replaces_its_own_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_take_a_key_away, set_up, tear_down),
        cmocka_unit_test(what_control_cannot_mean_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
