/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's own doings on their way to the ledger: with what they did, in order, and once each.
 */
#include "control/journal.h"
#include "test_store_ask.h"

static const json_t *member(const json_t *entry, const char *name)
{
    return json_object_get(entry, name);
}

static const char *text(const json_t *entry, const char *name)
{
    return json_string_value(member(entry, name));
}

static struct journal_entry numbered(int n)
{
    return (struct journal_entry){.action = "test",
                                  .service = "app",
                                  .after = json_pack("{s:i}", "n", n)};
}

static json_int_t number(const json_t *entry)
{
    return json_integer_value(member(member(entry, "after"), "n"));
}

/* --- with documents */

static enum status put(struct rig *rig, struct store_put *job, int n)
{
    struct journal_entry entry = numbered(n);
    json_t *json = json_pack("{s:i}", "n", n);

    job->job.done = on_done;
    assert_true(store_put_add(job, "x", "a", json));
    assert_true(journal_add(&job->entries, &entry));
    json_decref(json);
    rig->status = E_AGAIN;
    store_put(rig->store, job);
    run_loop(rig);
    return rig->status;
}

static void test_an_entry_is_written_with_its_document(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.count = 0};
    uint64_t appended = store_appended(rig->store);
    const json_t *entry;

    assert_int_equal(append_from(rig, "aa", 1, 2), OK);
    assert_int_equal(put(rig, &job, 7), OK);
    store_put_free(&job);
    assert_int_not_equal(store_appended(rig->store), appended);
    assert_int_equal(count_good(rig), 3);
    entry = json_array_get(entries(rig, "app", 0, 10), 0);
    assert_string_equal(text(entry, "actor"), "control");
    assert_string_equal(text(entry, "edge"), "control");
    assert_string_equal(text(entry, "action"), "test");
    assert_int_equal(number(entry), 7);
    assert_true(json_is_null(member(entry, "effect")) && json_is_null(member(entry, "of")));
    forget(rig);
}

static void test_neither_is_there_when_one_fails(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.count = 0};

    assert_int_equal(run_sql(rig->path, "CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT "
                                        "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    assert_int_equal(put(rig, &job, 1), E_IO);
    store_put_free(&job);
    assert_int_equal(run_sql(rig->path, "DROP TRIGGER no; CREATE TRIGGER no BEFORE INSERT ON "
                                        "documents BEGIN SELECT RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    assert_int_equal(put(rig, &job, 2), E_IO);
    store_put_free(&job);
    assert_int_equal(count_good(rig), 0);
    assert_int_equal(run_sql(rig->path, "DROP TRIGGER no"), SQLITE_OK);
    assert_int_equal(put(rig, &job, 3), OK);
    store_put_free(&job);
    assert_int_equal(count_good(rig), 1);
}

static void test_reading_does_not_end_a_failure_to_write(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.count = 0};

    assert_int_equal(run_sql(rig->path, "CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT "
                                        "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    assert_int_equal(put(rig, &job, 1), E_IO);
    store_put_free(&job);
    assert_int_equal(count_good(rig), 0);
    assert_non_null(store_error(rig->store));
    assert_int_equal(run_sql(rig->path, "DROP TRIGGER no"), SQLITE_OK);
    assert_int_equal(put(rig, &job, 2), OK);
    store_put_free(&job);
    assert_null(store_error(rig->store));
}

static void test_what_something_led_to_is_for_control_to_say(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.job = {.done = on_done}};
    const json_t *list;

    rig->append =
        (struct store_append){.job = {.done = on_done},
                              .edge = "e",
                              .journal = "aa",
                              .changes = json_pack("[{s:i,s:s,s:{s:i},s:i}]", "seq", 1, "action",
                                                   "x", "effect", "n", 1, "of", 1)};
    store_append(rig->store, &rig->append);
    run_loop(rig);
    json_decref(rig->append.changes);
    job.entries = json_pack("[{s:s,s:{s:i},s:i}]", "action", "effect", "effect", "n", 2, "of", 1);
    store_put(rig->store, &job);
    run_loop(rig);
    store_put_free(&job);
    assert_int_equal(count_good(rig), 2);
    list = entries(rig, "", 0, 10);
    assert_true(json_is_null(member(json_array_get(list, 0), "effect")));
    assert_true(json_is_null(member(json_array_get(list, 0), "of")));
    assert_int_equal(json_integer_value(member(json_array_get(list, 1), "of")), 1);
    assert_int_equal(json_integer_value(member(member(json_array_get(list, 1), "effect"), "n")), 2);
    forget(rig);
}

/* --- by themselves */

static void check_order(struct rig *rig, int count)
{
    json_t *list = entries(rig, "app", 0, 1000);

    assert_int_equal(json_array_size(list), count);
    for (int i = 0; i < count; i++)
        assert_int_equal(number(json_array_get(list, (size_t)i)), i);
    forget(rig);
}

static void test_in_order_and_again_when_the_store_failed(void **state)
{
    struct rig *rig = *state;
    struct journal *journal = journal_new(rig->store);
    int n = 0;

    assert_int_equal(run_sql(rig->path, "CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT "
                                        "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    for (; n < 3; n++) {
        struct journal_entry entry = numbered(n);

        journal_note(journal, &entry);
        run_loop(rig);
    }
    assert_int_equal(count_good(rig), 0);
    assert_int_equal(run_sql(rig->path, "DROP TRIGGER no"), SQLITE_OK);
    for (; n < 5; n++) {
        struct journal_entry entry = numbered(n);

        journal_note(journal, &entry);
    }
    journal_tick(journal, INT64_MAX);
    run_loop(rig);
    journal_tick(journal, INT64_MAX);
    run_loop(rig);
    check_order(rig, 5);
    assert_int_equal(count_good(rig), 5);
    journal_free(&journal);
}

static void test_what_is_too_much_is_counted(void **state)
{
    struct rig *rig = *state;
    struct journal *journal = journal_new(rig->store);
    const json_t *gap;

    assert_int_equal(run_sql(rig->path, "CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT "
                                        "RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    for (int n = 0; n < 1005; n++) {
        struct journal_entry entry = numbered(n);

        journal_note(journal, &entry);
        if (!n)
            run_loop(rig); // it is back, and waits
    }
    assert_int_equal(run_sql(rig->path, "DROP TRIGGER no"), SQLITE_OK);
    journal_tick(journal, INT64_MAX);
    run_loop(rig);
    check_order(rig, 1000);
    gap = json_array_get(entries(rig, "", 1000, 10), 0);
    assert_string_equal(text(gap, "action"), "ledger.gap");
    assert_int_equal(json_integer_value(member(member(gap, "after"), "changes")), 5);
    forget(rig);
    journal_free(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_entry_is_written_with_its_document),
        TEST(test_neither_is_there_when_one_fails),
        TEST(test_reading_does_not_end_a_failure_to_write),
        TEST(test_what_something_led_to_is_for_control_to_say),
        TEST(test_in_order_and_again_when_the_store_failed),
        TEST(test_what_is_too_much_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
