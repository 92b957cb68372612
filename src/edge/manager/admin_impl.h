/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the admin API: a connection, and a call (one request until it is
 * answered). A call outlives its connection when the client goes; whoever runs it answers exactly
 * once, which frees it. Manager thread.
 */
#ifndef EDGE_MANAGER_ADMIN_IMPL_H
#define EDGE_MANAGER_ADMIN_IMPL_H

#include <jansson.h>

#include "base/buf.h"
#include "edge/manager/admin.h"
#include "edge/manager/confirm.h"
#include "edge/manager/target.h"
#include "http/h1.h"

enum {
    ADMIN_HEAD_MAX = 16 * 1024,
    ADMIN_BODY_SMALL = 64 * 1024,
    ADMIN_BODY_CONFIG = 16 * 1024 * 1024,
    ADMIN_STREAM_MAX = 256 * 1024, /* of events that wait for a slow reader */
    ADMIN_PARTS = 2,               /* stars in a path */
};
enum admin_state {
    ADMIN_READ_HEAD,
    ADMIN_READ_BODY,
    ADMIN_ANSWER, /* a call runs, or its answer is being written */
    ADMIN_STREAM, /* events */
    ADMIN_LINGER, /* answered for the last time: what comes is dropped */
};

union admin_handle {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};
struct admin_port {
    union admin_handle uv;
    struct admin *admin;
    struct admin_port *next;
    char bind[128];
    enum listening_kind kind;
    bool is_unix;
};

struct admin_conn {
    union admin_handle uv;
    struct admin *admin;
    struct admin_conn *next, **back;
    enum listening_kind kind;
    bool is_unix, is_loopback;
    enum admin_state state;
    bool is_writing, is_eof, is_paused, close_after;
    size_t unsent;              /* at the last tick */
    struct buf in, out, queued; /* read; being written; to be written next */
    size_t scanned;             /* of an incomplete head */
    uint64_t body_left;         /* of a body with a length */
    struct chunked chunked;
    uint64_t deadline_ms; /* of the loop's clock */
    struct admin_call *call;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

struct admin_call {
    struct admin *admin;
    struct admin_conn *conn; /* NULL: the client is gone, or there is none */
    struct admin_call *next, **back;
    struct arena arena;
    struct head head;
    struct buf body;
    struct str parts[ADMIN_PARTS]; /* what the stars of the path stand for, decoded */
    struct str fields;             /* further header lines of the answer */
    uint32_t can;                  /* rights: 1 << enum conf_right */
    uint32_t body_max;
    void (*run)(struct admin_call *call); /* with the whole body */
    /* a change, and its place in the queue for it */
    struct manager_change change;
    void (*turn)(struct admin_call *call);
    struct admin_call *next_turn, *next_waiter;
    uv_work_t work; /* from here on: the endpoint's own */
    enum status status;
    uint64_t deadline_ms, generation;
    struct str text;
    struct target_text target;
    char *owned; /* freed with the call */
    bool is_on;  /* what is wanted is this, not its end */
    enum service_mode mode;
};

struct counters_seen;

/* What was told of counters before, by slot. */
struct counters {
    struct counters_seen *seen;
    uint32_t capacity;
    uint64_t number; /* of the last answer */
};

struct admin {
    struct manager *manager;
    struct slab slab; /* of buffers */
    struct admin_port *ports;
    struct admin_conn *conns;
    unsigned conn_count;
    struct admin_call *calls;
    struct admin_call *turns, **last_turn, *turn; /* waiting for their turn; whose it is */
    struct admin_call *waiters;                   /* for targets without requests */
    uv_timer_t poll;
    struct confirm confirm;
    struct counters counters;
    bool is_reverting;
    bool is_retired;
    uint64_t last_event, commented_ms;
    char read[64 * 1024];
};

/* --- admin_conn.c */
/* A connection waits at the port. */
void admin_conn_accept(struct admin_port *port);
/* Drops it; a call that runs goes on without it. */
void admin_conn_close(struct admin_conn *conn);
/* Appends to what is written and begins to write; memory or a broken connection closes it. */
void admin_conn_send(struct admin_conn *conn, struct str bytes);
/* A second has passed. */
void admin_conn_tick(struct admin_conn *conn, uint64_t now_ms);

/* --- admin_dispatch.c */
/* May this head be asked, and who answers? False: it was refused, and the call is gone. */
bool admin_dispatch(struct admin_call *call);

/* --- admin_call.c */
/* For a connection (NULL: nobody waits). NULL when memory ends. */
struct admin_call *admin_call_new(struct admin *admin, struct admin_conn *conn);
void admin_call_free(struct admin_call *call);
/* Runs `turn` when no change is under way, in order; it ends with admin_turn_over(). */
void admin_turn_take(struct admin_call *call, void (*turn)(struct admin_call *call));
void admin_turn_over(struct admin_call *call);
/* The n-th value of a query parameter, decoded, in the arena; absent when there are fewer. */
struct str admin_query(struct admin_call *call, const char *name, unsigned n);
/* Percent-decoded, in the arena; as it is when a sequence is wrong. */
struct str admin_decode(struct admin_call *call, struct str text, bool has_plus);

/* --- admin_reply.c: each answers the call and frees it */
void admin_reply(struct admin_call *call, unsigned status, const char *type, struct str body);
/* Takes `json` over. */
void admin_reply_json(struct admin_call *call, unsigned status, json_t *json);
void admin_problem(struct admin_call *call, unsigned status, const char *reason, const char *format,
                   ...) PRINTF(4, 5);
/* With every entry of `diag` as `errors`, and the place of the first as `at`. */
void admin_problem_diag(struct admin_call *call, unsigned status, const char *reason,
                        const struct diag *diag);
/* Adds a header line to the answer to come. */
void admin_field(struct admin_call *call, const char *name, const char *format, ...) PRINTF(3, 4);
/* Entries of a diag as JSON. */
json_t *admin_diag_json(const struct diag *diag);

#endif
