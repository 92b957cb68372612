/* SPDX-License-Identifier: Apache-2.0
 *
 * Which workers have requests of a service waiting for a target to become free. A service with a
 * concurrency cap has one gate for its life, across snapshots. Whoever frees a place wakes one
 * waiting worker, in turn. To wait without losing a wake-up: gate_wait, then try once more;
 * gate_leave once nothing waits. Any thread, no lock.
 */
#ifndef EDGE_UPSTREAM_GATE_H
#define EDGE_UPSTREAM_GATE_H

#include "sluice/types.h"

enum { GATE_WORKERS_MAX = 64 };

struct exchange;

/* One worker's requests that wait, oldest first; in the worker's list of such while there are any.
 */
struct gate_local {
    struct exchange *first, **last;
    struct gate_local *next;
    struct gate *gate;
    uint32_t count;
    bool is_listed;
};

struct gate {
    uint64_t waiting;                           /* atomic: a bit for each worker */
    uint32_t turn;                              /* atomic: the worker woken last */
    void (*wake)(void *owner, unsigned worker); /* thread-safe; may coalesce */
    void *owner;
    struct gate_local locals[GATE_WORKERS_MAX]; /* each its worker's own */
};

void gate_init(struct gate *gate, void (*wake)(void *owner, unsigned worker), void *owner);
void gate_wait(struct gate *gate, unsigned worker);
/* Nothing of this worker waits any more; a wake-up that is on its way to it goes to another. */
void gate_leave(struct gate *gate, unsigned worker);
/* A place is free: clears one waiting worker's bit and wakes it. */
void gate_release(struct gate *gate);

#endif
