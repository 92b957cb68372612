/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of heap.c: sizes, what is kept, the budget.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/heap.h"

static struct budget budget;
static struct heap heap;

static int begin(void **state)
{
    (void)state;
    budget = (struct budget){0};
    heap_init(&heap, &budget);
    return 0;
}

static int end(void **state)
{
    (void)state;
    heap_fini(&heap);
    assert_int_equal(budget.used, 0);
    return 0;
}

static void every_size_is_whole_and_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 100000; n += n < 200 ? 1 : n / 7) {
        char *object = heap_take(&heap, n);

        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 16, 0);
        memset(object, 'x', n);
        assert_true(budget.used >= n);
        heap_give(&heap, object);
    }
}

static void the_last_given_is_taken_first(void **state)
{
    void *first = heap_take(&heap, 100), *second = heap_take(&heap, 90);
    size_t used = budget.used;

    (void)state;
    heap_give(&heap, first);
    heap_give(&heap, second);
    assert_ptr_equal(heap_take(&heap, 110), second);
    assert_ptr_equal(heap_take(&heap, 50 + 15), first); // the same class
    assert_int_equal(budget.used, used);
    heap_give(&heap, first);
    heap_give(&heap, second);
    heap_give(&heap, NULL);
}

static void large_ones_are_not_kept(void **state)
{
    void *large = heap_take(&heap, 64 * 1024);

    (void)state;
    assert_true(budget.used >= 64 * 1024);
    heap_give(&heap, large);
    assert_int_equal(budget.used, 0);
}

static void a_class_keeps_so_much_and_no_more(void **state)
{
    void *objects[600];

    (void)state;
    for (unsigned i = 0; i < 600; i++)
        objects[i] = heap_take(&heap, 1000); // 1,024 with its header
    assert_true(budget.used > 2 * HEAP_KEPT_MAX);
    for (unsigned i = 0; i < 600; i++)
        heap_give(&heap, objects[i]);
    assert_int_equal(budget.used, HEAP_KEPT_MAX);
}

static void past_the_budget_there_is_nothing(void **state)
{
    void *kept;

    (void)state;
    budget.limit = 1500;
    kept = heap_take(&heap, 500);
    assert_non_null(kept);
    assert_null(heap_take(&heap, 500));
    assert_null(heap_take(&heap, SIZE_MAX));
    assert_null(heap_take(&heap, SIZE_MAX - 8));
    assert_null(heap_resize(&heap, kept, 2000));
    memset(kept, 'x', 500); // it stays
    heap_give(&heap, kept);
    assert_ptr_equal(heap_take(&heap, 510), kept); // what is kept is charged already
    heap_give(&heap, kept);
}

static void resizing_keeps_what_is_there(void **state)
{
    char *object = heap_resize(&heap, NULL, 10), *same;

    (void)state;
    assert_non_null(object);
    memset(object, 'a', 10);
    same = heap_resize(&heap, object, 30);
    assert_ptr_equal(same, object); // there was room
    assert_ptr_equal(heap_resize(&heap, object, 5), object);
    for (size_t n = 100; n < 200000; n *= 3) {
        object = heap_resize(&heap, object, n);
        assert_non_null(object);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(object[i], 'a');
        memset(object + 10, 'b', n - 10);
    }
    heap_give(&heap, object);
}

#define HEAP(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEAP(every_size_is_whole_and_aligned),  HEAP(the_last_given_is_taken_first),
        HEAP(large_ones_are_not_kept),          HEAP(a_class_keeps_so_much_and_no_more),
        HEAP(past_the_budget_there_is_nothing), HEAP(resizing_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
