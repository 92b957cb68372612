/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's journal of changes: what is told to control, once, over restarts and full disks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/manager/changes.h"

struct rig {
    char dir[64], path[128], journal[CHANGES_ID + 1];
    struct changes *changes;
};

static void open_again(struct rig *rig, bool is_good)
{
    const char *error;

    changes_close(&rig->changes);
    rig->changes = changes_open(rig->dir, &error);
    assert_non_null(rig->changes);
    assert_true(!error == is_good);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    snprintf(rig->dir, sizeof(rig->dir), P_tmpdir "/sluice-changes-XXXXXX");
    if (!mkdtemp(rig->dir))
        return -1;
    snprintf(rig->path, sizeof(rig->path), "%s/changes.jsonl", rig->dir);
    open_again(rig, true);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    char fresh[160];

    changes_close(&rig->changes);
    snprintf(fresh, sizeof(fresh), "%s.new", rig->path);
    unlink(fresh);
    unlink(rig->path);
    rmdir(rig->dir);
    free(rig);
    return 0;
}

static void note(struct rig *rig, const char *action)
{
    changes_note(rig->changes, json_pack("{s:s}", "action", action));
}

/* The actions after `seq`, one after the other; learns the journal's name. */
static const char *told(struct rig *rig, int64_t seq, char text[256])
{
    struct str journal = {rig->journal, strlen(rig->journal)};
    json_t *page = changes_after(rig->changes, journal, seq), *change;
    size_t i;

    text[0] = '\0';
    assert_non_null(page);
    json_array_foreach(json_object_get(page, "changes"), i, change)
        snprintf(text + strlen(text), 256 - strlen(text), "%lld:%s ",
                 (long long)json_integer_value(json_object_get(change, "seq")),
                 json_string_value(json_object_get(change, "action")));
    snprintf(rig->journal, sizeof(rig->journal), "%s",
             json_string_value(json_object_get(page, "journal")));
    json_decref(page);
    return text;
}

static void acknowledge(struct rig *rig, int64_t seq)
{
    changes_acknowledge(rig->changes, (struct str){rig->journal, strlen(rig->journal)}, seq);
}

static void test_changes_are_numbered_and_told_until_acknowledged(void **state)
{
    struct rig *rig = *state;
    char text[256];

    assert_string_equal(told(rig, 0, text), "");
    assert_int_equal(strlen(rig->journal), CHANGES_ID);
    note(rig, "a");
    note(rig, "b");
    note(rig, "c");
    assert_string_equal(told(rig, 0, text), "1:a 2:b 3:c ");
    assert_string_equal(told(rig, 2, text), "3:c ");
    acknowledge(rig, 2);
    assert_string_equal(told(rig, 0, text), "3:c ");
    acknowledge(rig, 3);
    assert_string_equal(told(rig, 0, text), "");
    note(rig, "d");
    assert_string_equal(told(rig, 3, text), "4:d ");
}

static void test_a_restart_loses_none_and_repeats_no_number(void **state)
{
    struct rig *rig = *state;
    char text[256], before[CHANGES_ID + 1];

    note(rig, "a");
    note(rig, "b");
    told(rig, 0, text);
    memcpy(before, rig->journal, sizeof(before));
    open_again(rig, true);
    assert_string_equal(told(rig, 0, text), "1:a 2:b ");
    assert_string_equal(rig->journal, before);
    acknowledge(rig, 2);
    open_again(rig, true);
    assert_string_equal(told(rig, 0, text), "");
    note(rig, "c");
    open_again(rig, true);
    assert_string_equal(told(rig, 2, text), "3:c ");
    assert_string_equal(rig->journal, before);
}

static void test_another_journal_is_told_all_and_acknowledges_none(void **state)
{
    struct rig *rig = *state;
    char text[256];
    struct str other = STR("0123456789abcdef0123456789abcdef");
    json_t *page;

    note(rig, "a");
    note(rig, "b");
    changes_acknowledge(rig->changes, other, 2);
    changes_acknowledge(rig->changes, STR_NONE, 2);
    page = changes_after(rig->changes, other, 7);
    assert_int_equal(json_array_size(json_object_get(page, "changes")), 2);
    json_decref(page);
    assert_true(changes_wait(rig->changes, other, 7));
    assert_string_equal(told(rig, 0, text), "1:a 2:b ");
    assert_false(changes_wait(rig->changes, (struct str){rig->journal, CHANGES_ID}, 2));
    assert_true(changes_wait(rig->changes, (struct str){rig->journal, CHANGES_ID}, 1));
}

static void test_pages(void **state)
{
    struct rig *rig = *state;
    json_t *page;

    for (int i = 0; i < 250; i++)
        note(rig, "x");
    page = changes_after(rig->changes, STR_NONE, 0);
    assert_int_equal(json_array_size(json_object_get(page, "changes")), 100);
    assert_true(json_is_true(json_object_get(page, "more")));
    snprintf(rig->journal, sizeof(rig->journal), "%s",
             json_string_value(json_object_get(page, "journal")));
    json_decref(page);
    page = changes_after(rig->changes, (struct str){rig->journal, CHANGES_ID}, 200);
    assert_int_equal(json_array_size(json_object_get(page, "changes")), 50);
    assert_false(json_is_true(json_object_get(page, "more")));
    json_decref(page);
}

