/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of buckets: what it lets through alone and with all threads on it, how many keys it
 * holds, what it forgets, and that another process finds what was there.
 */
#include "edge/limit/limiter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"

#define SECOND_NS UINT64_C(1000000000)
enum { THREADS = 4 };

static struct limiter_ask make_ask(const struct limiter *limiter, uint64_t id, uint64_t burst)
{
    struct limiter_ask ask = {.now_ns = 1000 * SECOND_NS, .cost = 1};

    ask.key = limiter_hash(limiter, (struct str){(const char *)&id, sizeof(id)});
    assert_int_equal(gcra_rate_init(&ask.rate, burst, 60000, burst), OK);
    return ask;
}

static void lets_the_burst_through(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask ask = make_ask(limiter, 1, 100), other = make_ask(limiter, 2, 100);

    (void)state;
    for (unsigned i = 0; i < 105; i++) {
        struct gcra_answer answer = limiter_take(limiter, &ask, 0);

        assert_int_equal(answer.passes, i < 100);
        assert_int_equal(answer.remaining, i < 100 ? 99 - i : 0);
    }
    assert_true(limiter_take(limiter, &other, 0).passes);
    ask.now_ns += 600 * 1000000; // one token is there again
    assert_true(limiter_take(limiter, &ask, 0).passes);
    assert_false(limiter_take(limiter, &ask, 0).passes);
    ask.now_ns += 60 * SECOND_NS;
    assert_int_equal(limiter_peek(limiter, &ask).remaining, 99);
    limiter_close(&limiter);
    assert_null(limiter);
}

static void same_keys_elsewhere_differ(void **state)
{
    struct limiter *a = limiter_open(-1), *b = limiter_open(-1);

    (void)state;
    assert_true(limiter_hash(a, STR("x")).print == limiter_hash(a, STR("x")).print);
    assert_true(limiter_hash(a, STR("x")).print != limiter_hash(a, STR("y")).print);
    assert_true(limiter_hash(a, STR("x")).print != limiter_hash(b, STR("x")).print);
    limiter_close(&a);
    limiter_close(&b);
}

static void costs_and_refunds(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask ask = make_ask(limiter, 1, 10);

    (void)state;
    ask.cost = 0;
    assert_int_equal(limiter_take(limiter, &ask, 0).remaining, 10);
    ask.cost = 11;
    assert_false(limiter_take(limiter, &ask, 0).passes);
    ask.cost = 7;
    assert_int_equal(limiter_take(limiter, &ask, 0).remaining, 3);
    assert_false(limiter_take(limiter, &ask, 0).passes);
    assert_int_equal(limiter_peek(limiter, &ask).remaining, 3);
    limiter_refund(limiter, &ask);
    assert_int_equal(limiter_take(limiter, &ask, 0).remaining, 3);
    for (unsigned i = 0; i < 5; i++)
        limiter_refund(limiter, &ask);
    ask.cost = 0;
    assert_int_equal(limiter_peek(limiter, &ask).remaining, 10); // full, and no fuller
    ask = make_ask(limiter, 2, 10);
    limiter_refund(limiter, &ask); // of a key that is not there
    assert_int_equal(limiter_peek(limiter, &ask).remaining, 9);
    limiter_close(&limiter);
}

