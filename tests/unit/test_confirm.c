/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration that waits to be confirmed, over a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/manager/confirm.h"

struct rig {
    char dir[64], note[96], config[96], text[256];
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *config_text(struct rig *rig)
{
    FILE *file = fopen(rig->config, "r");

    assert_non_null(file);
    rig->text[fread(rig->text, 1, sizeof(rig->text) - 1, file)] = '\0';
    fclose(file);
    return rig->text;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    snprintf(rig->dir, sizeof(rig->dir), P_tmpdir "/sluice-confirm-XXXXXX");
    if (!mkdtemp(rig->dir))
        return -1;
    snprintf(rig->note, sizeof(rig->note), "%s/unconfirmed.json", rig->dir);
    snprintf(rig->config, sizeof(rig->config), "%s/c.yaml", rig->dir);
    write_file(rig->config, "new");
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    unlink(rig->note);
    unlink(rig->config);
    rmdir(rig->dir);
    free(rig);
    return 0;
}

static void test_nothing_waits(void **state)
{
    struct rig *rig = *state;

    assert_false(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "new");
    assert_int_equal(confirm_remove(rig->dir), OK);
}

static void test_the_old_text_comes_back_once(void **state)
{
    struct rig *rig = *state;
    struct stat info;

    assert_int_equal(confirm_save(rig->dir, rig->config, STR("old \"text\"\n"), 1), OK);
    assert_int_equal(stat(rig->note, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_true(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "old \"text\"\n");
    write_file(rig->config, "newer");
    assert_false(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "newer");
}

static void test_before_its_time_it_waits_on(void **state)
{
    struct rig *rig = *state;
    struct confirm confirm = {0};

    assert_int_equal(confirm_save(rig->dir, rig->config, STR("old"), 1000), OK);
    assert_false(confirm_revert(rig->dir, rig->config, 999));
    assert_string_equal(config_text(rig), "new");
    assert_int_equal(confirm_load(rig->dir, rig->config, &confirm), OK);
    assert_string_equal(confirm.old, "old");
    assert_int_equal(confirm.old_len, 3);
    assert_int_equal(confirm.deadline_ms, 1000);
    confirm_clear(&confirm);
    assert_true(confirm_revert(rig->dir, rig->config, 1000));
    assert_string_equal(config_text(rig), "old");
    assert_int_equal(confirm_load(rig->dir, rig->config, &confirm), E_NOT_FOUND);
}

static void test_a_confirmed_one_stays(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(confirm_save(rig->dir, rig->config, STR("old"), 1), OK);
    assert_int_equal(confirm_remove(rig->dir), OK);
    assert_false(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "new");
}

static void test_the_file_of_another_configuration_is_left_alone(void **state)
{
    struct rig *rig = *state;
    char other[128];

    snprintf(other, sizeof(other), "%s/other.yaml", rig->dir);
    assert_int_equal(confirm_save(rig->dir, other, STR("old"), 1), OK);
    assert_false(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "new");
}

static void test_the_same_file_under_another_name(void **state)
{
    struct rig *rig = *state;
    char other[128];

    snprintf(other, sizeof(other), "%s/./c.yaml", rig->dir);
    assert_int_equal(confirm_save(rig->dir, other, STR("old"), 1), OK);
    assert_true(confirm_revert(rig->dir, rig->config, 1));
    assert_string_equal(config_text(rig), "old");
}

static void test_damaged_notes_change_nothing(void **state)
{
    static const char *const damaged[] = {"", "{", "[]", "{\"config\":1}", "{\"old\":\"x\"}"};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        write_file(rig->note, damaged[i]);
        assert_false(confirm_revert(rig->dir, rig->config, 1));
        assert_string_equal(config_text(rig), "new");
    }
}

static void test_a_folder_that_is_not_there(void **state)
{
    struct rig *rig = *state;
    char none[128];

    snprintf(none, sizeof(none), "%s/none", rig->dir);
    assert_int_equal(confirm_save(none, rig->config, STR("old"), 1), E_IO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_waits),
        TEST(test_the_old_text_comes_back_once),
        TEST(test_before_its_time_it_waits_on),
        TEST(test_a_confirmed_one_stays),
        TEST(test_the_file_of_another_configuration_is_left_alone),
        TEST(test_the_same_file_under_another_name),
        TEST(test_damaged_notes_change_nothing),
        TEST(test_a_folder_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
