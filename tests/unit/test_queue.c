/* SPDX-License-Identifier: Apache-2.0
 *
 * The fair queue: turns, leaving from anywhere, victims, and that one client with very many waiting
 * does not delay the rest.
 */
#include "edge/upstream/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { MANY = 1000 };

struct waiter {
    struct queue_entry entry;
    uint64_t key;
    unsigned number;
};

/* The lane a key falls into, seen from outside. */
static unsigned lane_of(uint64_t key)
{
    struct queue_entry entry = {0};
    struct queue queue;

    queue_init(&queue);
    queue_join(&queue, &entry, key);
    return entry.lane;
}

/* A key of this lane. */
static uint64_t key_of(unsigned lane)
{
    uint64_t key = 0;

    while (lane_of(key) != lane)
        key++;
    return key;
}

static void join(struct queue *queue, struct waiter *waiters, unsigned count, uint64_t key)
{
    for (unsigned i = 0; i < count; i++) {
        waiters[i] = (struct waiter){.key = key, .number = i};
        queue_join(queue, &waiters[i].entry, key);
    }
}

static struct waiter *serve(struct queue *queue)
{
    struct queue_entry *entry = queue_next(queue);

    assert_ptr_equal(queue_next(queue), entry); // a look changes nothing
    if (!entry)
        return NULL;
    queue_leave(queue, entry);
    assert_false(entry->is_in);
    return CONTAINER_OF(entry, struct waiter, entry);
}

/* All that hangs together in a queue. */
static void check(const struct queue *queue)
{
    uint32_t total = 0;

    for (unsigned i = 0; i < QUEUE_LANES; i++) {
        const struct queue_entry *last = NULL;
        uint32_t count = 0;

        for (const struct queue_entry *it = queue->lanes[i].first; it; it = it->next) {
            assert_true(it->is_in && it->lane == i);
            assert_ptr_equal(it->prev, last);
            last = it;
            count++;
        }
        assert_ptr_equal(queue->lanes[i].last, last);
        assert_int_equal(queue->lanes[i].count, count);
        assert_int_equal(queue->filled >> i & 1, count > 0);
        total += count;
    }
    assert_int_equal(queue->count, total);
}

static void empty(void **state)
{
    struct queue_entry outside = {0};
    struct queue queue;

    (void)state;
    queue_init(&queue);
    assert_null(queue_next(&queue));
    assert_null(queue_victim(&queue, 1));
    queue_leave(&queue, &outside);
    check(&queue);
}

static void oldest_first_in_a_lane(void **state)
{
    static struct waiter waiters[MANY];
    struct queue queue;

    (void)state;
    queue_init(&queue);
    join(&queue, waiters, MANY, 7);
    check(&queue);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(serve(&queue)->number, i);
    assert_null(serve(&queue));
    check(&queue);
}

static void lanes_take_turns(void **state)
{
    struct waiter waiters[QUEUE_LANES][3];
    struct queue queue;

    (void)state;
    queue_init(&queue);
    for (unsigned i = QUEUE_LANES; i-- > 0;)
        join(&queue, waiters[i], 3, key_of(i));
    check(&queue);
    for (unsigned i = 0; i < 3 * QUEUE_LANES; i++)
        assert_ptr_equal(serve(&queue), &waiters[i % QUEUE_LANES][i / QUEUE_LANES]);
    assert_null(serve(&queue));
}

/* Some lanes are empty: whichever they are, the rest go round, from any turn. */
static void empty_lanes_are_passed(void **state)
{
    struct waiter waiters[QUEUE_LANES][2];
    struct queue queue;
    uint64_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 500; round++) {
        uint32_t lanes = (uint32_t)random_next(&seed) & (uint32_t)random_next(&seed);
        uint32_t turn = round % QUEUE_LANES;

        queue_init(&queue);
        queue.turn = turn;
        for (unsigned i = 0; i < QUEUE_LANES; i++)
            if (lanes >> i & 1)
                join(&queue, waiters[i], 2, key_of(i));
        for (unsigned i = 0; i < 2 * QUEUE_LANES; i++) {
            unsigned lane = (turn + i) % QUEUE_LANES;

            if (lanes >> lane & 1)
                assert_ptr_equal(serve(&queue), &waiters[lane][i / QUEUE_LANES]);
        }
        assert_null(serve(&queue));
    }
}

static void crowd_delays_nobody(void **state)
{
    static struct waiter crowd[MANY];
    struct waiter one[1];
    struct queue queue;

    (void)state;
    for (unsigned lane = 0; lane < QUEUE_LANES; lane++) {
        unsigned before = 0;
        struct waiter *next;

        queue_init(&queue);
        join(&queue, crowd, MANY, key_of(lane));
        for (unsigned i = 0; i < 10; i++)
            serve(&queue);
        join(&queue, one, 1, key_of((lane + 13) % QUEUE_LANES));
        while ((next = serve(&queue)) != &one[0])
            before++;
        assert_true(before <= 1);
        assert_ptr_equal(next, &one[0]);
    }
}

/* A hundred clients beside one that has most of all that waits: those in other lanes are through
 * before the crowd has had more turns than the longest of those lanes has entries. */