/* When one of several refuses, the others keep their tokens. */
static void all_or_none(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask asks[2] = {make_ask(limiter, 1, 100), make_ask(limiter, 2, 10)};
    struct gcra_answer answers[2];

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_true(limiter_take_all(limiter, asks, 2, answers, 0));
    assert_int_equal(answers[0].remaining, 90);
    assert_int_equal(answers[1].remaining, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_false(limiter_take_all(limiter, asks, 2, answers, 0));
    assert_true(answers[0].passes);
    assert_int_equal(answers[0].remaining, 90);
    assert_false(answers[1].passes);
    assert_int_equal(answers[1].retry_ns, 6 * SECOND_NS);
    assert_int_equal(limiter_take(limiter, &asks[0], 0).remaining, 89);
    limiter_close(&limiter);
}

/* The same bucket twice: the second look is wrong about the first take, which goes back. */
static void taken_ones_go_back(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask asks[2] = {make_ask(limiter, 1, 10), make_ask(limiter, 1, 10)};
    struct gcra_answer answers[2];

    (void)state;
    asks[0].cost = asks[1].cost = 6;
    assert_false(limiter_take_all(limiter, asks, 2, answers, 0));
    assert_int_equal(answers[0].remaining, 10);
    assert_false(answers[1].passes);
    asks[0].cost = 0;
    assert_int_equal(limiter_peek(limiter, &asks[0]).remaining, 10);
    limiter_close(&limiter);
}

static void another_process_finds_it(void **state)
{
    int fd = memfd_create("limiter", MFD_CLOEXEC);
    struct limiter *first, *second;
    struct limiter_ask ask;

    (void)state;
    assert_int_equal(ftruncate(fd, LIMITER_SIZE), 0);
    first = limiter_open(dup(fd));
    ask = make_ask(first, 1, 100);
    for (unsigned i = 0; i < 60; i++)
        assert_true(limiter_take(first, &ask, 0).passes);
    second = limiter_open(dup(fd));
    ask = make_ask(second, 1, 100);
    assert_int_equal(limiter_take(second, &ask, 0).remaining, 39);
    limiter_close(&first);
    assert_int_equal(limiter_take(second, &ask, 0).remaining, 38);
    limiter_close(&second);
    second = limiter_open(fd);
    assert_int_equal(limiter_take(second, &ask, 0).remaining, 37);
    limiter_close(&second);
}

static void no_memory_to_map(void **state)
{
    int fd = memfd_create("limiter", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    (void)state;
    assert_null(limiter_open(1 << 20)); // no descriptor
    close(fd);
}

/* A million keys that all carry something: at most a thousandth is given up. */
static void holds_a_million(void **state)
{
    enum { KEYS = 1000000 };
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask ask = make_ask(limiter, 0, 100);
    uint64_t spent = 0;

    (void)state;
    for (uint64_t i = 0; i < KEYS; i++) {
        ask.key = limiter_hash(limiter, (struct str){(const char *)&i, sizeof(i)});
        assert_true(limiter_take(limiter, &ask, 0).passes);
    }
    assert_true(limiter_evicted(limiter) <= KEYS / 1000);
    ask.cost = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        ask.key = limiter_hash(limiter, (struct str){(const char *)&i, sizeof(i)});
        spent += 100 - limiter_peek(limiter, &ask).remaining;
    }
    assert_int_equal(spent + limiter_evicted(limiter), KEYS);

    // a minute later all have passed: as many others find room and nothing is given up
    spent = limiter_evicted(limiter);
    ask.now_ns += 60 * SECOND_NS;
    ask.cost = 1;
    for (uint64_t i = KEYS; i < KEYS + KEYS / 2; i++) {
        ask.key = limiter_hash(limiter, (struct str){(const char *)&i, sizeof(i)});
        assert_true(limiter_take(limiter, &ask, 0).passes);
    }
    assert_true(limiter_evicted(limiter) - spent <= 5);
    limiter_close(&limiter);
}

/* Far too many: every new one still has its full bucket, and what is given up is counted. */
static void gives_up_what_is_nearest_to_full(void **state)
{
    enum { KEYS = 3000000 };
    struct limiter *limiter = limiter_open(-1);
    struct limiter_ask heavy = make_ask(limiter, UINT64_MAX, 100), ask = make_ask(limiter, 0, 100);

    (void)state;
    heavy.cost = 90;
    assert_true(limiter_take(limiter, &heavy, 0).passes);
    for (uint64_t i = 0; i < KEYS; i++) {
        ask.key = limiter_hash(limiter, (struct str){(const char *)&i, sizeof(i)});
        assert_int_equal(limiter_take(limiter, &ask, 1).remaining, 99);
    }
    assert_true(limiter_evicted(limiter) > KEYS / 3);
    heavy.cost = 0;
    assert_int_equal(limiter_peek(limiter, &heavy).remaining, 10);
    limiter_close(&limiter);
}

/* --- threads */

struct job {
    pthread_t thread;
    struct limiter *limiter;
    unsigned worker, keys, rounds;
    uint64_t passed;
};

static void *ask_often(void *argument)
{
    struct job *job = argument;
    uint64_t seed = job->worker;

    for (unsigned i = 0; i < job->rounds; i++) {
        struct limiter_ask ask =
            make_ask(job->limiter, random_below(&seed, job->keys), 100); // at one moment

        job->passed += limiter_take(job->limiter, &ask, job->worker).passes;
    }
    return NULL;
}

static uint64_t run_threads(struct limiter *limiter, unsigned keys, unsigned rounds)
{
    struct job jobs[THREADS];
    uint64_t passed = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.limiter = limiter, .worker = i, .keys = keys, .rounds = rounds};
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, ask_often, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        passed += jobs[i].passed;
    }
    return passed;
}

