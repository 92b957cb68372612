/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's store on a real disk: the ledger once each, epochs, backups, and what goes wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/ledger.h"
#include "control/lock.h"
#include "control/store.h"
#include "control/store_restore.h"

struct rig {
    uv_loop_t loop;
    char dir[64], path[128];
    int lock;
    struct store *store;
    struct store_append append;
    struct store_read read;
    enum status status; /* of the job that was told last */
};

static struct rig *current;

static void on_done(struct store_job *job, enum status status)
{
    (void)job;
    current->status = status;
}

static void run_loop(struct rig *rig)
{
    current = rig;
    uv_run(&rig->loop, UV_RUN_DEFAULT);
}

static void open_store(struct rig *rig)
{
    assert_int_equal(lock_take(rig->dir, &rig->lock), OK);
    rig->store = store_new(&(struct store_options){&rig->loop, rig->dir, rig->lock});
    assert_non_null(rig->store);
    run_loop(rig);
}

static void close_store(struct rig *rig)
{
    store_close(rig->store);
    run_loop(rig);
    store_free(&rig->store);
    close(rig->lock);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    snprintf(rig->dir, sizeof(rig->dir), P_tmpdir "/sluice-store-XXXXXX");
    if (!mkdtemp(rig->dir) || uv_loop_init(&rig->loop))
        return -1;
    snprintf(rig->path, sizeof(rig->path), "%s/control.db", rig->dir);
    open_store(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char command[128];

    if (rig->store)
        close_store(rig);
    snprintf(command, sizeof(command), "rm -rf %s", rig->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
    return 0;
}

/* --- shorthands */

/* Changes numbered from `first` on, as edge "e" tells them. */
static enum status append_from(struct rig *rig, const char *journal, int first, int count)
{
    rig->append = (struct store_append){.job = {.done = on_done}, .changes = json_array()};
    snprintf(rig->append.edge, STORE_NAME, "e");
    snprintf(rig->append.journal, STORE_NAME, "%s", journal);
    for (int i = first; i < first + count; i++)
        json_array_append_new(rig->append.changes,
                              json_pack("{s:i,s:i,s:s,s:s,s:s,s:n,s:n,s:{s:i}}", "seq", i,
                                        "time_ms", 1000 + i, "actor", "ann", "action", "target.add",
                                        "service", i % 2 ? "odd" : "even", "subject", "before",
                                        "after", "n", i));
    rig->status = E_AGAIN;
    store_append(rig->store, &rig->append);
    run_loop(rig);
    json_decref(rig->append.changes);
    return rig->status;
}

/* What was read is gone with the next call. */
static json_t *entries(struct rig *rig, const char *service, int64_t since, uint32_t limit)
{
    json_decref(rig->read.entries);
    rig->read = (struct store_read){.job = {.done = on_done}, .since = since, .limit = limit};
    snprintf(rig->read.service, STORE_NAME, "%s", service);
    rig->status = E_AGAIN;
    store_read(rig->store, &rig->read);
    run_loop(rig);
    return rig->read.entries;
}

static void forget(struct rig *rig)
{
    json_decref(rig->read.entries);
    rig->read.entries = NULL;
}

/* How many there are; the chain holds. */
static size_t count_good(struct rig *rig)
{
    json_t *list = entries(rig, "", 0, 1000), *entry;
    struct ledger_walk walk = {0};
    size_t i;

    assert_int_equal(rig->status, OK);
    json_array_foreach(list, i, entry) assert_null(ledger_walk(&walk, entry));
    i = json_array_size(list);
    forget(rig);
    return i;
}

static int run_sql(const char *path, const char *text)
{
    sqlite3 *sql;
    int code;

    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    code = sqlite3_exec(sql, text, NULL, NULL, NULL);
    sqlite3_close(sql);
    return code;
}

static void name(const struct rig *rig, const char *suffix, char path[192])
{
    snprintf(path, 192, "%s%s", rig->path, suffix);
}
static bool is_there(const struct rig *rig, const char *suffix)
{
    char path[192];
    name(rig, suffix, path);
    return !access(path, F_OK);
}

static void back_up(struct rig *rig)
{
    store_tick(rig->store);
    run_loop(rig);
    assert_true(is_there(rig, ".backup"));
}

/* Over the whole of the file, or from a page on. */
static void damage(const struct rig *rig, const char *suffix, off_t from)
{
    char path[192], junk[3 * 4096];
    int fd;

    name(rig, suffix, path);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), from), sizeof(junk));
    close(fd);
}

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

/* --- files */

static void test_the_file_is_nobody_elses(void **state)
{
    struct rig *rig = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".backup"};
    struct stat file;
    char path[192];

    back_up(rig);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        name(rig, suffixes[i], path);
        assert_int_equal(stat(path, &file), 0);
        assert_int_equal(file.st_mode & 0777, 0600);
    }
}

