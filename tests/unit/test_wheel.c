/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of wheel.c: a random model that knows each deadline, and what may happen inside fire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/wheel.h"

enum { TIMERS = 200, HORIZON_MS = WHEEL_TICK_MS * WHEEL_SLOTS };

struct timer {
    struct wheel_entry entry;
    uint64_t due_ms; /* according to the model; 0: not set */
    unsigned fired;
};

struct bench {
    struct wheel wheel;
    struct timer timers[TIMERS];
    uint64_t now_ms, before_ms; /* of this advance and the last */
    uint64_t seed;
    unsigned fired;
    bool acts_in_fire;
};

static uint64_t random_delay(struct bench *bench)
{
    static const uint32_t tops[] = {2, 50, 1000, HORIZON_MS + 100, 5 * HORIZON_MS};

    return random_below(&bench->seed, tops[random_below(&bench->seed, ARRAY_LEN(tops))]);
}

/* A random thing to a random timer. */
static void act(struct bench *bench)
{
    struct timer *timer = &bench->timers[random_below(&bench->seed, TIMERS)];
    uint64_t delay = random_delay(bench);

    switch (random_below(&bench->seed, 6)) {
    case 0:
        wheel_unset(&timer->entry);
        timer->due_ms = 0;
        break;
    case 1:
        wheel_remove(&bench->wheel, &timer->entry);
        assert_null(timer->entry.next);
        timer->due_ms = 0;
        break;
    default:
        wheel_set(&bench->wheel, &timer->entry, delay);
        timer->due_ms = bench->now_ms + delay;
    }
}

static void fire(void *owner, struct wheel_entry *entry)
{
    struct bench *bench = owner;
    struct timer *timer = CONTAINER_OF(entry, struct timer, entry);

    assert_true(timer->due_ms > 0);
    assert_true(timer->due_ms <= bench->now_ms);
    /* the advance before this one came before the two ticks were over */
    assert_true(timer->due_ms + 2 * WHEEL_TICK_MS > bench->before_ms);
    timer->due_ms = 0;
    timer->fired++;
    bench->fired++;
    for (unsigned i = 0; bench->acts_in_fire && i < 3; i++)
        act(bench);
}

static void advance(struct bench *bench, uint64_t by_ms)
{
    bench->before_ms = bench->now_ms;
    bench->now_ms += by_ms;
    wheel_advance(&bench->wheel, bench->now_ms, fire, bench);
}

static void assert_none_late(const struct bench *bench)
{
    for (unsigned i = 0; i < TIMERS; i++) {
        const struct timer *timer = &bench->timers[i];

        if (timer->due_ms)
            assert_true(bench->now_ms < timer->due_ms + 2 * WHEEL_TICK_MS);
    }
}

static struct bench *new_bench(uint64_t seed, uint64_t now_ms)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    bench->seed = seed;
    bench->now_ms = bench->before_ms = now_ms;
    wheel_init(&bench->wheel, now_ms);
    return bench;
}

static void free_bench(struct bench *bench)
{
    for (unsigned i = 0; i < TIMERS; i++)
        wheel_remove(&bench->wheel, &bench->timers[i].entry);
    assert_int_equal(bench->wheel.count, 0);
    free(bench);
}

static void random_round(uint64_t seed)
{
    static const uint32_t strides[] = {2, WHEEL_TICK_MS + 5, 300, 3 * HORIZON_MS};
    struct bench *bench = new_bench(seed, 1 + seed * 7919);

    for (unsigned i = 0; i < 400; i++) {
        uint32_t stride = strides[random_below(&bench->seed, i % 50 ? 3 : 4)];

        for (uint32_t k = random_below(&bench->seed, 20); k > 0; k--)
            act(bench);
        advance(bench, random_below(&bench->seed, stride));
        assert_none_late(bench);
    }
    assert_true(bench->fired > 100);
    free_bench(bench);
}

static void test_random_deadlines(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++)
        random_round(seed);
}

/* The model looks at now_ms of the advance as the time of what fire sets, so it advances tick by
 * tick. */
static void test_random_deadlines_set_inside_fire(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct bench *bench = new_bench(seed, 1000);

        bench->acts_in_fire = true;
        for (unsigned i = 0; i < TIMERS; i++)
            act(bench);
        for (unsigned i = 0; i < 4000; i++) {
            advance(bench, 1 + random_below(&bench->seed, WHEEL_TICK_MS));
            assert_none_late(bench);
            act(bench);
        }
        assert_true(bench->fired > 1000);
        free_bench(bench);
    }
}

/* Each start within a tick, each delay about a tick: the bounds themselves. */
static void test_bounds_at_each_millisecond(void **state)
{
    (void)state;
    for (uint64_t start = 2000; start < 2000 + WHEEL_TICK_MS; start++) {
        for (uint64_t delay = 0; delay < 3 * WHEEL_TICK_MS; delay++) {
            struct bench *bench = new_bench(1, start);
            struct timer *timer = &bench->timers[0];

            wheel_set(&bench->wheel, &timer->entry, delay);
            timer->due_ms = start + delay;
            while (!timer->fired) {
                assert_true(bench->now_ms < start + delay + 2 * WHEEL_TICK_MS);
                advance(bench, 1);
            }
            free_bench(bench);
        }
    }
}

