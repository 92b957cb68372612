/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of arena.c: alignment, large blocks, the ceiling and the budget, and that all comes back.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/random.h"

enum { BLOCK = 1024, PIECES = 400 };

struct bench {
    struct budget budget;
    struct slab slab;
    struct arena arena;
};

struct piece {
    unsigned char *p;
    size_t len;
};

static void open_bench(struct bench *bench, size_t limit)
{
    *bench = (struct bench){.budget.free_max = 1};
    slab_init(&bench->slab, BLOCK, &bench->budget);
    arena_init(&bench->arena, &bench->slab, limit);
}

static void close_bench(struct bench *bench)
{
    arena_reset(&bench->arena);
    assert_int_equal(bench->arena.used, 0);
    assert_false(bench->arena.is_full);
    assert_int_equal(bench->slab.in_use, 0);
    slab_fini(&bench->slab);
    assert_int_equal(bench->budget.used, 0);
}

/* Pieces of all sizes, each filled; then all are looked at again. How many the arena gave. */
static unsigned fill_randomly(struct arena *arena, uint64_t seed, uint32_t size_max)
{
    struct piece pieces[PIECES];
    unsigned given = 0;

    for (unsigned i = 0; i < PIECES; i++) {
        bool is_text = random_below(&seed, 2);
        size_t len = random_below(&seed, random_below(&seed, 8) ? 100 : size_max);
        unsigned char *p = is_text ? (void *)arena_text(arena, len) : arena_alloc(arena, len);

        if (!p) {
            assert_true(arena->is_full);
            continue;
        }
        if (!is_text)
            assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        memset(p, (int)(given & 0xff), len);
        pieces[given++] = (struct piece){p, len};
    }
    for (unsigned i = 0; i < given; i++)
        for (size_t k = 0; k < pieces[i].len; k++)
            assert_int_equal(pieces[i].p[k], i & 0xff);
    return given;
}

static void test_random_pieces(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct bench bench;
        struct arena plain;

        open_bench(&bench, 0);
        assert_int_equal(fill_randomly(&bench.arena, seed, 5 * BLOCK), PIECES);
        assert_int_equal(bench.arena.used, bench.budget.used);
        close_bench(&bench);
        arena_init(&plain, NULL, 0);
        assert_int_equal(fill_randomly(&plain, seed, 100000), PIECES);
        arena_reset(&plain);
        assert_null(plain.blocks);
    }
}

/* The ceiling and the budget at every place. */
static void test_random_pieces_without_memory(void **state)
{
    (void)state;
    unsigned given = 0;

    for (size_t limit = 1; limit < 64 * BLOCK; limit += 501) {
        struct bench bench;

        open_bench(&bench, limit);
        given += fill_randomly(&bench.arena, limit, 5 * BLOCK);
        assert_true(bench.arena.used <= limit);
        close_bench(&bench);
        open_bench(&bench, 0);
        bench.budget.limit = limit;
        given += fill_randomly(&bench.arena, limit, 5 * BLOCK);
        assert_true(bench.budget.used <= limit);
        close_bench(&bench);
    }
    assert_true(given > 1000);
}

static void test_full_stays_full_until_reset(void **state)
{
    (void)state;
    struct bench bench;

    open_bench(&bench, BLOCK);
    assert_non_null(arena_alloc(&bench.arena, 16));
    assert_false(bench.arena.is_full);
    assert_null(arena_alloc(&bench.arena, BLOCK));
    assert_true(bench.arena.is_full);
    arena_text(&bench.arena, 1);
    assert_true(bench.arena.is_full);
    arena_reset(&bench.arena);
    assert_false(bench.arena.is_full);
    assert_int_equal(bench.arena.limit, BLOCK);
    assert_non_null(arena_alloc(&bench.arena, 16));
    close_bench(&bench);
}

static void test_large_piece_leaves_the_current_block(void **state)
{
    (void)state;
    struct bench bench;
    char *before, *large, *after;

    open_bench(&bench, 0);
    before = arena_text(&bench.arena, 8);
    large = arena_alloc(&bench.arena, 10 * BLOCK);
    after = arena_text(&bench.arena, 8);
    memset(large, 1, 10 * BLOCK);
    assert_ptr_equal(after, before + 8);
    assert_int_equal(bench.slab.in_use, 1);
    close_bench(&bench);
    open_bench(&bench, 0);
    large = arena_alloc(&bench.arena, 10 * BLOCK);
    memset(large, 1, 10 * BLOCK);
    memset(arena_text(&bench.arena, 100), 2, 100);
    assert_int_equal(large[10 * BLOCK - 1], 1);
    close_bench(&bench);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    struct bench bench;
    struct arena plain;
    static const size_t huge[] = {SIZE_MAX,      SIZE_MAX - 1,  SIZE_MAX - 15,
                                  SIZE_MAX - 16, SIZE_MAX - 31, SIZE_MAX / 2 + 1};

    open_bench(&bench, 0);
    bench.budget.limit = 100 * BLOCK;
    arena_init(&plain, NULL, 100 * BLOCK);
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(huge); i++) {
            assert_null(arena_alloc(&bench.arena, huge[i]));
            assert_null(arena_text(&bench.arena, huge[i]));
            assert_null(arena_alloc(&plain, huge[i]));
            assert_null(arena_text(&plain, huge[i]));
        }
        assert_null(arena_zero(&bench.arena, SIZE_MAX / 2, 3));
        assert_null(arena_zero(&bench.arena, 3, SIZE_MAX / 2));
        assert_null(arena_copy(&bench.arena, (struct str){"x", SIZE_MAX}).p);
        assert_non_null(arena_text(&bench.arena, 3)); /* the second round begins in a block */
        assert_non_null(arena_text(&plain, 3));
    }
    arena_reset(&plain);
    close_bench(&bench);
}

static void test_zeroed_room_in_used_memory(void **state)
{
    (void)state;
    struct bench bench;
    char *p;

    open_bench(&bench, 0);
    bench.budget.free_max = 0;
    memset(arena_alloc(&bench.arena, BLOCK / 2), 0xff, BLOCK / 2);
    arena_reset(&bench.arena);
    p = arena_zero(&bench.arena, BLOCK / 16, 8);
    for (unsigned i = 0; i < BLOCK / 2; i++)
        assert_int_equal(p[i], 0);
    assert_non_null(arena_zero(&bench.arena, 0, 8));
    close_bench(&bench);
}

static void test_texts(void **state)
{
    (void)state;
    struct bench bench;
    struct str s;

    open_bench(&bench, 5 * BLOCK);
    s = arena_copy(&bench.arena, STR("shop"));
    assert_int_equal(s.len, 4);
    assert_string_equal(s.p, "shop");
    s = arena_copy(&bench.arena, STR_NONE);
    assert_int_equal(s.len, 0);
    assert_string_equal(s.p, "");
    s = arena_format(&bench.arena, "%s:%d", "host", 80);
    assert_int_equal(s.len, 7);
    assert_string_equal(s.p, "host:80");
    s = arena_format(&bench.arena, "%*s", 3 * BLOCK, "x");
    assert_null(arena_format(&bench.arena, "%*s", 3 * BLOCK, "x").p);
    assert_int_equal(s.len, 3 * BLOCK);
    assert_int_equal(s.p[3 * BLOCK - 1], 'x');
    assert_null(arena_copy(&bench.arena, s).p);
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_pieces),
        cmocka_unit_test(test_random_pieces_without_memory),
        cmocka_unit_test(test_full_stays_full_until_reset),
        cmocka_unit_test(test_large_piece_leaves_the_current_block),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_zeroed_room_in_used_memory),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
