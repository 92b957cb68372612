/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of slab.c: order, the free list's bound, the budget.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slab.h"

enum { SIZE = 128 };

static void take_all(struct slab *slab, void **objects, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        objects[i] = slab_take(slab);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % alignof(max_align_t), 0);
        memset(objects[i], 0xff, slab->size);
    }
}

static void give_all(struct slab *slab, void **objects, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        slab_give(slab, objects[i]);
}

static void test_last_given_is_first_taken(void **state)
{
    (void)state;
    struct slab slab;
    void *objects[10];

    slab_init(&slab, SIZE, NULL);
    take_all(&slab, objects, 10);
    assert_int_equal(slab.in_use, 10);
    give_all(&slab, objects, 10);
    assert_int_equal(slab.in_use, 0);
    assert_int_equal(slab.free_count, 10);
    for (unsigned i = 10; i-- > 0;)
        assert_ptr_equal(slab_take(&slab), objects[i]);
    assert_int_equal(slab.free_count, 0);
    give_all(&slab, objects, 10);
    slab_fini(&slab);
    assert_int_equal(slab.free_count, 0);
}

static void test_free_list_is_bounded(void **state)
{
    (void)state;
    struct budget budget = {.free_max = 4 * SIZE + SIZE / 2};
    struct slab slab;
    void *objects[10];

    slab_init(&slab, SIZE, &budget);
    take_all(&slab, objects, 10);
    assert_int_equal(budget.used, 10 * SIZE);
    for (unsigned i = 0; i < 10; i++) {
        slab_give(&slab, objects[i]);
        assert_int_equal(slab.free_count, i < 4 ? i + 1 : 4);
        assert_int_equal(budget.used, (slab.free_count + 9 - i) * SIZE);
    }
    take_all(&slab, objects, 6);
    assert_int_equal(budget.used, 6 * SIZE);
    give_all(&slab, objects, 6);
    slab_fini(&slab);
    assert_int_equal(budget.used, 0);
}

static void test_budget_is_shared(void **state)
{
    (void)state;
    struct budget budget = {.limit = 3 * SIZE};
    struct slab one, other;
    void *objects[3];

    slab_init(&one, SIZE, &budget);
    slab_init(&other, SIZE, &budget);
    take_all(&one, objects, 2);
    objects[2] = slab_take(&other);
    assert_non_null(objects[2]);
    assert_null(slab_take(&one));
    assert_null(slab_take(&other));
    assert_int_equal(one.in_use, 2);
    slab_give(&other, objects[2]);
    assert_null(slab_take(&one)); /* a free object of the other still counts */
    assert_ptr_equal(slab_take(&other), objects[2]);
    slab_give(&other, objects[2]);
    slab_fini(&other);
    objects[2] = slab_take(&one);
    assert_non_null(objects[2]);
    give_all(&one, objects, 3);
    slab_fini(&one);
    assert_int_equal(budget.used, 0);
}

static void test_charges(void **state)
{
    (void)state;
    struct budget budget = {.limit = 100}, open = {0};

    assert_true(budget_charge(&budget, 100));
    assert_false(budget_charge(&budget, 1));
    assert_true(budget_charge(&budget, 0));
    budget_release(&budget, 50);
    assert_false(budget_charge(&budget, SIZE_MAX));
    assert_false(budget_charge(&budget, 51));
    assert_int_equal(budget.used, 50);
    assert_true(budget_charge(&budget, 50));
    assert_true(budget_charge(&open, 1 << 20));
    assert_true(budget_charge(NULL, SIZE_MAX));
    budget_release(NULL, 1);
}

/* The free list runs through the objects, however small. */
static void test_small_objects(void **state)
{
    (void)state;
    struct slab slab;
    void *objects[100];

    slab_init(&slab, 1, NULL);
    take_all(&slab, objects, 100);
    give_all(&slab, objects, 100);
    take_all(&slab, objects, 100);
    give_all(&slab, objects, 100);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_given_is_first_taken),
        cmocka_unit_test(test_free_list_is_bounded),
        cmocka_unit_test(test_budget_is_shared),
        cmocka_unit_test(test_charges),
        cmocka_unit_test(test_small_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
