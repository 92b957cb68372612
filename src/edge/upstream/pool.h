/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections to targets, per worker and endpoint: opened when needed, over TLS where the service
 * says so, and kept while idle. One that carries a single request at a time (HTTP/1.1) belongs to
 * one exchange until given back; a shared one (HTTP/2) has several users, and stays in reach of the
 * next while it has room. Closed by their idle time, the target's Keep-Alive, age, silence when
 * asked for a sign of life, or when the target ends them. One thread (the worker's).
 */
#ifndef EDGE_UPSTREAM_POOL_H
#define EDGE_UPSTREAM_POOL_H

#include "edge/conn.h"
#include "edge/tls/tls_client.h"
#include "edge/upstream/endpoint.h"

struct target_conn;

/* How a service speaks to its targets; lives as long as the call that gets it. */
struct pool_manner {
    const struct conf_service *service;
    struct tls_client *tls; /* borrowed; a connection takes a reference. NULL: plain */
};

/* Told once, about a connection that pool_open began or waits for; not after pool_cancel. */
struct pool_waiter {
    struct target_conn *conn; /* the one being opened; the pool's to set */
    struct pool_waiter *next; /* at the same one */
    /* REASON_NONE: `conn` is open and the waiter is a user of it; else there is none, and that is
     * why. */
    void (*on_connect)(struct pool_waiter *waiter, struct target_conn *conn, enum reason why);
};

/* What a connection is made by; copied from its service. */
struct pool_plan {
    uint64_t manner;        /* what a service must say to share it */
    struct tls_client *tls; /* a reference; NULL: plain */
    uint32_t ping_ms, ping_timeout_ms, streams_max;
    enum conf_protocol protocol;
};

struct target_conn {
    struct conn conn;                  /* first */
    struct endpoint *endpoint;         /* borrowed: its holder outlives the connection's use */
    struct target_conn *newer, *older; /* in the idle list, or in that of shared ones */
    struct pool_waiter *waiters;       /* while it opens */
    struct pool_plan plan;
    uv_connect_t connecting;
    uint64_t opened_us;
    uint64_t seen_bytes; /* read when a sign of life was last looked for */
    uint32_t users, waiter_count;
    enum reason why; /* it could not be opened */
    uint8_t address; /* index tried */
    bool is_idle, is_reused, is_open, is_listed;
    bool may_refuse;  /* it may say that it did nothing with a request: one may be sent again */
    bool has_session; /* what resumes it was kept */
};

/* Bytes of a connection with its wire, for the loop's slab. */
size_t pool_conn_size(void);

/* A connection that is open and free for one more user, or NULL. With `must_live` the socket of one
 * that idled is asked whether it still does (one system call), for requests that cannot be
 * repeated. */
struct target_conn *pool_take(struct loop *loop, struct endpoint *endpoint,
                              const struct pool_manner *manner, bool must_live);

/* Begins to connect, trying the endpoint's addresses in order, or waits for one that is being
 * opened and will be shared; the waiter is told from the loop, never from inside this call.
 * E_NOT_FOUND: no address; E_NOMEM, E_IO: nothing could be begun. `limits` outlives the loop. */
MUST_USE enum status pool_open(struct loop *loop, struct endpoint *endpoint,
                               const struct pool_manner *manner, const struct wire_limits *limits,
                               struct pool_waiter *waiter);
/* Stops waiting, if it does: the waiter is not told. */
void pool_cancel(struct pool_waiter *waiter);

/* How a user leaves a connection, its stream detached. */
struct pool_parting {
    bool is_good;        /* the stream ended well; else one that is not shared is closed */
    uint32_t idle_ms;    /* how long it may idle */
    uint32_t max_age_ms; /* and how old it may be; 0: any age */
};
/* Back from an exchange: kept when it may be, else closed. */
void pool_give(struct target_conn *conn, struct pool_parting parting);
/* Ends a taken one once what it has queued is written, or after a while; its endpoint may go at
 * once. A shared one that others use is left to them. */
void pool_finish(struct target_conn *conn);

/* Closes what idles; with `retired` nothing is kept from now on. */
void pool_close_idle(struct loop *loop, struct endpoint *endpoint, bool retired);

#endif
