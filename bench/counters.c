/* SPDX-License-Identifier: Apache-2.0
 *
 * counters: what one request pays for being counted, as JSON: `count_ns`, nanoseconds of CPU time
 * for all the counters that one with an answer of its target changes, over 64 routes and targets in
 * turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/random.h"
#include "edge/metric/stat.h"

enum { ROUNDS = 5000000, SLOTS = 64 };

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* As exchange_*.c do. */
static void count(struct stats *stats, uint32_t route_slot, uint32_t target_slot, uint64_t us)
{
    struct stat_route *route = stats_route(stats, 0, route_slot);
    struct stat_target *target = stats_target(stats, 0, target_slot);

    stat_gauge(&route->in_flight, 1);
    stat_gauge(&target->in_flight, 1);
    stat_add(&target->reused, 1);
    stat_gauge(&target->in_flight, -1);
    stat_gauge(&route->in_flight, -1);
    stat_add(&route->codes[stat_code_index(200)], 1);
    stat_add(&route->bytes_in, us);
    stat_add(&route->bytes_out, us);
    stat_observe(&route->duration, us);
    stat_add(&target->codes[stat_code_index(200)], 1);
    stat_observe(&target->duration, us);
}

int main(void)
{
    struct stats *stats = stats_new(1);
    uint32_t routes[SLOTS], targets[SLOTS];
    uint64_t random = 1;
    double begun;

    if (!stats)
        return 1;
    for (unsigned i = 0; i < SLOTS; i++) {
        char name[16];
        struct str text = {name, (size_t)snprintf(name, sizeof(name), "n%u", i)};

        routes[i] = stats_route_slot(stats, text);
        targets[i] = stats_target_slot(stats, STR("s"), STR(""), text);
        count(stats, routes[i], targets[i], 1);
    }
    begun = cpu_ns();
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t drawn = random_next(&random);

        count(stats, routes[drawn % SLOTS], targets[drawn / SLOTS % SLOTS], drawn >> 50);
    }
    printf("{\"count_ns\": %.1f}\n", (cpu_ns() - begun) / ROUNDS);
    stats_free(&stats);
    return 0;
}