static void test_the_file_is_nobody_elses(void **state)
{
    struct rig *rig = *state;
    struct stat file;

    note(rig, "a");
    assert_int_equal(stat(rig->path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void append_text(const struct rig *rig, const char *text)
{
    FILE *file = fopen(rig->path, "a");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Killed in the middle of a write: what was whole stays. */
static void test_half_a_line_is_left_out(void **state)
{
    struct rig *rig = *state;
    char text[256];

    note(rig, "a");
    changes_close(&rig->changes);
    append_text(rig, "{\"action\":\"b\",\"se");
    open_again(rig, false);
    assert_string_equal(told(rig, 0, text), "1:a ");
    note(rig, "c");
    assert_string_equal(told(rig, 0, text), "1:a 2:c ");
    open_again(rig, true);
    assert_string_equal(told(rig, 0, text), "1:a 2:c ");
}

static void test_what_is_no_journal_begins_a_new_one(void **state)
{
    static const char *const texts[] = {"garbage\n", "{}\n", "\n", "{\"journal\":\"short\"}\n",
                                        "\0"};
    struct rig *rig = *state;
    char text[256];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        changes_close(&rig->changes);
        unlink(rig->path);
        append_text(rig, texts[i]);
        open_again(rig, !*texts[i]);
        assert_string_equal(told(rig, 0, text), "");
        note(rig, "a");
        open_again(rig, true);
        assert_string_equal(told(rig, 0, text), "1:a ");
    }
}

/* An edge that drains notes something while the next one has begun already. */
static void test_two_edges_of_an_upgrade(void **state)
{
    struct rig *rig = *state;
    const char *error;
    struct changes *next = changes_open(rig->dir, &error), *old = rig->changes;
    char text[256];

    note(rig, "a");
    rig->changes = next;
    changes_tick(next);
    assert_string_equal(told(rig, 0, text), "1:a ");
    acknowledge(rig, 1); // writes the file anew
    note(rig, "b");
    rig->changes = old;
    note(rig, "c");
    rig->changes = next;
    changes_tick(next);
    assert_string_equal(told(rig, 0, text), "2:b 3:c ");
    note(rig, "d");
    assert_string_equal(told(rig, 0, text), "2:b 3:c 4:d ");
    changes_close(&old);
}

static void limit_file_size(rlim_t size)
{
    struct rlimit limit = {size, RLIM_INFINITY};

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_full_disk_costs_nothing_but_the_file(void **state)
{
    struct rig *rig = *state;
    char text[256];

    note(rig, "a");
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(100);
    note(rig, "b");
    note(rig, "c");
    changes_tick(rig->changes);
    assert_string_equal(told(rig, 0, text), "1:a 2:b 3:c ");
    limit_file_size(RLIM_INFINITY);
    changes_tick(rig->changes);
    open_again(rig, true);
    assert_string_equal(told(rig, 0, text), "1:a 2:b 3:c ");
}

static void test_what_waits_is_bounded(void **state)
{
    struct rig *rig = *state;
    char *large = malloc(20001);
    struct stat file;
    json_t *page;
    int64_t first;

    memset(large, 'x', 20000);
    large[20000] = '\0';
    for (int i = 0; i < 200; i++) {
        note(rig, large);
        assert_int_equal(stat(rig->path, &file), 0);
        assert_true(file.st_size < CHANGES_BYTES + 2 * CHANGES_ENTRY);
    }
    page = changes_after(rig->changes, STR_NONE, 0);
    first = json_integer_value(
        json_object_get(json_array_get(json_object_get(page, "changes"), 0), "seq"));
    assert_true(first > 100 && first < 200);
    json_decref(page);
    free(large);
}

static void test_a_change_that_is_too_large_goes_without_its_values(void **state)
{
    struct rig *rig = *state;
    char *large = malloc(CHANGES_ENTRY + 1);
    json_t *page, *change;

    memset(large, 'x', CHANGES_ENTRY);
    large[CHANGES_ENTRY] = '\0';
    changes_note(rig->changes, json_pack("{s:s,s:{s:s}}", "action", "a", "after", "text", large));
    free(large);
    page = changes_after(rig->changes, STR_NONE, 0);
    change = json_array_get(json_object_get(page, "changes"), 0);
    assert_string_equal(json_string_value(json_object_get(change, "action")), "a");
    assert_true(json_is_null(json_object_get(change, "after")));
    json_decref(page);
}

static void test_syncing_is_asked_for_once_a_write(void **state)
{
    struct rig *rig = *state;
    int fd;

    assert_int_equal(changes_unsynced(rig->changes), -1);
    note(rig, "a");
    fd = changes_unsynced(rig->changes);
    assert_true(fd >= 0);
    assert_int_equal(fdatasync(fd), 0);
    close(fd);
    assert_int_equal(changes_unsynced(rig->changes), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_numbered_and_told_until_acknowledged),
        TEST(test_a_restart_loses_none_and_repeats_no_number),
        TEST(test_another_journal_is_told_all_and_acknowledges_none),
        TEST(test_pages),
        TEST(test_the_file_is_nobody_elses),
        TEST(test_half_a_line_is_left_out),
        TEST(test_what_is_no_journal_begins_a_new_one),
        TEST(test_two_edges_of_an_upgrade),
        TEST(test_a_full_disk_costs_nothing_but_the_file),
        TEST(test_what_waits_is_bounded),
        TEST(test_a_change_that_is_too_large_goes_without_its_values),
        TEST(test_syncing_is_asked_for_once_a_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
