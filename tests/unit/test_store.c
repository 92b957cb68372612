/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's store: the ledger and documents, once each, and jobs.
 */
#include "test_store_ask.h"

/* --- the ledger */

static void test_what_is_told_is_there_once(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    assert_int_equal(rig->append.seq, 3);
    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    assert_int_equal(count_good(rig), 3);
    assert_int_equal(append_from(rig, "aa", 2, 4), OK);
    assert_int_equal(rig->append.seq, 5);
    assert_int_equal(count_good(rig), 5);
}

static void test_it_is_there_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct store_feed feed = {.job = {.done = on_done}, .edge = "e"};

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    close_store(rig);
    open_store(rig);
    assert_int_equal(append_from(rig, "aa", 3, 2), OK);
    assert_int_equal(count_good(rig), 4);
    store_feed(rig->store, &feed);
    run_loop(rig);
    assert_int_equal(rig->status, OK);
    assert_string_equal(feed.journal, "aa");
    assert_int_equal(feed.seq, 4);
}

static void test_what_was_lost_on_the_way_is_an_entry(void **state)
{
    struct rig *rig = *state;
    const json_t *gap;

    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    assert_int_equal(append_from(rig, "aa", 5, 1), OK);
    gap = json_array_get(entries(rig, "", 1, 1), 0);
    assert_string_equal(json_string_value(json_object_get(gap, "action")), "ledger.gap");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(gap, "after"), "changes")),
                     3);
    assert_int_equal(count_good(rig), 3);
    assert_int_equal(append_from(rig, "bb", 1, 1), OK); // another journal begins at 1
    assert_int_equal(count_good(rig), 4);
}

static void test_pages_and_services(void **state)
{
    struct rig *rig = *state;
    json_t *list;

    assert_int_equal(append_from(rig, "aa", 1, 10), OK);
    list = entries(rig, "", 4, 3);
    assert_int_equal(json_array_size(list), 3);
    assert_true(rig->read.has_more);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "id")), 5);
    list = entries(rig, "", -1, 3);
    assert_true(rig->read.has_more);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "id")), 8);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 2), "id")), 10);
    list = entries(rig, "odd", -1, 100);
    assert_false(rig->read.has_more);
    assert_int_equal(json_array_size(list), 5);
    assert_int_equal(json_array_size(entries(rig, "none", -1, 100)), 0);
    assert_int_equal(json_array_size(entries(rig, "", 10, 100)), 0);
    forget(rig);
}

/* An edge that is wrong holds up nobody. */
static void test_what_is_no_change_is_taken_in_measure(void **state)
{
    struct rig *rig = *state;
    const json_t *entry;
    char *large = calloc(1, 2000);

    memset(large, 'x', 1999);
    rig->append = (struct store_append){.job = {.done = on_done},
                                        .edge = "e",
                                        .journal = "aa",
                                        .changes = json_pack("[{s:i,s:[],s:f,s:s},{s:i},{},[],n]",
                                                             "seq", 1, "actor", "after", 1.5,
                                                             "action", large, "seq", 2)};
    store_append(rig->store, &rig->append);
    run_loop(rig);
    json_decref(rig->append.changes);
    free(large);
    assert_int_equal(rig->status, OK);
    assert_int_equal(count_good(rig), 2);
    entry = json_array_get(entries(rig, "", 0, 1), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "actor")), "unknown");
    assert_string_equal(json_string_value(json_object_get(entry, "action")), "unknown");
    assert_true(json_is_null(json_object_get(entry, "after")));
    forget(rig);
}

static void test_the_ledger_only_grows(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 2), OK);
    assert_int_equal(run_sql(rig->path, "UPDATE ledger SET actor = 'bob'"), SQLITE_CONSTRAINT);
    assert_int_equal(run_sql(rig->path, "DELETE FROM ledger"), SQLITE_CONSTRAINT);
    assert_int_equal(count_good(rig), 2);
}

/* --- documents */