static void test_each_run_has_an_epoch_above_all_before(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(store_epoch(rig->store), 1);
    close_store(rig);
    open_store(rig);
    assert_int_equal(store_epoch(rig->store), 2);
    close_store(rig);
    unlink(rig->path);
    open_store(rig);
    assert_int_equal(store_epoch(rig->store), 3);
}

static void test_a_newer_version_is_left_alone(void **state)
{
    struct rig *rig = *state;

    close_store(rig);
    assert_int_equal(run_sql(rig->path, "PRAGMA user_version = 1000"), SQLITE_OK);
    open_store(rig);
    assert_int_equal(append_from(rig, "aa", 1, 1), E_IO);
    assert_non_null(strstr(rig->append.job.error, "newer version of sluice"));
    assert_int_equal(store_epoch(rig->store), 0);
    assert_false(is_there(rig, ".damaged"));
    assert_int_equal(run_sql(rig->path, "PRAGMA user_version = 1"), SQLITE_OK);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK); // it is tried again each time
    assert_null(store_error(rig->store));
}

/* What a migration that breaks off leaves is what was there before it. */
static void test_a_migration_is_all_or_nothing(void **state)
{
    struct rig *rig = *state;

    close_store(rig);
    unlink(rig->path);
    assert_int_equal(run_sql(rig->path, "CREATE TABLE ledger (x)"), SQLITE_OK); // in its way
    open_store(rig);
    assert_int_equal(append_from(rig, "aa", 1, 1), E_IO);
    assert_non_null(strstr(rig->append.job.error, "already exists"));
    assert_int_equal(run_sql(rig->path, "SELECT * FROM meta"), SQLITE_ERROR);
    assert_int_equal(run_sql(rig->path, "DROP TABLE ledger"), SQLITE_OK);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    assert_int_equal(count_good(rig), 1);
}

static void test_a_damaged_file_gives_way_to_the_backup(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    back_up(rig);
    assert_int_equal(append_from(rig, "aa", 4, 1), OK);
    close_store(rig);
    damage(rig, "", 0);
    open_store(rig);
    assert_true(is_there(rig, ".damaged"));
    assert_int_equal(count_good(rig), 3);
    assert_int_equal(store_epoch(rig->store), 2); // though the backup knows the first alone
    assert_int_equal(append_from(rig, "aa", 4, 1), OK);
    assert_int_equal(count_good(rig), 4);
}

static void test_damage_inside_is_found(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 500), OK);
    back_up(rig);
    close_store(rig);
    damage(rig, "", 8 * 4096);
    open_store(rig);
    assert_true(is_there(rig, ".damaged"));
    assert_int_equal(count_good(rig), 500);
}

static void test_without_a_backup_it_begins_empty(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    close_store(rig);
    damage(rig, "", 0);
    open_store(rig);
    assert_true(is_there(rig, ".damaged"));
    assert_int_equal(count_good(rig), 0);
    assert_int_equal(append_from(rig, "aa", 4, 1), OK);
    assert_int_equal(count_good(rig), 2); // with the gap
}

static void test_a_damaged_backup_is_no_backup(void **state)
{
    struct rig *rig = *state;

    back_up(rig);
    close_store(rig);
    damage(rig, "", 0);
    damage(rig, ".backup", 0);
    open_store(rig);
    assert_int_equal(count_good(rig), 0);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
}

static void test_a_file_that_is_gone_comes_from_the_backup(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    back_up(rig);
    close_store(rig);
    unlink(rig->path);
    open_store(rig);
    assert_int_equal(count_good(rig), 3);
}

static void test_a_directory_that_is_not_there(void **state)
{
    struct rig *rig = *state;
    char moved[96];

    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    close_store(rig);
    assert_int_equal(lock_take(rig->dir, &rig->lock), OK);
    snprintf(moved, sizeof(moved), "%s.moved", rig->dir);
    assert_int_equal(rename(rig->dir, moved), 0);
    rig->store = store_new(&(struct store_options){&rig->loop, rig->dir, rig->lock});
    run_loop(rig);
    assert_int_equal(append_from(rig, "aa", 2, 1), E_IO);
    assert_non_null(strstr(rig->append.job.error, "No such file or directory"));
    assert_string_equal(store_error(rig->store), rig->append.job.error);
    assert_int_equal(rename(moved, rig->dir), 0);
    assert_int_equal(append_from(rig, "aa", 2, 1), OK);
    assert_int_equal(count_good(rig), 2);
}

