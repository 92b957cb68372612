/* SPDX-License-Identifier: Apache-2.0
 *
 * How much is asked of one service, across snapshots: each worker's counts, and, while nothing of
 * the service runs, the requests that wait for it to be woken, by number, bytes and client. Workers
 * write, the manager reads and tells control. Any thread, no lock.
 */
#ifndef EDGE_UPSTREAM_DEMAND_H
#define EDGE_UPSTREAM_DEMAND_H

#include "sluice/types.h"

struct crowd;

/* What became of a request that found the service asleep. */
enum demand_result {
    DEMAND_SERVED,      /* it got a target in the end */
    DEMAND_PAGE,        /* a browser got the page */
    DEMAND_REFUSED,     /* it may not wake anything */
    DEMAND_FULL,        /* too many wait, or too many of its client, or too many bytes */
    DEMAND_TIMEOUT,     /* it waited as long as it may */
    DEMAND_FAILED,      /* units fail to start */
    DEMAND_UNAVAILABLE, /* control is not there to start any */
    DEMAND_DROPPED,     /* its client went, or the edge ends */
    DEMAND_RESULTS
};

/* One worker's own counts. */
struct demand_local {
    uint64_t arrivals;  /* requests that asked for a target */
    uint64_t in_flight; /* at targets, also at those that are no longer known */
    uint64_t results[DEMAND_RESULTS];
    uint64_t answers, errors, late; /* to clients: all, those that are 5xx, of the others those
                                       later than the service's objective; where it has one */
    /* the worker's alone: those that leave once a unit is up */
    uint64_t wave_us;        /* when the first of them did */
    uint32_t left, answered; /* since then; of these the heads of answers that came */
} __attribute__((aligned(64)));

/* What may wait. */
struct demand_bounds {
    uint32_t requests, per_client;
    uint64_t bytes;
};

struct demand {
    uint32_t held;       /* atomic: requests that wait for the service to wake */
    uint32_t calls;      /* atomic: how often one began to while none did, or asked by a page */
    uint64_t held_bytes; /* atomic: of their bodies */
    uint64_t asked_ms;   /* atomic, wall clock: the first that asked since it sleeps; 0: none */
    bool is_unheard;     /* atomic: no control asks who waits */
    uint32_t told;       /* the manager's: `calls` that control could know of */
    uint8_t state;       /* the manager's: of the service, as it was published last */
    struct crowd *crowd; /* the builder's until a worker has a snapshot with it; NULL: none may wait
                          */
    unsigned workers;
    struct demand_local locals[]; /* one a worker */
};

/* NULL: memory. */
struct demand *demand_new(unsigned workers);
/* Clears the pointer; NULL is fine. */
void demand_free(struct demand **demand);
/* Makes room to count those that wait, if there is none. False: memory. */
bool demand_open(struct demand *demand);

/* --- worker */

/* A request asks for a target. */
static inline void demand_arrive(struct demand *demand, unsigned worker)
{
    uint64_t *cell = &demand->locals[worker].arrivals;

    __atomic_store_n(cell, *cell + 1, __ATOMIC_RELAXED);
}

/* A request is at a target, or no longer. */
static inline void demand_fly(struct demand *demand, unsigned worker, int change)
{
    uint64_t *cell = &demand->locals[worker].in_flight;

    __atomic_store_n(cell, *cell + (uint64_t)(int64_t)change, __ATOMIC_RELAXED);
}

/* A client has its answer, where the service has objectives. */
static inline void demand_answer(struct demand *demand, unsigned worker, bool is_error,
                                 bool is_late)
{
    struct demand_local *local = &demand->locals[worker];

    __atomic_store_n(&local->answers, local->answers + 1, __ATOMIC_RELAXED);
    if (is_error)
        __atomic_store_n(&local->errors, local->errors + 1, __ATOMIC_RELAXED);
    else if (is_late)
        __atomic_store_n(&local->late, local->late + 1, __ATOMIC_RELAXED);
}

/* Counts what became of one. */
void demand_note(struct demand *demand, unsigned worker, enum demand_result result);

enum demand_hold { DEMAND_HELD, DEMAND_HELD_FIRST, DEMAND_IS_FULL, DEMAND_CLIENT_IS_FULL };

/* One more waits; FIRST: the manager should look. Refused: nothing has changed. */
enum demand_hold demand_hold(struct demand *demand, uint64_t client,
                             const struct demand_bounds *bounds, uint64_t now_ms);
/* It waits no more; with the bytes of its own that were counted. */
void demand_release(struct demand *demand, uint64_t client, uint64_t bytes);
/* More bytes of one that waits. False: too many, they were not counted. */
bool demand_hold_bytes(struct demand *demand, uint64_t bytes, uint64_t most);
/* Whether one that waited may go to its target now. What has just started gets
 * few at first, twice as many as it has answered, and some more as time goes by: else its accept
 * queue overflows, and those that are lost there come back after a second. */
bool demand_may_leave(struct demand *demand, unsigned worker, uint64_t now_us);
/* It does. */
void demand_leave(struct demand *demand, unsigned worker);
/* One of those has its answer. */
void demand_answered(struct demand *demand, unsigned worker);
/* Asked for by a page, for one that does not wait. True: the manager should look. */
bool demand_ask(struct demand *demand, uint64_t now_ms);

/* --- manager */

/* Nobody has asked for it since, but those that wait still, who ask anew. */
void demand_forget(struct demand *demand, uint64_t now_ms);
/* Sums over workers. */
struct demand_local demand_sum(const struct demand *demand);

/* --- pure */

/* Seconds until another try makes sense, at least 1: a wake takes `eta_ms` (0: not known), and
 * began so long ago. */
uint32_t demand_retry_s(uint64_t eta_ms, uint64_t passed_ms);

#endif