static void shares_are_fair(void **state)
{
    static struct waiter crowd[MANY], others[100][2];
    uint64_t crowd_key = 12345;
    unsigned lane = lane_of(crowd_key), served = 0;
    struct queue queue;

    (void)state;
    queue_init(&queue);
    join(&queue, crowd, MANY, crowd_key);
    for (unsigned i = 0; i < 100; i++)
        join(&queue, others[i], 2, i);
    check(&queue);
    while (queue.count > queue.lanes[lane].count) {
        struct waiter *next = serve(&queue);

        served += next->key == crowd_key;
        assert_true(served <= 25); // the longest lane of 200 in 32
    }
    assert_true(queue.lanes[lane].count >= MANY - 25);
}

static void leaves_from_anywhere(void **state)
{
    static struct waiter waiters[200];
    struct queue queue;
    uint64_t seed = 3;

    (void)state;
    queue_init(&queue);
    for (unsigned step = 0; step < 20000; step++) {
        struct waiter *waiter = &waiters[random_below(&seed, ARRAY_LEN(waiters))];
        struct queue_entry *next = queue_next(&queue);
        uint32_t turn = queue.turn;

        if (!waiter->entry.is_in) {
            queue_join(&queue, &waiter->entry, random_below(&seed, 50));
            assert_ptr_equal(queue.lanes[waiter->entry.lane].last, &waiter->entry);
        } else {
            unsigned lane = waiter->entry.lane;

            queue_leave(&queue, &waiter->entry);
            queue_leave(&queue, &waiter->entry); // once more does nothing
            assert_int_equal(queue.turn, next == &waiter->entry ? (lane + 1) % QUEUE_LANES : turn);
        }
        if (step % 16 == 0)
            check(&queue);
    }
    while (serve(&queue))
        ;
    check(&queue);
}

static void victims(void **state)
{
    struct waiter longest[5], other[4], newcomer[1];
    uint64_t a = key_of(3), b = key_of(20), c = key_of(31);
    struct queue queue;

    (void)state;
    queue_init(&queue);
    join(&queue, newcomer, 1, a);
    assert_null(queue_victim(&queue, b)); // longer by one is as fair as it can be
    assert_null(queue_victim(&queue, a));
    join(&queue, longest, 5, b);
    join(&queue, other, 4, c);
    assert_ptr_equal(queue_victim(&queue, a), &longest[4].entry);
    assert_ptr_equal(queue_victim(&queue, key_of(0)), &longest[4].entry);
    assert_null(queue_victim(&queue, b));
    assert_null(queue_victim(&queue, c));
    queue_leave(&queue, &longest[4].entry);
    queue_leave(&queue, &longest[3].entry);
    assert_ptr_equal(queue_victim(&queue, a), &other[3].entry);
    assert_null(queue_victim(&queue, b)); // 4 and 3
    queue_leave(&queue, &longest[0].entry);
    assert_ptr_equal(queue_victim(&queue, b), &other[3].entry);
    check(&queue);
}

static void victims_of_every_lane(void **state)
{
    struct waiter long_ones[4], short_ones[2];

    (void)state;
    for (unsigned i = 0; i < QUEUE_LANES; i++) {
        unsigned other = (i + 5) % QUEUE_LANES;
        struct queue queue;

        queue_init(&queue);
        join(&queue, long_ones, 4, key_of(i));
        join(&queue, short_ones, 2, key_of(other));
        assert_ptr_equal(queue_victim(&queue, key_of(other)), &long_ones[3].entry);
        assert_null(queue_victim(&queue, key_of(i)));
    }
}

/* A full queue that takes newcomers in exchange for victims ends with lanes of about equal length.
 */
static void victims_level_the_lanes(void **state)
{
    static struct waiter crowd[320], others[QUEUE_LANES][20];
    struct queue queue;

    (void)state;
    queue_init(&queue);
    join(&queue, crowd, ARRAY_LEN(crowd), key_of(9));
    for (unsigned i = 0; i < QUEUE_LANES * 20; i++) {
        uint64_t key = key_of(i % QUEUE_LANES);
        struct queue_entry *victim = queue_victim(&queue, key);

        if (!victim)
            continue;
        queue_leave(&queue, victim);
        join(&queue, &others[i % QUEUE_LANES][i / QUEUE_LANES], 1, key);
    }
    assert_int_equal(queue.count, ARRAY_LEN(crowd));
    for (unsigned i = 0; i < QUEUE_LANES; i++)
        assert_in_range(queue.lanes[i].count, 9, 11);
    check(&queue);
}

static void keys_spread_over_lanes(void **state)
{
    unsigned counts[QUEUE_LANES] = {0};
    double sum = 0;

    (void)state;
    for (uint64_t key = 0; key < 32000; key++)
        counts[lane_of(key)]++;
    for (unsigned i = 0; i < QUEUE_LANES; i++)
        sum += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000;
    assert_true(sum < 61.1); // 31 degrees of freedom, one in a thousand; keys are fixed
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(oldest_first_in_a_lane),
        cmocka_unit_test(lanes_take_turns),
        cmocka_unit_test(empty_lanes_are_passed),
        cmocka_unit_test(crowd_delays_nobody),
        cmocka_unit_test(shares_are_fair),
        cmocka_unit_test(leaves_from_anywhere),
        cmocka_unit_test(victims),
        cmocka_unit_test(victims_of_every_lane),
        cmocka_unit_test(victims_level_the_lanes),
        cmocka_unit_test(keys_spread_over_lanes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
