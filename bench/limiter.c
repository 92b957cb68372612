/* SPDX-License-Identifier: Apache-2.0
 *
 * limiter [THREADS]: what the rate limiter's table costs, as JSON. Nanoseconds of CPU time a take.
 * Without THREADS: `cold_ns` for one of a million keys, each depending on the answer before it so
 * that no two misses overlap, the key's hash included; `hot_ns` for a single key; `evicted_ppm` of
 * the million live keys were given up. With THREADS at once: `own_ns`, each with a key of its own,
 * and `shared_ns`, all with the same, with nothing done between; and the same two with about 2 us
 * of work between, less than a request takes.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "edge/limit/limiter.h"

enum { KEYS = 1000000, ROUNDS = 2000000, WORK = 400, THREADS_MAX = STAT_WORKERS_MAX };

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct limiter_key key_of(const struct limiter *limiter, uint64_t id)
{
    return limiter_hash(limiter, (struct str){(const char *)&id, sizeof(id)});
}

static struct limiter *open_table(void)
{
    struct limiter *limiter = limiter_open(-1);

    if (!limiter) {
        perror("limiter");
        exit(1);
    }
    return limiter;
}

/* A limit that never refuses here: each take writes. */
static struct limiter_ask wide_ask(void)
{
    struct limiter_ask ask = {.now_ns = 1000000000, .cost = 1};

    if (gcra_rate_init(&ask.rate, 1000000000, 1000, 1000000000))
        exit(1);
    return ask;
}

static void measure_cold(void)
{
    struct limiter *limiter = open_table();
    struct limiter_ask ask = {.now_ns = 1000000000, .cost = 1};
    uint64_t id = 0, seed = 1;
    double begun;

    if (gcra_rate_init(&ask.rate, 100, 60000, 100))
        exit(1);
    for (uint64_t i = 0; i < KEYS; i++) {
        ask.key = key_of(limiter, i);
        limiter_take(limiter, &ask, 0);
    }
    printf("\"evicted_ppm\": %llu, ", (unsigned long long)limiter_evicted(limiter));
    begun = cpu_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        ask.key = key_of(limiter, random_mix(id + seed++) % KEYS);
        id = limiter_take(limiter, &ask, 0).remaining & 1;
    }
    printf("\"cold_ns\": %.1f, ", (cpu_ns() - begun) / ROUNDS);
    limiter_close(&limiter);
}

struct job {
    pthread_t thread;
    pthread_barrier_t *start;
    struct limiter *limiter;
    unsigned worker, work;
    uint64_t key;
    double ns, seen;
};

static void *take_often(void *argument)
{
    struct job *job = argument;
    struct limiter_ask ask = wide_ask();
    uint64_t seed = job->worker;
    double begun;

    ask.key = key_of(job->limiter, job->key);
    pthread_barrier_wait(job->start);
    begun = cpu_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < job->work; n++)
            seed = random_mix(seed + 1);
        ask.now_ns += 1000;
        job->seen += limiter_take(job->limiter, &ask, job->worker).passes;
    }
    job->ns = (cpu_ns() - begun) / ROUNDS;
    job->seen += (double)(seed & 1); // so that the work is not dropped
    return NULL;
}

static double measure_threads(unsigned threads, bool is_shared, unsigned work)
{
    struct limiter *limiter = open_table();
    struct job jobs[THREADS_MAX];
    pthread_barrier_t start;
    double sum = 0;

    pthread_barrier_init(&start, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        jobs[i] = (struct job){.start = &start, .limiter = limiter, .worker = i, .work = work};
        jobs[i].key = is_shared ? 1 : i + 1;
        if (pthread_create(&jobs[i].thread, NULL, take_often, &jobs[i]))
            exit(1);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(jobs[i].thread, NULL);
        sum += jobs[i].ns;
    }
    pthread_barrier_destroy(&start);
    limiter_close(&limiter);
    return sum / threads;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0;

    if (threads > THREADS_MAX)
        return 2;
    printf("{");
    if (!threads) {
        measure_cold();
        printf("\"hot_ns\": %.1f", measure_threads(1, false, 0));
    } else {
        printf("\"own_ns\": %.1f, ", measure_threads(threads, false, 0));
        printf("\"shared_ns\": %.1f, ", measure_threads(threads, true, 0));
        printf("\"own_work_ns\": %.1f, ", measure_threads(threads, false, WORK));
        printf("\"shared_work_ns\": %.1f", measure_threads(threads, true, WORK));
    }
    printf("}\n");
    return 0;
}
