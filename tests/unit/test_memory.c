/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of memory.c: blocks by name that keep what was written, and their way to the next binary.
 */
#include "process/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void test_a_name_is_one_block(void **state)
{
    (void)state;
    struct memory memory = {.count = 0};
    char error[LINK_ERROR_SIZE];
    int first, again, other;
    assert_int_equal(memory_open(&memory, "tickets-1", 4096, &first, error), OK);
    char *block = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, first, 0);
    assert_true(block != MAP_FAILED);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(block[i], 0);
    strcpy(block, "kept");
    munmap(block, 4096);
    assert_int_equal(memory_open(&memory, "tickets-1", 4096, &again, error), OK);
    assert_int_equal(again, first);
    assert_int_equal(memory_open(&memory, "limits", 1, &other, error), OK);
    assert_int_not_equal(other, first);
    assert_int_equal(ftruncate(first, 0), -1); // sealed
    assert_int_equal(ftruncate(first, 8192), -1);
    memory_fini(&memory);
    assert_int_equal(memory.count, 0);
}

static void test_what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"", "Upper", "a b", "a/b", "a\n"};
    struct memory memory = {.count = 0};
    char error[LINK_ERROR_SIZE], name[MEMORY_NAME_SIZE + 1] = "";
    int fd;
    memset(name, 'x', MEMORY_NAME_SIZE);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(memory_open(&memory, names[i], 1, &fd, error), E_INVALID);
    assert_int_equal(memory_open(&memory, name, 1, &fd, error), E_INVALID);
    assert_int_equal(memory_open(&memory, "a", 0, &fd, error), E_INVALID);
    assert_int_equal(memory_open(&memory, "a", MEMORY_BYTES_MAX + 1, &fd, error), E_INVALID);
    assert_int_equal(memory_open(&memory, "a", 8, &fd, error), OK);
    assert_int_equal(memory_open(&memory, "a", 16, &fd, error), E_CONFLICT);
    assert_string_equal(error, "memory \"a\" has 8 bytes, not 16");
    for (unsigned i = 1; i < MEMORY_BLOCKS_MAX; i++) {
        snprintf(name, sizeof name, "b-%u", i);
        assert_int_equal(memory_open(&memory, name, 8, &fd, error), OK);
    }
    assert_int_equal(memory_open(&memory, "c", 8, &fd, error), E_FULL);
    assert_int_equal(memory_open(&memory, "a", 8, &fd, error), OK);
    memory_fini(&memory);
}

static void test_the_next_binary_gets_all(void **state)
{
    (void)state;
    struct memory old = {.count = 0}, next = {.count = 0};
    char error[LINK_ERROR_SIZE], *text = NULL;
    size_t size;
    int fd, same;
    assert_int_equal(memory_open(&old, "tickets-1", 4096, &fd, error), OK);
    assert_int_equal(memory_open(&old, "limits", 77, &same, error), OK);
    FILE *out = open_memstream(&text, &size);
    memory_write(&old, out);
    fclose(out);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_int_equal(strncmp(line, "memory ", 7), 0);
        assert_int_equal(memory_read(&next, line + 7), OK);
    }
    assert_int_equal(next.count, 2);
    assert_int_equal(memory_open(&next, "tickets-1", 4096, &same, error), OK);
    assert_int_equal(same, fd);
    free(text);
    memory_fini(&old);
}

static void test_bad_lines_are_refused(void **state)
{
    (void)state;
    struct memory memory = {.count = 0};
    char error[LINK_ERROR_SIZE], line[128];
    static const char *const bad[] = {"", "3", "3 4096", "x 4096 a", "900 4096 a", "0 4096 A"};
    int fd;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(memory_read(&memory, bad[i]), E_INVALID);
    assert_int_equal(memory_open(&memory, "a", 8, &fd, error), OK);
    snprintf(line, sizeof line, "%d 8 a", fd);
    assert_int_equal(memory_read(&memory, line), E_INVALID); // twice
    snprintf(line, sizeof line, "%d 9 b", fd);
    assert_int_equal(memory_read(&memory, line), E_INVALID); // another size
    assert_int_equal(memory.count, 1);
    memory_fini(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_name_is_one_block),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_the_next_binary_gets_all),
        cmocka_unit_test(test_bad_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
