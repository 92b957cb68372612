/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of health_memory.c: what one process wrote another reads, and a full table forgets without
 * harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/upstream/health_memory.h"

static uint64_t key_of(unsigned i)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", i);

    return health_memory_key(STR("service"), (struct str){text, (size_t)len}, STR("h:1"));
}

static void test_two_maps_of_one_memory(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC), other;
    struct health_memory *a, *b;

    assert_int_equal(ftruncate(fd, HEALTH_MEMORY_SIZE), 0);
    other = dup(fd);
    a = health_memory_open(fd);
    assert_int_equal(health_memory_get(a, key_of(1)), HEALTH_UNKNOWN);
    health_memory_put(a, key_of(1), HEALTH_UP);
    health_memory_put(a, key_of(2), HEALTH_DOWN);
    health_memory_close(&a);
    assert_null(a);
    b = health_memory_open(other);
    assert_int_equal(health_memory_get(b, key_of(1)), HEALTH_UP);
    assert_int_equal(health_memory_get(b, key_of(2)), HEALTH_DOWN);
    assert_int_equal(health_memory_get(b, key_of(3)), HEALTH_UNKNOWN);
    health_memory_put(b, key_of(1), HEALTH_DOWN);
    health_memory_put(b, key_of(2), HEALTH_UNKNOWN);
    assert_int_equal(health_memory_get(b, key_of(1)), HEALTH_DOWN);
    assert_int_equal(health_memory_get(b, key_of(2)), HEALTH_UNKNOWN);
    health_memory_close(&b);
}

static void test_any_part_of_the_name_makes_another_target(void **state)
{
    (void)state;
    uint64_t key = health_memory_key(STR("s"), STR("i"), STR("a"));

    assert_int_not_equal(key, health_memory_key(STR("t"), STR("i"), STR("a")));
    assert_int_not_equal(key, health_memory_key(STR("s"), STR("j"), STR("a")));
    assert_int_not_equal(key, health_memory_key(STR("s"), STR("i"), STR("b")));
    assert_int_not_equal(health_memory_key(STR("ab"), STR("c"), STR("")),
                         health_memory_key(STR("a"), STR("bc"), STR("")));
}

static void test_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct health_memory *memory = health_memory_open(-1);
    unsigned known = 0;

    for (unsigned i = 0; i < 4 * HEALTH_MEMORY_WORDS; i++)
        health_memory_put(memory, key_of(i), i % 2 ? HEALTH_UP : HEALTH_DOWN);
    for (unsigned i = 0; i < 4 * HEALTH_MEMORY_WORDS; i++) {
        enum health_state found = health_memory_get(memory, key_of(i));

        known += found != HEALTH_UNKNOWN;
        assert_true(found == HEALTH_UNKNOWN || found == (i % 2 ? HEALTH_UP : HEALTH_DOWN));
    }
    assert_true(known > HEALTH_MEMORY_WORDS * 9 / 10 && known <= HEALTH_MEMORY_WORDS);
    health_memory_close(&memory);
}

static void test_no_memory_knows_nothing(void **state)
{
    (void)state;
    health_memory_put(NULL, 1, HEALTH_UP);
    assert_int_equal(health_memory_get(NULL, 1), HEALTH_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_maps_of_one_memory),
        cmocka_unit_test(test_any_part_of_the_name_makes_another_target),
        cmocka_unit_test(test_more_than_there_is_room_for),
        cmocka_unit_test(test_no_memory_knows_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
