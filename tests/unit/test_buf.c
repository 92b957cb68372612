/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of buf.c: growth from the slab to malloc, tails that overlap, and what stays when memory
 * ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/random.h"

enum { FIRST = 64, WANT_MAX = 16 * FIRST };

struct bench {
    struct budget budget;
    struct slab slab;
    struct buf buf;
};

static void open_bench(struct bench *bench)
{
    *bench = (struct bench){.budget.free_max = 1};
    slab_init(&bench->slab, FIRST, &bench->budget);
}

static void close_bench(struct bench *bench)
{
    buf_drop(&bench->buf, &bench->slab);
    assert_null(bench->buf.p);
    assert_int_equal(bench->buf.len + bench->buf.size, 0);
    assert_int_equal(bench->slab.in_use, 0);
    slab_fini(&bench->slab);
    assert_int_equal(bench->budget.used, 0);
}

static void assert_buf(const struct bench *bench, const char *want, size_t len)
{
    assert_int_equal(bench->buf.len, len);
    assert_true(bench->buf.size >= len);
    assert_int_equal(bench->budget.used, bench->buf.size);
    if (len)
        assert_memory_equal(bench->buf.p, want, len);
}

static void test_growth(void **state)
{
    (void)state;
    struct bench bench;

    open_bench(&bench);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, 0), OK);
    assert_null(bench.buf.p);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, 1), OK);
    assert_int_equal(bench.buf.size, FIRST);
    assert_int_equal(bench.slab.in_use, 1);
    assert_int_equal(buf_append(&bench.buf, &bench.slab, STR("kept")), OK);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, FIRST), OK);
    assert_int_equal(bench.buf.size, FIRST);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, FIRST + 1), OK);
    assert_int_equal(bench.buf.size, 2 * FIRST);
    assert_int_equal(bench.slab.in_use, 0);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, 9 * FIRST), OK);
    assert_int_equal(bench.buf.size, 16 * FIRST);
    assert_buf(&bench, "kept", 4);
    close_bench(&bench);
}

/* Each tail of a buffer, shorter and longer than what lies before it. */
static void test_keep_a_tail(void **state)
{
    (void)state;
    char bytes[3 * FIRST];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        for (size_t at = 0; at <= len; at++) {
            struct bench bench;

            open_bench(&bench);
            assert_int_equal(buf_append(&bench.buf, &bench.slab, (struct str){bytes, len}), OK);
            assert_int_equal(buf_keep(&bench.buf, &bench.slab,
                                      (struct str){bench.buf.p + at, len - at}),
                             OK);
            assert_buf(&bench, bytes + at, len - at);
            if (at == len)
                assert_null(bench.buf.p);
            close_bench(&bench);
        }
    }
}

static void test_keep_bytes_from_elsewhere(void **state)
{
    (void)state;
    struct bench bench;
    char bytes[5 * FIRST];

    memset(bytes, 'e', sizeof(bytes));
    open_bench(&bench);
    assert_int_equal(buf_keep(&bench.buf, &bench.slab, STR("first")), OK);
    assert_buf(&bench, "first", 5);
    assert_int_equal(buf_keep(&bench.buf, &bench.slab, STR("2nd")), OK);
    assert_buf(&bench, "2nd", 3);
    assert_int_equal(buf_keep(&bench.buf, &bench.slab, (struct str){bytes, sizeof(bytes)}), OK);
    assert_buf(&bench, bytes, sizeof(bytes));
    bench.budget.limit = bench.budget.used;
    assert_int_equal(buf_keep(&bench.buf, &bench.slab, STR_NONE), OK);
    assert_int_equal(bench.budget.used, 0);
    bench.budget.limit = FIRST - 1;
    assert_int_equal(buf_keep(&bench.buf, &bench.slab, STR("no room")), E_NOMEM);
    assert_buf(&bench, "", 0);
    close_bench(&bench);
}

static void test_without_memory_it_stays(void **state)
{
    (void)state;
    struct bench bench;
    char bytes[FIRST];

    memset(bytes, 'b', sizeof(bytes));
    open_bench(&bench);
    assert_int_equal(buf_append(&bench.buf, &bench.slab, (struct str){bytes, FIRST}), OK);
    bench.budget.limit = 3 * FIRST - 1; /* growing needs old and new at once */
    assert_int_equal(buf_append(&bench.buf, &bench.slab, STR("x")), E_NOMEM);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, UINT32_MAX), E_NOMEM);
    assert_int_equal(buf_reserve(&bench.buf, &bench.slab, SIZE_MAX), E_NOMEM);
    assert_buf(&bench, bytes, FIRST);
    bench.budget.limit = 3 * FIRST;
    assert_int_equal(buf_append(&bench.buf, &bench.slab, STR("x")), OK);
    assert_int_equal(bench.buf.len, FIRST + 1);
    close_bench(&bench);
}

/* What a connection does: append what came, keep what was not eaten. */
static void test_random_appends_and_keeps(void **state)
{
    (void)state;
    uint64_t seed = 7;
    struct bench bench;
    char want[WANT_MAX + 3 * FIRST];
    size_t len = 0;

    open_bench(&bench);
    for (unsigned i = 0; i < 5000; i++) {
        size_t n = random_below(&seed, 3 * FIRST);
        size_t eaten;

        bench.budget.limit = random_below(&seed, 3) ? 0 : bench.budget.used + n;
        for (size_t k = 0; k < n; k++)
            want[len + k] = (char)random_next(&seed);
        if (!buf_append(&bench.buf, &bench.slab, (struct str){want + len, n}))
            len += n;
        assert_buf(&bench, want, len);
        eaten = len > WANT_MAX ? len : random_below(&seed, (uint32_t)len + 1);
        assert_int_equal(buf_keep(&bench.buf, &bench.slab,
                                  (struct str){bench.buf.p + eaten, len - eaten}),
                         OK);
        len -= eaten;
        memmove(want, want + eaten, len);
        assert_buf(&bench, want, len);
    }
    close_bench(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_keep_a_tail),
        cmocka_unit_test(test_keep_bytes_from_elsewhere),
        cmocka_unit_test(test_without_memory_it_stays),
        cmocka_unit_test(test_random_appends_and_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
