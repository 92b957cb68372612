/* SPDX-License-Identifier: Apache-2.0
 *
 * What one worker thread shares among its connections: event loop, read buffer, memory, time and
 * the list of connections with output. Every callback that libuv makes enters by loop_enter() and
 * leaves by loop_leave(), which writes what was queued: one write a connection and callback, or one
 * a turn of the loop where many streams share the connection. One thread.
 */
#ifndef EDGE_LOOP_H
#define EDGE_LOOP_H

#include <uv.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/outq.h"
#include "base/wheel.h"
#include "edge/tls/tls_link.h"

enum {
    /* Bytes; one for all connections of the worker. It stays in the core's first cache: 64 KiB cost
     * twice the time for large bodies. */
    LOOP_READ_BUFFER = 32 * 1024,
    LOOP_ARENA_BLOCK = 4 * 1024,
    LOOP_PARTIAL = 4 * 1024, /* first size of a connection's buffer for unfinished input */
};

struct conn;
struct stats;

/* What is to be done once all that was ready has been read, before the loop sleeps: for streams
 * that pause. Embedded in exchanges. */
struct loop_pause {
    struct loop_pause *next, **at; /* at NULL: not waiting */
    void (*fire)(struct loop_pause *pause);
};

/* A deadline and what to do then. Embedded in connections and exchanges. */
struct loop_timer {
    struct wheel_entry entry;
    void (*fire)(struct loop_timer *timer);
};

struct loop {
    uv_loop_t uv;
    uv_timer_t tick; /* drives the wheel; runs only while something hangs in it */
    struct wheel wheel;
    unsigned worker;         /* index */
    struct stats *stats;     /* borrowed; of the edge */
    uint64_t now_us;         /* monotonic, of this callback */
    uint64_t wall_offset_ms; /* add to now_us / 1000 for Unix time */
    struct budget budget;
    struct slab outqs, arenas, partials;
    struct heap heap;                        /* what libraries allocate */
    struct slab clients, targets, exchanges; /* sized by their users, see worker.c */
    struct conn *dirty, **dirty_last;        /* in order of conn_touch, by conn->dirty_next */
    struct conn *late, **late_last; /* whose output waits for more of this turn, by late_next */
    uv_prepare_t before_poll;       /* what is late is written before the loop sleeps */
    uv_check_t after_poll;          /* and when all that was ready has been read */
    struct loop_pause *pauses;      /* newest first */
    struct conn *conns;             /* all that are not closing */
    struct tls_engine tls;
    struct conn *shaking, **shaking_last; /* handshakes that wait for their turn, oldest first */
    uv_idle_t shaker;                     /* runs only while some do */
    char *read_buffer;
    uint64_t invalid; /* requests that validation on trial would have refused */
    unsigned fired;   /* timers in this tick: at most so many that requests do not wait */
    bool is_ticking;
    bool reads_many; /* this callback reads what many streams share: its own output is a batch */
};

/* Readies the loop for worker `index`; memory limit in bytes, 0: none. E_IO when libuv fails. */
MUST_USE enum status loop_init(struct loop *loop, unsigned index, size_t memory_limit);
/* All handles but the loop's own must be closed or closing; runs the loop until they are. */
void loop_fini(struct loop *loop);

void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);
/* A handshake waits for a later turn of the loop; a connection that closes leaves. */
/* A connection that closes has nothing more to write. */
void loop_forget(struct conn *conn);
void loop_wait_shake(struct conn *conn);
void loop_leave_shake(struct conn *conn);
/* Copies what connections with output have borrowed: the memory it lies in is about to change. */
void loop_own(struct loop *loop);

/* Fires once, at the end of this turn; twice is once. */
void loop_pause_set(struct loop *loop, struct loop_pause *pause);
/* Before its memory goes. */
void loop_pause_unset(struct loop_pause *pause);

/* Unix time in milliseconds, of this callback. */
uint64_t loop_wall_ms(const struct loop *loop);

/* Fires once, not before delay_ms and at most two ticks later unless very many are due
 * at once; replaces an earlier deadline. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_unset(struct loop_timer *timer);
/* Before the timer's memory goes. */
void loop_timer_remove(struct loop *loop, struct loop_timer *timer);

#endif
