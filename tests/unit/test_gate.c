/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of gate.c with endpoint.c's cap: whose turn it is, and that no thread waits while a place
 * is free.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "edge/upstream/endpoint.h"

enum { WORKERS = 3, ROUNDS = 5000, PATIENCE_S = 10 };

struct log {
    unsigned workers[8], count;
};

static void note_wake(void *owner, unsigned worker)
{
    struct log *log = owner;

    assert_true(log->count < ARRAY_LEN(log->workers));
    log->workers[log->count++] = worker;
}

static void test_workers_are_woken_in_turn(void **state)
{
    (void)state;
    static const unsigned waiting[] = {63, 5, 0, 17}, order[] = {5, 17, 63, 0};
    struct log log = {.count = 0};
    struct gate *gate = gate_new(GATE_WORKERS_MAX, note_wake, &log);

    gate_release(gate);
    assert_int_equal(log.count, 0);
    for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
        gate_wait(gate, waiting[i]);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        gate_release(gate);
        assert_int_equal(log.count, i + 1);
        assert_int_equal(log.workers[i], order[i]);
    }
    gate_release(gate);
    assert_int_equal(log.count, ARRAY_LEN(order));
    gate_free(&gate);
    assert_null(gate);
}

static void test_one_worker_that_waits_often(void **state)
{
    (void)state;
    struct log log = {.count = 0};
    struct gate *gate = gate_new(GATE_WORKERS_MAX, note_wake, &log);

    gate_wait(gate, 1);
    gate_wait(gate, 1);
    gate_release(gate);
    gate_release(gate);
    assert_int_equal(log.count, 1);
    gate_wait(gate, 1);
    gate_release(gate);
    assert_int_equal(log.count, 2);
    gate_free(&gate);
    assert_null(gate);
}

static void test_who_left_is_not_woken(void **state)
{
    (void)state;
    struct log log = {.count = 0};
    struct gate *gate = gate_new(GATE_WORKERS_MAX, note_wake, &log);

    gate_wait(gate, 1);
    gate_wait(gate, 2);
    gate_leave(gate, 1);
    assert_int_equal(log.count, 0);
    gate_release(gate);
    assert_int_equal(log.workers[0], 2);
    gate_free(&gate);
    assert_null(gate);
}

static void test_unused_wake_goes_to_another(void **state)
{
    (void)state;
    struct log log = {.count = 0};
    struct gate *gate = gate_new(GATE_WORKERS_MAX, note_wake, &log);

    gate_wait(gate, 1);
    gate_wait(gate, 2);
    gate_release(gate);
    assert_int_equal(log.workers[0], 1);
    gate_leave(gate, 1);
    assert_int_equal(log.count, 2);
    assert_int_equal(log.workers[1], 2);
    gate_leave(gate, 2);
    assert_int_equal(log.count, 2);
    gate_free(&gate);
    assert_null(gate);
}

static void test_cap(void **state)
{
    (void)state;
    struct endpoint *endpoint = endpoint_new(STR("s"), STR("i"), STR("a"), 1);

    for (unsigned i = 0; i < 100; i++)
        assert_true(gate_take(&endpoint->cap, &endpoint->in_use));
    __atomic_store_n(&endpoint->cap, 100, __ATOMIC_RELAXED);
    assert_false(gate_take(&endpoint->cap, &endpoint->in_use));
    gate_give(&endpoint->in_use);
    assert_true(gate_take(&endpoint->cap, &endpoint->in_use));
    __atomic_store_n(&endpoint->cap, 1, __ATOMIC_RELAXED); /* lowered while more are in use */
    for (unsigned i = 0; i < 100; i++) {
        assert_false(gate_take(&endpoint->cap, &endpoint->in_use));
        gate_give(&endpoint->in_use);
    }
    assert_true(gate_take(&endpoint->cap, &endpoint->in_use));
    endpoint_unref(&endpoint);
    assert_null(endpoint);
}

/* --- threads */

struct crowd {
    struct gate *gate;
    struct endpoint *endpoint;
    sem_t woken[WORKERS];
    pthread_barrier_t round;
    unsigned inside, served; /* guarded by the cap of 1 */
    bool is_lost;            /* atomic: one waited in vain */
};

