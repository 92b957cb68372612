/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of file.c in a folder of their own: what is read, and that a write that fails leaves
 * nothing but the old file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/file_mark.h"

struct folder {
    char path[64], file[96], temporary[128];
};

static int make_folder(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    *state = folder;
    umask(022);
    strcpy(folder->path, "/tmp/sluice-test-file-XXXXXX");
    if (!mkdtemp(folder->path))
        return -1;
    snprintf(folder->file, sizeof(folder->file), "%s/a", folder->path);
    snprintf(folder->temporary, sizeof(folder->temporary), "%s.new.%d", folder->file,
             (int)getpid());
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *folder = *state;
    DIR *dir = opendir(folder->path);

    for (struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(dir);
    rmdir(folder->path);
    free(folder);
    return 0;
}

static unsigned count_entries(const struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void assert_file(const char *path, const char *text, unsigned mode)
{
    struct arena arena;
    struct str read;
    struct stat now;

    arena_init(&arena, NULL, 0);
    assert_int_equal(file_read(path, &arena, &read), OK);
    assert_int_equal(read.len, strlen(text));
    assert_string_equal(read.p, text);
    arena_reset(&arena);
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, mode);
}

static void test_read_failures(void **state)
{
    const struct folder *folder = *state;
    struct arena arena;
    struct str text;

    arena_init(&arena, NULL, 100);
    assert_int_equal(file_read(folder->file, &arena, &text), E_NOT_FOUND);
    assert_int_equal(file_read(folder->path, &arena, &text), E_IO);
    assert_int_equal(file_write(folder->file, STR("more than the arena lets in"), 0), OK);
    assert_int_equal(file_read(folder->file, &arena, &text), E_NOMEM);
    arena_reset(&arena);
}

static void test_write_and_read(void **state)
{
    const struct folder *folder = *state;
    struct str large = {calloc(1, 300000), 300000}, text;
    struct arena arena;

    assert_int_equal(file_write(folder->file, STR(""), 0), OK);
    assert_file(folder->file, "", 0600);
    assert_int_equal(file_write(folder->file, large, 0), OK);
    arena_init(&arena, NULL, 0);
    assert_int_equal(file_read(folder->file, &arena, &text), OK);
    assert_int_equal(text.len, large.len);
    assert_memory_equal(text.p, large.p, large.len);
    arena_reset(&arena);
    free((void *)(uintptr_t)large.p);
    assert_int_equal(count_entries(folder), 1);
}

static void test_mode(void **state)
{
    const struct folder *folder = *state;

    assert_int_equal(file_write(folder->file, STR("new"), 0640), OK);
    assert_file(folder->file, "new", 0640);
    assert_int_equal(chmod(folder->file, 0604), 0);
    assert_int_equal(file_write(folder->file, STR("kept"), 0640), OK);
    assert_file(folder->file, "kept", 0604);
    assert_int_equal(unlink(folder->file), 0);
    umask(077);
    assert_int_equal(file_write(folder->file, STR("whatever the mask"), 0644), OK);
    assert_file(folder->file, "whatever the mask", 0644);
}

/* One that a crash left behind may have been made for everyone to read. */
static void test_mode_with_a_stale_temporary(void **state)
{
    const struct folder *folder = *state;
    int fd = open(folder->temporary, O_CREAT | O_WRONLY, 0666);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write(folder->file, STR("secret"), 0600), OK);
    assert_file(folder->file, "secret", 0600);
    assert_int_equal(count_entries(folder), 1);
}

static void test_temporary_that_is_a_link(void **state)
{
    const struct folder *folder = *state;
    char other[96];

    snprintf(other, sizeof(other), "%s/other", folder->path);
    assert_int_equal(file_write(other, STR("other"), 0600), OK);
    assert_int_equal(symlink(other, folder->temporary), 0);
    assert_int_equal(file_write(folder->file, STR("mine"), 0600), E_IO);
    assert_file(other, "other", 0600);
}

/* The disk is full in the midst of it: the limit on a file's size does the same to write(). */
static void test_full_disk(void **state)
{
    const struct folder *folder = *state;
    struct rlimit old, full;

    assert_int_equal(file_write(folder->file, STR("old"), 0640), OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    full = (struct rlimit){.rlim_cur = 4, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    errno = 0;
    assert_int_equal(file_write(folder->file, STR("new and longer"), 0), E_IO);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_file(folder->file, "old", 0640);
    assert_int_equal(count_entries(folder), 1);
}

static void test_write_failures(void **state)
{
    const struct folder *folder = *state;
    char longest[PATH_MAX];

    assert_int_equal(mkdir(folder->file, 0700), 0);
    assert_int_equal(file_write(folder->file, STR("a folder is there"), 0), E_IO);
    assert_int_equal(errno, EISDIR);
    assert_int_equal(count_entries(folder), 1);
    assert_int_equal(file_write("/nowhere/at/all", STR(""), 0), E_IO);
    assert_int_equal(errno, ENOENT);
    memset(longest, 'x', sizeof(longest));
    longest[PATH_MAX - 1] = '\0';
    assert_int_equal(file_write(longest, STR(""), 0), E_IO);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void test_make_directory(void **state)
{
    const struct folder *folder = *state;
    char path[160];
    struct stat now;

    snprintf(path, sizeof(path), "%s/b/c/d", folder->path);
    assert_int_equal(file_make_directory(path), OK);
    assert_int_equal(file_make_directory(path), OK);
    assert_int_equal(stat(path, &now), 0);
    assert_int_equal(now.st_mode & 07777, 0700);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
}

static void test_make_directory_failures(void **state)
{
    const struct folder *folder = *state;
    char path[160], longest[PATH_MAX + 1];

    assert_int_equal(file_write(folder->file, STR("in the way"), 0), OK);
    assert_int_equal(file_make_directory(folder->file), E_IO);
    snprintf(path, sizeof(path), "%s/below", folder->file);
    assert_int_equal(file_make_directory(path), E_IO);
    assert_int_not_equal(file_make_directory(""), OK);
    memset(longest, 'x', sizeof(longest));
    longest[PATH_MAX] = '\0';
    assert_int_not_equal(file_make_directory(longest), OK);
}

/* Every way in which a file can be another one. */
static void test_marks(void **state)
{
    const struct timespec then[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct folder *folder = *state;
    struct file_mark none = file_mark_of(folder->file), first, now;

    assert_int_equal(file_write(folder->file, STR("abc"), 0), OK);
    first = file_mark_of(folder->file);
    assert_false(file_mark_same(&none, &first));
    now = file_mark_of(folder->file);
    assert_true(file_mark_same(&first, &now));
    assert_int_equal(utimensat(AT_FDCWD, folder->file, then, 0), 0);
    now = file_mark_of(folder->file);
    assert_false(file_mark_same(&first, &now));
    first = now;
    assert_int_equal(file_write(folder->file, STR("abd"), 0), OK); // in another file's place
    assert_int_equal(utimensat(AT_FDCWD, folder->file, then, 0), 0);
    now = file_mark_of(folder->file);
    assert_false(file_mark_same(&first, &now));
    assert_int_equal(unlink(folder->file), 0);
    now = file_mark_of(folder->file);
    assert_true(file_mark_same(&none, &now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_write_and_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_mode, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_mode_with_a_stale_temporary, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_temporary_that_is_a_link, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_full_disk, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_write_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_make_directory, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_make_directory_failures, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_marks, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
