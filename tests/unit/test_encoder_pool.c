/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shape/encoder_pool.c: an encoder that has served makes the bytes that a new one makes,
 * whatever it did before; how many are kept, for how long, and what becomes of them when memory is
 * short.
 */
#include "test_coding_rig.h"

#include "edge/shape/encoder_pool.h"

struct rig {
    struct bench *bench;
    struct loop loop;
    struct encoder_pool pool;
};

static int make_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    void *bench = NULL;

    if (make_bench(&bench) || loop_init(&rig->loop, 0, 0))
        return -1;
    rig->bench = bench;
    encoder_pool_init(&rig->pool, &rig->loop);
    *state = rig;
    return 0;
}

static int remove_rig(void **state)
{
    struct rig *rig = *state;
    void *bench = rig->bench;

    encoder_pool_close(&rig->pool);
    encoder_pool_close(&rig->pool); // twice is once
    loop_fini(&rig->loop);
    assert_int_equal(rig->loop.budget.used, 0);
    remove_bench(&bench);
    free(rig);
    return 0;
}

struct message {
    enum coding coding;
    unsigned level;
    size_t size;
    int64_t told; /* of the size */
};

static struct encoder *take(struct rig *rig, const struct message *m)
{
    struct encoder *encoder = encoder_pool_take(&rig->pool, m->coding, m->level, m->told);

    assert_non_null(encoder);
    return encoder;
}

static void give(struct rig *rig, struct encoder *encoder)
{
    encoder_pool_give(&rig->pool, &encoder);
    assert_null(encoder);
}

/* Keeps what a new encoder makes of it in `undone`. */
static void make_fresh(struct bench *bench, const struct message *m)
{
    struct encoder *encoder = encoder_new(m->coding, m->level, m->told, &bench->heap);

    assert_non_null(encoder);
    assert_true(encode(bench, encoder, m->size, 7000));
    assert_true(bench->coded_len <= SIZE);
    memcpy(bench->undone, bench->coded, bench->coded_len);
    bench->undone_len = bench->coded_len;
    encoder_free(&encoder);
}

static void assert_as_fresh(struct rig *rig, const struct message *m)
{
    struct bench *bench = rig->bench;
    struct encoder *encoder = take(rig, m);

    make_fresh(bench, m);
    assert_true(encode(bench, encoder, m->size, 7000));
    assert_int_equal(bench->coded_len, bench->undone_len);
    assert_memory_equal(bench->coded, bench->undone, bench->coded_len);
    give(rig, encoder);
}

static unsigned level_max(enum coding coding)
{
    if (coding == CODING_GZIP)
        return ENCODER_GZIP_MAX;
    return coding == CODING_BR ? ENCODER_BR_MAX : ENCODER_ZSTD_MAX;
}

/* Sizes, levels and codings by turns, so that each follows many others. */
static void test_bytes_are_those_of_a_new_one(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 1024, 1025, 8000, 30 * 1000, 150 * 1000};
    struct rig *rig = *state;
    uint32_t seed = 5;

    for (unsigned round = 0; round < 300; round++) {
        struct message m;

        seed = seed * 1664525 + 1013904223;
        m.coding = CODING_GZIP + (seed >> 28) % 3;
        m.level = 1 + (seed >> 20 & 0xff) % level_max(m.coding);
        m.size = sizes[(seed >> 16 & 0xf) % ARRAY_LEN(sizes)];
        m.told = seed >> 15 & 1 ? (int64_t)m.size : -1;
        assert_as_fresh(rig, &m);
    }
}

/* As when a client goes: what it had taken in, and had yet to give, is nobody else's. */
static void test_one_that_was_left_in_the_middle(void **state)
{
    struct rig *rig = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++)
        for (enum encoder_wish wish = ENCODER_MORE; wish <= ENCODER_END; wish++) {
            const struct message m = {coding, 5, 50 * 1000, -1};
            struct encoder *encoder = take(rig, &m);
            struct str in = {rig->bench->plain, SIZE};
            bool is_done;

            assert_true(encoder_run(encoder, wish, &in, rig->bench->coded, &is_done) >= 0);
            give(rig, encoder);
            assert_as_fresh(rig, &m);
        }
}

