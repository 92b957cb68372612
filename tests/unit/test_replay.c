/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of signatures: each is new once, also for many threads at the same time, until its
 * time is over; none is forgotten before; and what is full says so.
 */
#include "edge/auth/replay.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 8000 };

#define NOW UINT64_C(1800000000000)
#define LATER (NOW + 300000)
#define PLACE (UINT64_C(1) << 63 | 5) /* two lines */

/* A number mixed up, as a hash is (splitmix64). */
static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
    n = (n ^ n >> 27) * 0x94d049bb133111ebu;
    return n ^ n >> 31;
}

static struct limiter_key key_of(uint64_t n)
{
    return (struct limiter_key){mix(2 * n + 1), mix(2 * n + 2)};
}

static void test_once(void **unused)
{
    struct replay *replay = replay_open(-1);

    (void)unused;
    assert_non_null(replay);
    assert_int_equal(replay_note(replay, key_of(1), NOW, LATER), REPLAY_NEW);
    assert_int_equal(replay_note(replay, key_of(1), NOW, LATER), REPLAY_SEEN);
    assert_int_equal(replay_note(replay, key_of(1), LATER, LATER + 1000), REPLAY_SEEN);
    assert_int_equal(replay_note(replay, key_of(2), NOW, LATER), REPLAY_NEW);
    // It is remembered up to two minutes longer, and no more.
    assert_int_equal(replay_note(replay, key_of(1), LATER + 59999, LATER + 400000), REPLAY_SEEN);
    assert_int_equal(replay_note(replay, key_of(1), LATER + 120000, LATER + 400000), REPLAY_NEW);
    replay_close(&replay);
    assert_null(replay);
    replay_close(&replay);
}

static void test_none_is_forgotten(void **unused)
{
    enum { MANY = 2500000 }; /* six tenths of the room */
    struct replay *replay = replay_open(-1);
    unsigned full = 0;

    (void)unused;
    assert_non_null(replay);
    for (unsigned i = 0; i < MANY; i++)
        full += replay_note(replay, key_of(i), NOW, LATER) == REPLAY_FULL;
    assert_int_equal(full, 0);
    for (unsigned i = 0; i < MANY; i++)
        if (replay_note(replay, key_of(i), NOW, LATER) != REPLAY_SEEN)
            fail_msg("%u was forgotten", i);
    // Their time over, the room is there again.
    for (unsigned i = 0; i < MANY; i++)
        full += replay_note(replay, key_of(MANY + i), LATER + 180000, LATER + 400000) != REPLAY_NEW;
    assert_int_equal(full, 0);
    replay_close(&replay);
}

static void test_full(void **unused)
{
    struct replay *replay = replay_open(-1);

    (void)unused;
    assert_non_null(replay);
    // All in the same two lines.
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(replay_note(replay, (struct limiter_key){mix(i), PLACE}, NOW, LATER),
                         REPLAY_NEW);
    assert_int_equal(replay_note(replay, (struct limiter_key){mix(99), PLACE}, NOW, LATER),
                     REPLAY_FULL);
    for (uint64_t i = 0; i < 16; i++)
        assert_int_equal(replay_note(replay, (struct limiter_key){mix(i), PLACE}, NOW, LATER),
                         REPLAY_SEEN);
    assert_int_equal(replay_note(replay, (struct limiter_key){mix(99), PLACE}, LATER + 120000,
                                 LATER + 130000),
                     REPLAY_NEW);
    replay_close(&replay);
}

/* --- the same signature in many hands */

struct hand {
    pthread_t thread;
    struct replay *replay;
    unsigned number;
    pthread_barrier_t *barrier;
    uint8_t *is_new; /* one for each round */
};

static void *note_all(void *owner)
{
    struct hand *hand = owner;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t skew = hand->number * 40000 + (i % 7) * 10000; // each has its own idea of now
        uint64_t now = NOW + i / 2 * 40000;

        if (i % 2 == 0)
            pthread_barrier_wait(hand->barrier);
        // Two lines and short lives, so that slots come free for one while others do not yet see
        // it.
        hand->is_new[i] = replay_note(hand->replay, (struct limiter_key){mix(i / 2), PLACE},
                                      now + skew, now + 200000) == REPLAY_NEW;
    }
    return NULL;
}

static void test_at_most_one_is_new(void **unused)
{
    struct replay *replay = replay_open(-1);
    pthread_barrier_t barrier;
    struct hand hands[THREADS];
    unsigned sum = 0;

    (void)unused;
    assert_non_null(replay);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (unsigned t = 0; t < THREADS; t++) {
        hands[t] = (struct hand){.replay = replay, .number = t, .barrier = &barrier};
        hands[t].is_new = calloc(ROUNDS, 1);
        assert_non_null(hands[t].is_new);
        assert_int_equal(pthread_create(&hands[t].thread, NULL, note_all, &hands[t]), 0);
    }
    for (unsigned t = 0; t < THREADS; t++)
        pthread_join(hands[t].thread, NULL);
    for (unsigned i = 0; i < ROUNDS; i += 2) { // two rounds have the same signature
        unsigned count = 0;

        for (unsigned t = 0; t < THREADS; t++)
            count += hands[t].is_new[i] + hands[t].is_new[i + 1];
        assert_in_range(count, 0, 1);
        sum += count;
    }
    assert_in_range(sum, ROUNDS / 4, ROUNDS / 2); // at least half of them
    for (unsigned t = 0; t < THREADS; t++)
        free(hands[t].is_new);
    pthread_barrier_destroy(&barrier);
    replay_close(&replay);
}

static void test_two_processes_have_the_same_memory(void **unused)
{
    int fd = memfd_create("replay", MFD_CLOEXEC), again;
    struct replay *one, *other;

    (void)unused;
    assert_true(fd >= 0 && !ftruncate(fd, REPLAY_SIZE));
    again = dup(fd);
    one = replay_open(fd);
    other = replay_open(again);
    assert_true(one && other);
    assert_int_equal(replay_note(one, key_of(7), NOW, LATER), REPLAY_NEW);
    assert_int_equal(replay_note(other, key_of(7), NOW, LATER), REPLAY_SEEN);
    replay_close(&one);
    replay_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_none_is_forgotten),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_at_most_one_is_new),
        cmocka_unit_test(test_two_processes_have_the_same_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
