/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of outq.c: random sequences of calls against a plain buffer of bytes, with and without
 * memory. What is lent is freed as soon as the contract allows, so that a sanitizer sees a late
 * look at it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/outq.h"
#include "base/random.h"

enum { WANT_MAX = 256 * 1024, PIECE_MAX = 40 * 1024, LENT_MAX = 64, VECTORS_MAX = 256 };

struct bench {
    struct budget budget;
    struct slab slab;
    struct outq *queue;
    char *want; /* what waits, according to the model */
    size_t want_len;
    char *lent[LENT_MAX];
    unsigned lent_count;
    uint64_t seed;
    unsigned refused; /* calls that found no memory */
    bool is_broken;   /* outq_own() failed: only outq_give() may follow */
};

static void open_bench(struct bench *bench, uint64_t seed)
{
    *bench = (struct bench){.seed = seed, .budget.free_max = 1};
    bench->want = malloc(WANT_MAX + PIECE_MAX);
    outq_slab_init(&bench->slab, &bench->budget);
    bench->queue = outq_take(&bench->slab);
    assert_non_null(bench->queue);
}

static void free_lent(struct bench *bench)
{
    while (bench->lent_count)
        free(bench->lent[--bench->lent_count]);
}

static void close_bench(struct bench *bench)
{
    outq_give(&bench->queue);
    assert_null(bench->queue);
    assert_int_equal(bench->slab.in_use, 0);
    slab_fini(&bench->slab);
    assert_int_equal(bench->budget.used, 0);
    free_lent(bench);
    free(bench->want);
}

static size_t random_len(struct bench *bench)
{
    static const uint32_t tops[] = {2, 100, OUTQ_COPY_BELOW + 2, OUTQ_BLOCK + 2, PIECE_MAX};

    return random_below(&bench->seed, tops[random_below(&bench->seed, ARRAY_LEN(tops))]);
}

static char *random_bytes(struct bench *bench, size_t len)
{
    char *bytes = malloc(len + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)random_next(&bench->seed);
    return bytes;
}

static void note(struct bench *bench, enum status status, const char *bytes, size_t len)
{
    if (status) {
        assert_int_equal(status, E_NOMEM);
        bench->refused++;
        return;
    }
    memcpy(bench->want + bench->want_len, bytes, len);
    bench->want_len += len;
}

static void put(struct bench *bench)
{
    size_t len = random_len(bench);
    char *bytes = random_bytes(bench, len);

    note(bench, outq_put(bench->queue, (struct str){bytes, len}), bytes, len);
    free(bytes);
}

static void lend(struct bench *bench)
{
    size_t len = random_len(bench);
    char *bytes;

    if (bench->lent_count == LENT_MAX)
        return;
    bytes = random_bytes(bench, len);
    bench->lent[bench->lent_count++] = bytes;
    note(bench, outq_ref(bench->queue, (struct str){bytes, len}), bytes, len);
}

static void reserve(struct bench *bench)
{
    size_t room = random_below(&bench->seed, OUTQ_RESERVE + 1);
    size_t used = random_below(&bench->seed, (uint32_t)room + 1);
    char *to = outq_reserve(bench->queue, room);
    char *bytes;

    if (!to) {
        bench->refused++;
        return;
    }
    bytes = random_bytes(bench, used);
    memset(to, 0, room);
    memcpy(to, bytes, used);
    outq_commit(bench->queue, used);
    note(bench, OK, bytes, used);
    free(bytes);
}

static void own(struct bench *bench)
{
    if (outq_own(bench->queue)) {
        bench->refused++;
        bench->is_broken = true;
        return;
    }
    free_lent(bench);
}

static void send(struct bench *bench)
{
    size_t top = bench->want_len < PIECE_MAX ? bench->want_len : PIECE_MAX;
    size_t n = random_below(&bench->seed, (uint32_t)top + 1);

    if (random_below(&bench->seed, 4) == 0)
        n = bench->want_len;
    outq_sent(bench->queue, n);
    bench->want_len -= n;
    memmove(bench->want, bench->want + n, bench->want_len);
    if (!bench->want_len)
        free_lent(bench);
}

static void assert_vectors(struct bench *bench, unsigned max)
{
    struct iovec vectors[VECTORS_MAX];
    unsigned n = outq_vectors(bench->queue, vectors, max);
    size_t at = 0;

    assert_true(n <= max);
    for (unsigned i = 0; i < n; i++) {
        assert_true(vectors[i].iov_len > 0);
        assert_true(vectors[i].iov_len <= bench->want_len - at);
        assert_memory_equal(vectors[i].iov_base, bench->want + at, vectors[i].iov_len);
        at += vectors[i].iov_len;
    }
    if (n < max)
        assert_int_equal(at, bench->want_len);
}

static void assert_same(struct bench *bench)
{
    assert_int_equal(outq_pending(bench->queue), bench->want_len);
    assert_vectors(bench, VECTORS_MAX);
    assert_vectors(bench, 1 + random_below(&bench->seed, 4));
}

