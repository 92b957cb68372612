/* SPDX-License-Identifier: Apache-2.0
 *
 * What the workers share of a release, across snapshots: which workers have requests of it that
 * wait, and how often what is known of its targets has changed; and, in the first of a service's
 * gates, how many of the service's requests run. To wait
 * without losing a wake-up: gate_wait, then try once more; gate_leave once nothing waits. Whoever
 * frees a place wakes one waiting worker, in turn. Any thread, no lock.
 */
#ifndef EDGE_UPSTREAM_GATE_H
#define EDGE_UPSTREAM_GATE_H

#include "edge/upstream/queue.h"
#include "edge/upstream/retry_budget.h"

enum { GATE_WORKERS_MAX = 64 };

/* One worker's own part. */
struct gate_local {
    struct queue *queue;     /* its requests that wait; owned, NULL until one has */
    struct gate_local *next; /* in the worker's list of gates where some wait */
    struct gate *gate;
    struct retry_budget budget;
    uint32_t waiting; /* atomic, a copy of the queue's count for others to read */
    bool is_listed;
} __attribute__((aligned(64)));

struct gate {
    uint64_t waiting;   /* atomic: a bit for each worker */
    uint32_t turn;      /* atomic: the worker woken last */
    struct gate *whole; /* the first of the service's; may be this one */
    struct gate *next;  /* atomic: the service's other gates */
    uint32_t cap;       /* the whole's, atomic: requests at once; 0: no cap */
    uint32_t in_use;    /* the whole's, atomic; counted only by services with a cap */
    uint32_t epoch;     /* atomic: changes of its targets' standing */
    void (*wake)(void *owner, unsigned worker); /* thread-safe; may coalesce */
    void *owner;
    void *watch; /* the manager's own notes of the service */
    unsigned workers;
    struct gate_local locals[];
};

/* For up to GATE_WORKERS_MAX workers; a whole of its own. NULL: memory. */
struct gate *gate_new(unsigned workers, void (*wake)(void *owner, unsigned worker), void *owner);
/* Nothing waits any more. Clears the pointer; NULL is fine. */
void gate_free(struct gate **gate);

/* `gate` is another one of the same service from now on. One thread at a time. */
void gate_join(struct gate *whole, struct gate *gate);

void gate_wait(struct gate *gate, unsigned worker);
/* Nothing of this worker waits any more; a wake-up that is on its way to it goes to another. */
void gate_leave(struct gate *gate, unsigned worker);
/* A place is free: clears one waiting worker's bit and wakes it; where the service as a whole has a
 * cap, one of each of its gates. */
void gate_release(struct gate *gate);

/* Takes a place under a cap (0: there is none). False: full. */
bool gate_take(const uint32_t *cap, uint32_t *in_use);
void gate_give(uint32_t *in_use);

#endif