static void test_a_full_disk_leaves_nothing_half_written(void **state)
{
    struct rig *rig = *state;
    struct rlimit limit = {64 * 1024, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(append_from(rig, "aa", 2, 1000), E_IO);
    assert_non_null(strstr(rig->append.job.error, "control.db"));
    assert_int_equal(count_good(rig), 1);
    limit.rlim_cur = RLIM_INFINITY;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(append_from(rig, "aa", 2, 100), OK);
    assert_int_equal(count_good(rig), 101);
}

static void test_another_program_that_holds_it_is_named(void **state)
{
    struct rig *rig = *state;
    sqlite3 *sql;

    assert_int_equal(append_from(rig, "aa", 1, 1), OK);
    assert_int_equal(sqlite3_open(rig->path, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_exec(sql, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(append_from(rig, "aa", 2, 1), E_IO);
    assert_non_null(strstr(rig->append.job.error, "another program holds it"));
    assert_int_equal(count_good(rig), 1); // reading goes on
    sqlite3_close(sql);
    assert_int_equal(append_from(rig, "aa", 2, 1), OK);
    assert_int_equal(count_good(rig), 2);
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

/* --- backup and restore */

static void copy_to(struct rig *rig, const char *to)
{
    struct store_copy copy = {.job = {.done = on_done}};

    rig->status = E_AGAIN;
    store_copy(rig->store, &copy);
    run_loop(rig);
    assert_int_equal(rig->status, OK);
    assert_int_equal(rename(copy.path, to), 0);
}

static void test_a_copy_is_put_back(void **state)
{
    struct rig *rig = *state;
    char copy[192], error[STORE_RESTORE_ERROR];

    name(rig, ".mine", copy);
    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    copy_to(rig, copy);
    assert_int_equal(store_restore_check(copy, error), OK);
    assert_int_equal(append_from(rig, "aa", 4, 2), OK);
    assert_int_equal(store_restore(rig->dir, copy, error), E_CONFLICT);
    assert_non_null(strstr(error, "control runs"));
    close_store(rig);
    assert_int_equal(store_restore(rig->dir, copy, error), OK);
    assert_true(is_there(rig, ".before-restore"));
    open_store(rig);
    assert_int_equal(count_good(rig), 3);
    assert_true(store_epoch(rig->store) > 2);
}

static void test_what_is_no_backup_is_refused(void **state)
{
    struct rig *rig = *state;
    char copy[192], error[STORE_RESTORE_ERROR];

    name(rig, ".mine", copy);
    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    assert_int_equal(store_restore_check(copy, error), E_IO);
    copy_to(rig, copy);
    close_store(rig);
    assert_int_equal(run_sql(copy, "PRAGMA user_version = 1000"), SQLITE_OK);
    assert_int_equal(store_restore(rig->dir, copy, error), E_INVALID);
    assert_non_null(strstr(error, "newer version"));
    assert_int_equal(run_sql(copy, "PRAGMA user_version = 1; DROP TRIGGER ledger_stays; "
                                   "UPDATE ledger SET actor = 'bob' WHERE id = 2"),
                     SQLITE_OK);
    assert_int_equal(store_restore(rig->dir, copy, error), E_INVALID);
    assert_non_null(strstr(error, "entry 2 of the ledger"));
    assert_int_equal(run_sql(copy, "PRAGMA application_id = 1"), SQLITE_OK);
    assert_int_equal(store_restore(rig->dir, copy, error), E_INVALID);
    damage(rig, ".mine", 0);
    assert_int_equal(store_restore(rig->dir, copy, error), E_INVALID);
    open_store(rig);
    assert_int_equal(count_good(rig), 3); // nothing was touched
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_told_is_there_once),
        TEST(test_it_is_there_after_a_restart),
        TEST(test_what_was_lost_on_the_way_is_an_entry),
        TEST(test_pages_and_services),
        TEST(test_what_is_no_change_is_taken_in_measure),
        TEST(test_the_ledger_only_grows),
        TEST(test_the_file_is_nobody_elses),
        TEST(test_each_run_has_an_epoch_above_all_before),
        TEST(test_a_newer_version_is_left_alone),
        TEST(test_a_migration_is_all_or_nothing),
        TEST(test_a_damaged_file_gives_way_to_the_backup),
        TEST(test_damage_inside_is_found),
        TEST(test_without_a_backup_it_begins_empty),
        TEST(test_a_damaged_backup_is_no_backup),
        TEST(test_a_file_that_is_gone_comes_from_the_backup),
        TEST(test_a_directory_that_is_not_there),
        TEST(test_a_full_disk_leaves_nothing_half_written),
        TEST(test_another_program_that_holds_it_is_named),
        TEST(test_jobs_are_bounded_and_each_is_told),
        TEST(test_a_copy_is_put_back),
        TEST(test_what_is_no_backup_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