struct worker {
    pthread_t thread;
    struct crowd *crowd;
    unsigned index, served, gave_up;
    uint64_t seed;
};

static void wake(void *owner, unsigned worker)
{
    sem_post(&((struct crowd *)owner)->woken[worker]);
}

static bool await_wake(struct worker *worker)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (!sem_timedwait(&worker->crowd->woken[worker->index], &until))
        return true;
    __atomic_store_n(&worker->crowd->is_lost, true, __ATOMIC_RELAXED);
    return false;
}

static bool acquire_or_wait(struct worker *worker)
{
    struct crowd *crowd = worker->crowd;

    if (gate_take(&crowd->endpoint->cap, &crowd->endpoint->in_use))
        return true;
    gate_wait(crowd->gate, worker->index);
    return gate_take(&crowd->endpoint->cap, &crowd->endpoint->in_use);
}

/* As one whose time in the queue is over, perhaps just when it is woken. */
static bool gives_up(struct worker *worker)
{
    if (random_below(&worker->seed, 3))
        return false;
    sched_yield();
    return true;
}

/* As a worker with one request. */
static bool take_place(struct worker *worker)
{
    bool has_place;

    while (!(has_place = acquire_or_wait(worker)))
        if (gives_up(worker) || !await_wake(worker))
            break;
    gate_leave(worker->crowd->gate, worker->index);
    return has_place;
}

static void use_place(struct worker *worker)
{
    struct crowd *crowd = worker->crowd;

    worker->served++;
    crowd->served++;
    if (++crowd->inside != 1)
        abort();
    sched_yield();
    crowd->inside--;
    gate_give(&crowd->endpoint->in_use);
    gate_release(crowd->gate);
}

/* One request of each worker a round, so that no later one makes up for a wake that was lost. */
static void *run(void *argument)
{
    struct worker *worker = argument;
    struct crowd *crowd = worker->crowd;

    for (unsigned i = 0; i < ROUNDS; i++) {
        if (__atomic_load_n(&crowd->is_lost, __ATOMIC_RELAXED))
            worker->gave_up++;
        else if (take_place(worker))
            use_place(worker);
        else
            worker->gave_up++;
        pthread_barrier_wait(&crowd->round);
    }
    return NULL;
}

static void run_crowd(unsigned count)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    struct worker workers[WORKERS] = {0};
    unsigned served = 0;

    crowd->endpoint = endpoint_new(STR("s"), STR("i"), STR("a"), WORKERS);
    crowd->endpoint->cap = 1;
    crowd->gate = gate_new(WORKERS, wake, crowd);
    assert_non_null(crowd->gate);
    pthread_barrier_init(&crowd->round, NULL, count);
    for (unsigned i = 0; i < count; i++)
        sem_init(&crowd->woken[i], 0, 0);
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){.crowd = crowd, .index = i, .seed = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].served + workers[i].gave_up, ROUNDS);
        served += workers[i].served;
    }
    assert_false(crowd->is_lost);
    assert_int_equal(crowd->served, served);
    assert_int_equal(crowd->endpoint->in_use, 0);
    assert_int_equal(crowd->gate->waiting, 0);
    gate_free(&crowd->gate);
    for (unsigned i = 0; i < count; i++)
        sem_destroy(&crowd->woken[i]);
    pthread_barrier_destroy(&crowd->round);
    endpoint_unref(&crowd->endpoint);
    free(crowd);
}

static void test_two_threads_lose_no_wake(void **state)
{
    (void)state;
    run_crowd(2);
}

static void test_three_threads_lose_no_wake(void **state)
{
    (void)state;
    run_crowd(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_are_woken_in_turn),
        cmocka_unit_test(test_one_worker_that_waits_often),
        cmocka_unit_test(test_who_left_is_not_woken),
        cmocka_unit_test(test_unused_wake_goes_to_another),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_two_threads_lose_no_wake),
        cmocka_unit_test(test_three_threads_lose_no_wake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
