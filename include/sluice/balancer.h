/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a balancing algorithm: pure choice among the targets of a service. State belongs
 * to one worker, so nothing is locked; `target.load` are that worker's own counts. One thread.
 */
#ifndef SLUICE_BALANCER_H
#define SLUICE_BALANCER_H

#include "sluice/types.h"

enum { BALANCER_NONE = -1, BALANCER_TARGETS_MAX = 4096 };

/* What an algorithm may know of a target. Built with the snapshot; load is written by the exchange.
 */
struct balancer_target {
    uint64_t id_hash; /* of the target's id: stable over reloads and workers */
    uint32_t weight;  /* 1..1000 */
    uint32_t load;    /* requests of this worker in flight */
    bool is_out;      /* drained or down: never chosen */
};

struct balancer {
    const char *name; /* its word in `balance:` */
    /* Bytes of state for n targets; 0: none. Overflow cannot happen for n <= BALANCER_TARGETS_MAX.
     */
    size_t (*state_size)(uint32_t n);
    /* Fills `state` (state_size bytes, zeroed, aligned for any type) for these targets; `seed`
     * differs by worker. */
    void (*init)(void *state, const struct balancer_target *targets, uint32_t n, uint64_t seed);
    /* Index of the target for a request, or BALANCER_NONE. `key` is the request's hash key (only
     * `hash` uses it); `tried` has a bit for each index below 64 that this request must not get
     * again. */
    int (*pick)(void *state, const struct balancer_target *targets, uint32_t n, uint64_t key,
                uint64_t tried);
};

/* NULL when there is no such algorithm. */
const struct balancer *balancer_find(struct str name);
extern const struct balancer *const balancer_registry[]; /* NULL-terminated, the default first */

#endif
