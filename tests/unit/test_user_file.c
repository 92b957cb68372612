/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of user_file.c: when a changed file is read. What it may hold is tested end to end.
 */
#include "edge/auth/user_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH "$2b$05$abcdefghijklmnopqrstuupWDwJQeCHYIBQy8WvkVB6ImhZ476YYy"

static char path[] = "/tmp/test_user_file_XXXXXX";

static void write_user(const char *name)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "%s:" HASH "\n", name) > 0);
    assert_int_equal(fclose(file), 0);
}

static bool has(struct user_file *file, const char *name)
{
    return user_list_find(user_file_users(file, 0), (struct str){name, strlen(name)});
}

static struct user_file *open_file(void)
{
    char error[USER_FILE_ERROR];
    struct user_file *file = user_file_open((struct str){path, strlen(path)}, 1, error);

    if (!file)
        fail_msg("%s", error);
    return file;
}

static void test_two_looks(void **unused)
{
    struct user_file *file;

    (void)unused;
    write_user("ann");
    file = open_file();
    write_user("robert");
    user_file_look(file);
    assert_true(has(file, "ann"));
    user_file_look(file);
    assert_false(has(file, "ann"));
    assert_true(has(file, "robert"));
    user_file_free(&file);
}

/* Without a descriptor to read it with: it is not forgotten that it has changed. */
static void test_it_is_tried_again(void **unused)
{
    struct rlimit usual, none;
    struct user_file *file;

    (void)unused;
    write_user("ann");
    file = open_file();
    write_user("robert");
    user_file_look(file);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = (struct rlimit){0, usual.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    user_file_look(file);
    user_file_look(file);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    assert_true(has(file, "ann"));
    user_file_look(file);
    assert_false(has(file, "ann"));
    assert_true(has(file, "robert"));
    user_file_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_looks),
        cmocka_unit_test(test_it_is_tried_again),
    };
    int fd = mkstemp(path), failed;

    if (fd < 0)
        return 1;
    close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