static enum status put(struct rig *rig, struct store_put *job)
{
    job->job.done = on_done;
    rig->status = E_AGAIN;
    store_put(rig->store, job);
    run_loop(rig);
    store_put_free(job);
    return rig->status;
}

/* The value under "n" of a document; -1: there is none. */
static json_int_t number_of(struct rig *rig, const char *kind, const char *id)
{
    struct store_list list = {.job = {.done = on_done}, .kind = kind};
    const json_t *document;
    json_int_t n;

    rig->status = E_AGAIN;
    store_list(rig->store, &list);
    run_loop(rig);
    assert_int_equal(rig->status, OK);
    document = json_object_get(list.documents, id);
    n = document ? json_integer_value(json_object_get(document, "n")) : -1;
    json_decref(list.documents);
    return n;
}

static void add(struct store_put *job, const char *kind, const char *id, int n)
{
    json_t *json = n < 0 ? NULL : json_pack("{s:i}", "n", n);

    assert_true(store_put_add(job, kind, id, json));
    json_decref(json);
}

static void test_documents(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.count = 0};

    add(&job, "x", "a", 1);
    add(&job, "x", "b", 2);
    add(&job, "y", "a", 3);
    assert_int_equal(put(rig, &job), OK);
    add(&job, "x", "a", 4);
    add(&job, "x", "b", -1);
    assert_int_equal(put(rig, &job), OK);
    close_store(rig);
    open_store(rig);
    assert_int_equal(number_of(rig, "x", "a"), 4);
    assert_int_equal(number_of(rig, "x", "b"), -1);
    assert_int_equal(number_of(rig, "y", "a"), 3);
    assert_int_equal(number_of(rig, "z", "a"), -1);
}

static void test_documents_are_written_all_or_none(void **state)
{
    struct rig *rig = *state;
    struct store_put job = {.count = 0};

    add(&job, "x", "a", 1);
    assert_int_equal(put(rig, &job), OK);
    assert_int_equal(run_sql(rig->path,
                             "CREATE TRIGGER no BEFORE INSERT ON documents WHEN new.id = "
                             "'c' BEGIN SELECT RAISE(ABORT, 'no'); END"),
                     SQLITE_OK);
    add(&job, "x", "a", 2);
    add(&job, "x", "b", 2);
    add(&job, "x", "c", 2);
    assert_int_equal(put(rig, &job), E_IO);
    assert_int_equal(number_of(rig, "x", "a"), 1);
    assert_int_equal(number_of(rig, "x", "b"), -1);
    for (int i = 0; i < STORE_DOCUMENTS_MAX; i++)
        add(&job, "x", "d", i);
    assert_false(store_put_add(&job, "x", "e", NULL));
    store_put_free(&job);
}

/* --- jobs */

static unsigned told[3]; /* OK, E_FULL, E_CLOSED */

static void count(struct store_job *job, enum status status)
{
    told[status == OK ? 0 : status == E_FULL ? 1 : 2]++;
    free(job);
}

static void test_jobs_are_bounded_and_each_is_told(void **state)
{
    struct rig *rig = *state;

    memset(told, 0, sizeof(told));
    for (int i = 0; i < STORE_JOBS_MAX + 10; i++) {
        struct store_feed *feed = calloc(1, sizeof(*feed));

        feed->job.done = count;
        store_feed(rig->store, feed);
    }
    store_close(rig->store);
    run_loop(rig);
    // One runs at once, and is no longer in the queue.
    assert_int_equal(told[0], 1);
    assert_int_equal(told[1], 9);
    assert_int_equal(told[2], STORE_JOBS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_told_is_there_once),
        TEST(test_it_is_there_after_a_restart),
        TEST(test_what_was_lost_on_the_way_is_an_entry),
        TEST(test_pages_and_services),
        TEST(test_what_is_no_change_is_taken_in_measure),
        TEST(test_the_ledger_only_grows),
        TEST(test_documents),
        TEST(test_documents_are_written_all_or_none),
        TEST(test_jobs_are_bounded_and_each_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
