/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's store when something goes wrong: versions, damage, disks; backups and what they are put
 * back from.
 */
#include "test_store_ask.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "control/store_restore.h"

/* --- files */

static int version_of(const char *path)
{
    sqlite3_stmt *statement;
    sqlite3 *sql;
    int version;

    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(sql, "PRAGMA user_version", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(sql);
    return version;
}

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

    char back[64];

    close_store(rig);
    snprintf(back, sizeof(back), "PRAGMA user_version = %d", version_of(rig->path));
    assert_int_equal(run_sql(rig->path, "PRAGMA user_version = 1000"), SQLITE_OK);
    open_store(rig);
    assert_int_equal(append_from(rig, "aa", 1, 1), E_IO);
    assert_non_null(strstr(rig->append.job.error, "newer version of sluice"));
    assert_int_equal(store_epoch(rig->store), 0);
    assert_false(is_there(rig, ".damaged"));
    assert_int_equal(run_sql(rig->path, back), SQLITE_OK);
    assert_int_equal(append_from(rig, "aa", 1, 1), OK); // it is tried again each time
    assert_null(store_error(rig->store));
}

/* As the first version of it was. */
static void test_an_older_version_keeps_what_it_has(void **state)
{
    struct rig *rig = *state;
    int version;

    assert_int_equal(append_from(rig, "aa", 1, 3), OK);
    close_store(rig);
    version = version_of(rig->path);
    assert_int_equal(run_sql(rig->path, "DROP TABLE documents; PRAGMA user_version = 1"),
                     SQLITE_OK);
    open_store(rig);
    assert_int_equal(count_good(rig), 3);
    assert_int_equal(run_sql(rig->path, "SELECT * FROM documents"), SQLITE_OK);
    close_store(rig);
    assert_int_equal(version_of(rig->path), version);
    open_store(rig);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_file_is_nobody_elses),
        TEST(test_each_run_has_an_epoch_above_all_before),
        TEST(test_a_newer_version_is_left_alone),
        TEST(test_an_older_version_keeps_what_it_has),
        TEST(test_a_migration_is_all_or_nothing),
        TEST(test_a_damaged_file_gives_way_to_the_backup),
        TEST(test_damage_inside_is_found),
        TEST(test_without_a_backup_it_begins_empty),
        TEST(test_a_damaged_backup_is_no_backup),
        TEST(test_a_file_that_is_gone_comes_from_the_backup),
        TEST(test_a_directory_that_is_not_there),
        TEST(test_a_full_disk_leaves_nothing_half_written),
        TEST(test_another_program_that_holds_it_is_named),
        TEST(test_a_copy_is_put_back),
        TEST(test_what_is_no_backup_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
