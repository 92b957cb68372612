/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to targets, per worker and endpoint: opened when needed, kept while idle (newest used
 * first), closed by their own idle time, the target's Keep-Alive, age, or when the target ends
 * them. A taken connection belongs to one exchange until given back. One thread (the worker's).
 */
#ifndef EDGE_UPSTREAM_POOL_H
#define EDGE_UPSTREAM_POOL_H

#include "edge/conn.h"
#include "edge/upstream/endpoint.h"

struct target_conn;

/* Told once, about a connection that pool_open began; not after pool_cancel. */
struct pool_waiter {
    struct target_conn *conn; /* the one being opened; the pool's to set */
    /* failed 0: `conn` is open and the waiter's; else a negative libuv error, and there is none. */
    void (*on_connect)(struct pool_waiter *waiter, struct target_conn *conn, int failed);
};

struct target_conn {
    struct conn conn;                  /* first */
    struct endpoint *endpoint;         /* borrowed: its holder outlives the connection's use */
    struct target_conn *newer, *older; /* in the idle list */
    struct pool_waiter *waiter;        /* while connecting */
    uv_connect_t connecting;
    uint64_t opened_us;
    uint32_t idle_ms; /* how long it may idle */
    uint8_t address;  /* index tried */
    bool is_idle, is_reused, is_open;
    bool may_refuse; /* it may say that it did nothing with a request: one may be sent again */
};

/* Bytes of a connection with its wire, for the loop's slab. */
size_t pool_conn_size(void);

/* An idle connection, or NULL. `max_age_ms` 0: any age. With `must_live` the socket is asked
 * whether it still does (one system call), for requests that cannot be repeated. */
struct target_conn *pool_take(struct loop *loop, struct endpoint *endpoint, uint32_t max_age_ms,
                              bool must_live);

/* Begins to connect, trying the endpoint's addresses in order; the waiter is told from the loop,
 * never from inside this call. E_NOT_FOUND: no address; E_NOMEM, E_IO: nothing could be begun.
 * `limits` outlives the loop. */
MUST_USE enum status pool_open(struct loop *loop, struct endpoint *endpoint,
                               const struct wire_limits *limits, struct pool_waiter *waiter);
/* Stops the opening, if any: the waiter is not told. */
void pool_cancel(struct pool_waiter *waiter);

/* Back from an exchange whose stream is detached: kept when it may be, else closed. */
void pool_give(struct target_conn *conn, uint32_t idle_ms, uint32_t max_age_ms);
/* Ends a taken one once what it has queued is written, or after a while; its endpoint may go at
 * once. */
void pool_finish(struct target_conn *conn);
/* Ends a taken one. */
void pool_drop(struct target_conn *conn, enum reason why);

/* Closes what idles; with `retired` nothing is kept from now on. */
void pool_close_idle(struct loop *loop, struct endpoint *endpoint, bool retired);

#endif