static void step(struct bench *bench)
{
    static void (*const steps[])(struct bench *) = {put, lend, reserve, own, send};
    uint32_t which = random_below(&bench->seed, ARRAY_LEN(steps));

    if (bench->want_len > WANT_MAX - PIECE_MAX)
        which = 4;
    steps[which](bench);
}

static void test_random_calls(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 60; round++) {
        struct bench bench;

        open_bench(&bench, round);
        for (unsigned i = 0; i < 150; i++) {
            step(&bench);
            assert_same(&bench);
        }
        assert_int_equal(bench.refused, 0);
        close_bench(&bench);
    }
}

/* Before each call the budget lets through none to three more blocks. */
static void test_random_calls_without_memory(void **state)
{
    (void)state;
    unsigned refused = 0, broken = 0;

    for (uint64_t round = 0; round < 300; round++) {
        struct bench bench;

        open_bench(&bench, round);
        for (unsigned i = 0; i < 60 && !bench.is_broken; i++) {
            bench.budget.limit =
                bench.budget.used + random_below(&bench.seed, 4) * (size_t)OUTQ_BLOCK;
            step(&bench);
            if (!bench.is_broken)
                assert_same(&bench);
        }
        refused += bench.refused;
        broken += bench.is_broken;
        close_bench(&bench);
    }
    assert_true(refused > 300);
    assert_true(broken > 10);
}

static void test_refused_put_appends_nothing(void **state)
{
    (void)state;
    struct bench bench;
    char *bytes = calloc(1, 3 * OUTQ_BLOCK);

    open_bench(&bench, 1);
    note(&bench, outq_put(bench.queue, STR("before")), "before", 6);
    bench.budget.limit = 2 * OUTQ_BLOCK;
    assert_int_equal(outq_put(bench.queue, (struct str){bytes, 3 * OUTQ_BLOCK}), E_NOMEM);
    assert_same(&bench);
    note(&bench, outq_put(bench.queue, STR("after")), "after", 5);
    assert_same(&bench);
    free(bytes);
    close_bench(&bench);
}

static void test_long_slice_is_borrowed_short_one_copied(void **state)
{
    (void)state;
    struct bench bench;
    struct iovec vectors[2];
    char *bytes = calloc(1, OUTQ_COPY_BELOW);

    open_bench(&bench, 1);
    assert_int_equal(outq_ref(bench.queue, (struct str){bytes, OUTQ_COPY_BELOW - 1}), OK);
    assert_int_equal(outq_vectors(bench.queue, vectors, 2), 1);
    assert_ptr_not_equal(vectors[0].iov_base, bytes);
    assert_int_equal(outq_ref(bench.queue, (struct str){bytes, OUTQ_COPY_BELOW}), OK);
    assert_int_equal(outq_vectors(bench.queue, vectors, 2), 2);
    assert_ptr_equal(vectors[1].iov_base, bytes);
    assert_int_equal(outq_own(bench.queue), OK);
    free(bytes);
    close_bench(&bench);
}

static void test_reserve_is_in_one_piece(void **state)
{
    (void)state;
    struct bench bench;
    char *first;

    open_bench(&bench, 1);
    first = outq_reserve(bench.queue, OUTQ_RESERVE);
    assert_non_null(first);
    outq_commit(bench.queue, 0);
    assert_ptr_equal(outq_reserve(bench.queue, 1), first);
    outq_commit(bench.queue, 0);
    assert_int_equal(outq_pending(bench.queue), 0);
    assert_same(&bench);
    close_bench(&bench);
}

/* One warm block serves a connection whose answers go out at once. */
static void test_small_answers_take_one_block(void **state)
{
    (void)state;
    struct bench bench;

    open_bench(&bench, 1);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(outq_put(bench.queue, STR("HTTP/1.1 204 No Content\r\n\r\n")), OK);
        outq_sent(bench.queue, outq_pending(bench.queue));
        assert_int_equal(bench.slab.in_use, 1);
    }
    close_bench(&bench);
}

static void test_no_queue(void **state)
{
    (void)state;
    struct budget budget = {.limit = OUTQ_BLOCK - 1};
    struct slab slab;
    struct outq *none;

    outq_slab_init(&slab, &budget);
    none = outq_take(&slab);
    assert_null(none);
    assert_int_equal(outq_pending(none), 0);
    outq_give(&none);
    assert_int_equal(budget.used, 0);
    slab_fini(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_calls),
        cmocka_unit_test(test_random_calls_without_memory),
        cmocka_unit_test(test_refused_put_appends_nothing),
        cmocka_unit_test(test_long_slice_is_borrowed_short_one_copied),
        cmocka_unit_test(test_reserve_is_in_one_piece),
        cmocka_unit_test(test_small_answers_take_one_block),
        cmocka_unit_test(test_no_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