/* Every thread takes from one bucket: not one token more than there are, but for a claim's race. */
static void one_key_for_all(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct limiter *limiter = limiter_open(-1);
        uint64_t passed = run_threads(limiter, 1, 2000);

        assert_true(passed >= 100 && passed < 100 + THREADS);
        limiter_close(&limiter);
    }
}

/* Many keys, each for all threads: the table stays right while slots are claimed on all sides. */
static void many_keys_for_all(void **state)
{
    enum { KEYS = 300 };
    struct limiter *limiter = limiter_open(-1);
    uint64_t passed = run_threads(limiter, KEYS, 50000);

    (void)state;
    assert_true(passed >= 100 * KEYS && passed < 100 * KEYS + THREADS * KEYS);
    assert_int_equal(limiter_evicted(limiter), 0);
    limiter_close(&limiter);
}

static void *take_and_refund(void *argument)
{
    struct job *job = argument;

    for (unsigned i = 0; i < job->rounds; i++) {
        struct limiter_ask ask = make_ask(job->limiter, 1, 100);

        ask.cost = 3;
        if (limiter_take(job->limiter, &ask, job->worker).passes)
            limiter_refund(job->limiter, &ask);
    }
    return NULL;
}

static void refunds_meet_takes(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    struct job jobs[THREADS];
    struct limiter_ask ask = make_ask(limiter, 1, 100);

    (void)state;
    assert_int_equal(limiter_take(limiter, &ask, 0).remaining, 99);
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.limiter = limiter, .worker = i, .rounds = 20000};
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, take_and_refund, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(jobs[i].thread, NULL);
    assert_int_equal(limiter_take(limiter, &ask, 0).remaining, 98);
    limiter_close(&limiter);
}

/* More keys than there is room for, from all sides: nothing hangs, and each take is answered. */
static void crowded_from_all_sides(void **state)
{
    struct limiter *limiter = limiter_open(-1);
    uint64_t passed = run_threads(limiter, 4000000, 500000);

    (void)state;
    assert_int_equal(passed, THREADS * 500000); // no key comes 100 times
    limiter_close(&limiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_the_burst_through),
        cmocka_unit_test(same_keys_elsewhere_differ),
        cmocka_unit_test(costs_and_refunds),
        cmocka_unit_test(all_or_none),
        cmocka_unit_test(taken_ones_go_back),
        cmocka_unit_test(another_process_finds_it),
        cmocka_unit_test(no_memory_to_map),
        cmocka_unit_test(holds_a_million),
        cmocka_unit_test(gives_up_what_is_nearest_to_full),
        cmocka_unit_test(one_key_for_all),
        cmocka_unit_test(many_keys_for_all),
        cmocka_unit_test(refunds_meet_takes),
        cmocka_unit_test(crowded_from_all_sides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