/* A deadline that is pushed away stays in its slot until that comes up, and fires once. */
static void test_lazy_move(void **state)
{
    (void)state;
    struct bench *bench = new_bench(1, 1000);
    struct timer *timer = &bench->timers[0];
    uint64_t slot;

    wheel_set(&bench->wheel, &timer->entry, 100);
    slot = timer->entry.slot;
    for (unsigned i = 0; i < 50; i++) {
        wheel_set(&bench->wheel, &timer->entry, 100);
        timer->due_ms = bench->now_ms + 100;
        if (i < 3)
            assert_int_equal(timer->entry.slot, slot);
        advance(bench, 60);
    }
    assert_int_equal(timer->fired, 0);
    advance(bench, 100);
    assert_int_equal(timer->fired, 1);
    advance(bench, 2 * HORIZON_MS);
    assert_int_equal(timer->fired, 1);
    free_bench(bench);
}

static void test_deadline_that_comes_nearer(void **state)
{
    (void)state;
    struct bench *bench = new_bench(1, 1000);
    struct timer *timer = &bench->timers[0];

    wheel_set(&bench->wheel, &timer->entry, 3 * HORIZON_MS);
    wheel_set(&bench->wheel, &timer->entry, 100);
    timer->due_ms = 1100;
    assert_int_equal(bench->wheel.count, 1);
    advance(bench, 140);
    assert_int_equal(timer->fired, 1);
    free_bench(bench);
}

static void test_past_the_horizon(void **state)
{
    (void)state;
    struct bench *bench = new_bench(1, 1000);
    struct timer *timer = &bench->timers[0];

    wheel_set(&bench->wheel, &timer->entry, 10 * HORIZON_MS);
    timer->due_ms = 1000 + 10 * HORIZON_MS;
    wheel_set(&bench->wheel, &bench->timers[1].entry, UINT64_MAX);
    while (!timer->fired)
        advance(bench, WHEEL_TICK_MS);
    assert_none_late(bench);
    assert_int_equal(bench->timers[1].fired, 0);
    free_bench(bench);
}

static void test_unset_and_empty_wheel(void **state)
{
    (void)state;
    struct bench *bench = new_bench(1, 1000);
    struct timer *timer = &bench->timers[0];

    wheel_set(&bench->wheel, &timer->entry, 100);
    wheel_unset(&timer->entry);
    advance(bench, 1000);
    assert_int_equal(timer->fired, 0);
    assert_int_equal(bench->wheel.count, 0);
    assert_null(timer->entry.next);
    wheel_remove(&bench->wheel, &timer->entry);
    advance(bench, UINT64_C(1) << 50); /* nothing hangs: no walk over the years */
    wheel_set(&bench->wheel, &timer->entry, 100);
    timer->due_ms = bench->now_ms + 100;
    advance(bench, 140);
    assert_int_equal(timer->fired, 1);
    free_bench(bench);
}

struct knot {
    struct wheel wheel;
    struct wheel_entry entries[4];
    unsigned fired[4];
};

/* 0 removes 1, unsets 2, and sets itself anew; all were due in one slot. */
static void fire_knot(void *owner, struct wheel_entry *entry)
{
    struct knot *knot = owner;

    knot->fired[entry - knot->entries]++;
    if (entry != knot->entries)
        return;
    wheel_remove(&knot->wheel, &knot->entries[1]);
    wheel_unset(&knot->entries[2]);
    wheel_set(&knot->wheel, &knot->entries[0], 0);
    wheel_set(&knot->wheel, &knot->entries[3], 400);
}

static void test_fire_touches_its_slot(void **state)
{
    (void)state;
    struct knot *knot = calloc(1, sizeof(*knot));

    wheel_init(&knot->wheel, 1000);
    for (unsigned i = 0; i < 4; i++)
        wheel_set(&knot->wheel, &knot->entries[i], 100);
    wheel_advance(&knot->wheel, 1140, fire_knot, knot);
    assert_int_equal(knot->fired[0], 1);
    wheel_advance(&knot->wheel, 1140 + 2 * WHEEL_TICK_MS, fire_knot, knot);
    assert_int_equal(knot->fired[0], 2);
    assert_int_equal(knot->fired[1] + knot->fired[2] + knot->fired[3], 0);
    wheel_remove(&knot->wheel, &knot->entries[0]);
    wheel_advance(&knot->wheel, 1140 + 3 * WHEEL_TICK_MS + 440, fire_knot, knot);
    assert_int_equal(knot->fired[0], 2);
    assert_int_equal(knot->fired[3], 1);
    assert_int_equal(knot->wheel.count, 0);
    free(knot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_deadlines),
        cmocka_unit_test(test_random_deadlines_set_inside_fire),
        cmocka_unit_test(test_bounds_at_each_millisecond),
        cmocka_unit_test(test_lazy_move),
        cmocka_unit_test(test_deadline_that_comes_nearer),
        cmocka_unit_test(test_past_the_horizon),
        cmocka_unit_test(test_unset_and_empty_wheel),
        cmocka_unit_test(test_fire_touches_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