static void test_it_is_the_same_encoder(void **state)
{
    static const struct message all[] = {{CODING_GZIP, 5, 1000, 1000},
                                         {CODING_GZIP, 1, 1000, -1},
                                         {CODING_ZSTD, 3, 1000, 1000}};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct encoder *first = take(rig, &all[i]), *second;
        size_t used = rig->loop.budget.used;

        give(rig, first);
        assert_int_equal(rig->loop.budget.used, used); // it holds what it held
        second = take(rig, &all[i]);
        assert_ptr_equal(second, first);
        assert_int_equal(rig->loop.budget.used, used);
        give(rig, second);
    }
}

static void test_few_are_kept(void **state)
{
    const struct message m = {CODING_ZSTD, 3, 0, -1}, br = {CODING_BR, 4, 0, -1};
    struct encoder *taken[ENCODER_POOL_MAX + 3];
    struct rig *rig = *state;

    give(rig, take(rig, &br));
    assert_int_equal(rig->pool.count, 0); // br is not kept
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        taken[i] = take(rig, &m);
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        give(rig, taken[i]);
    assert_int_equal(rig->pool.count, ENCODER_POOL_MAX);
    assert_in_range(rig->loop.budget.used, 1, ENCODER_POOL_MAX * ENCODER_MEMORY_MAX);
    encoder_pool_give(&rig->pool, &(struct encoder *){NULL});
    assert_int_equal(rig->pool.count, ENCODER_POOL_MAX);
}

/* Those that are wanted stay, the others go. */
static void test_idle_ones_are_freed(void **state)
{
    const struct message m = {CODING_GZIP, 5, 0, -1};
    struct encoder_pool *pool;
    struct encoder *taken[3];
    struct rig *rig = *state;

    pool = &rig->pool;
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        taken[i] = take(rig, &m);
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        give(rig, taken[i]);
    assert_true(pool->timer.entry.due > 0);
    pool->timer.fire(&pool->timer); // they came while it ran
    assert_int_equal(pool->count, 3);
    assert_true(pool->timer.entry.due > 0);
    give(rig, take(rig, &m));
    pool->timer.fire(&pool->timer);
    assert_int_equal(pool->count, 1);
    assert_ptr_equal(pool->kept[0], taken[2]); // the one that was used
    loop_timer_unset(&pool->timer);
    pool->timer.fire(&pool->timer);
    assert_int_equal(pool->count, 0);
    assert_int_equal(pool->timer.entry.due, 0); // an idle worker sleeps
}

static void test_memory_that_is_short(void **state)
{
    const struct message m = {CODING_GZIP, 5, 0, -1}, other = {CODING_ZSTD, 3, 0, -1};
    struct rig *rig = *state;
    struct encoder *encoder = take(rig, &m);
    size_t used = rig->loop.budget.used;

    rig->loop.budget.limit = used + used / 2;
    give(rig, encoder);
    assert_int_equal(rig->pool.count, 0); // more than half is used
    rig->loop.budget.limit = 0;
    give(rig, take(rig, &m));
    assert_int_equal(rig->pool.count, 1);
    give(rig, take(rig, &other));
    used = rig->loop.budget.used;
    rig->loop.budget.limit = used;
    encoder = take(rig, &(struct message){CODING_GZIP, 5, 0, 1000}); // none that is kept fits
    assert_int_equal(rig->pool.count, 0);                            // they made room
    give(rig, encoder);
    rig->loop.budget.limit = 1000;
    assert_null(encoder_pool_take(&rig->pool, CODING_GZIP, 5, -1));
    rig->loop.budget.limit = 0;
}

static void test_one_that_is_given_late(void **state)
{
    const struct message m = {CODING_ZSTD, 3, 0, -1};
    struct rig *rig = *state;
    struct encoder *encoder = take(rig, &m);

    give(rig, take(rig, &m));
    encoder_pool_close(&rig->pool);
    assert_int_equal(rig->pool.count, 0);
    give(rig, encoder); // freed at once: fini counts
    assert_int_equal(rig->pool.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes_are_those_of_a_new_one, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_one_that_was_left_in_the_middle, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_it_is_the_same_encoder, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_few_are_kept, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_idle_ones_are_freed, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_memory_that_is_short, make_rig, remove_rig),
        cmocka_unit_test_setup_teardown(test_one_that_is_given_late, make_rig, remove_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
