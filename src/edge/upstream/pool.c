/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/pool.h"

#include "edge/metric/stat.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

enum { FINISH_MS = 10000 };

/* The memory of one: the connection, then its wire. */
struct slot {
    struct target_conn target;
    _Alignas(16) char wire[];
};

static struct endpoint_local *local_of(const struct target_conn *target)
{
    return &target->endpoint->locals[target->conn.loop->worker];
}

static struct stat_target *stat_of(const struct target_conn *target)
{
    const struct loop *loop = target->conn.loop;
    uint32_t slot = __atomic_load_n(&target->endpoint->slot, __ATOMIC_RELAXED);

    return stats_target(loop->stats, loop->worker, slot);
}

static void count_open(const struct target_conn *target, int change)
{
    struct endpoint_local *local = local_of(target);

    __atomic_store_n(&local->open, local->open + (uint32_t)change, __ATOMIC_RELAXED);
    stat_gauge(&stat_of(target)->open, change);
}

size_t pool_conn_size(void)
{
    return sizeof(struct slot) + h1_codec.wire_size;
}

/* --- the idle list */

static void unlist(struct target_conn *target)
{
    struct endpoint_local *local = local_of(target);

    if (target->newer)
        target->newer->older = target->older;
    else
        local->idle = target->older;
    if (target->older)
        target->older->newer = target->newer;
    target->newer = target->older = NULL;
    target->is_idle = false;
    __atomic_store_n(&local->idle_count, local->idle_count - 1, __ATOMIC_RELAXED);
    stat_gauge(&stat_of(target)->idle, -1);
}

static void enlist(struct target_conn *target)
{
    struct endpoint_local *local = local_of(target);

    target->older = local->idle;
    target->newer = NULL;
    if (local->idle)
        local->idle->newer = target;
    local->idle = target;
    __atomic_store_n(&local->idle_count, local->idle_count + 1, __ATOMIC_RELAXED);
    target->is_idle = true;
    stat_gauge(&stat_of(target)->idle, 1);
}

static bool is_too_old(const struct target_conn *target, uint32_t max_age_ms)
{
    return max_age_ms &&
           target->conn.loop->now_us - target->opened_us > (uint64_t)max_age_ms * 1000;
}

/* Nothing to read and no end seen: the last word the kernel has. */
static bool is_alive(const struct target_conn *target)
{
    uv_os_fd_t fd;
    char byte;

    if (uv_fileno(&target->conn.uv.handle, &fd))
        return false;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

struct target_conn *pool_take(struct loop *loop, struct endpoint *endpoint, uint32_t max_age_ms,
                              bool must_live)
{
    struct endpoint_local *local = &endpoint->locals[loop->worker];
    struct target_conn *target;

    while ((target = local->idle)) {
        if (is_too_old(target, max_age_ms) || (must_live && !is_alive(target))) {
            conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
            continue;
        }
        unlist(target);
        loop_timer_unset(&target->conn.timer);
        target->is_reused = true;
        return target;
    }
    return NULL;
}

/* --- connection callbacks */

static void on_closing(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;

    if (target->is_idle)
        unlist(target);
    if (target->is_open)
        count_open(target, -1);
    target->is_open = false;
}

static void on_closed(struct conn *conn)
{
    slab_give(&conn->loop->targets, conn);
}

static void on_idle(struct conn *conn)
{
    (void)conn; // the exchange gives it back
}

static void on_timeout(struct conn *conn)
{
    conn_close(conn, REASON_CONNECTION_TERMINATED);
}

static const struct conn_ops ops = {
    .on_closing = on_closing,
    .on_closed = on_closed,
    .on_idle = on_idle,
    .on_begin = on_idle,
    .on_timeout = on_timeout,
};

static const struct sink no_sink; /* targets open no streams */

static struct target_conn *new_target(struct loop *loop, struct endpoint *endpoint)
{
    struct slot *slot = slab_take(&loop->targets);

    if (!slot)
        return NULL;
    memset(slot, 0, pool_conn_size());
    slot->target.endpoint = endpoint;
    slot->target.conn.loop = loop;
    slot->target.conn.ops = &ops;
    slot->target.conn.wire = (struct wire *)slot->wire;
    slot->target.conn.wire->sink = &no_sink;
    slot->target.conn.wire->owner = &slot->target.conn;
    return &slot->target;
}

/* --- opening */

static enum status connect_to(struct target_conn *target);

static void tell(struct target_conn *target, int failed)
{
    struct pool_waiter *waiter = target->waiter;

    target->waiter = NULL;
    waiter->conn = NULL;
    if (failed)
        conn_close(&target->conn, REASON_CONNECTION_REFUSED);
    waiter->on_connect(waiter, failed ? NULL : target, failed);
}

/* A socket of its own for address `index`: libuv keeps a failed one. */
static enum status open_address(struct loop *loop, struct endpoint *endpoint, unsigned index,
                                const struct wire_limits *limits, struct pool_waiter *waiter)
{
    struct target_conn *target = new_target(loop, endpoint);
    enum status status;

    if (!target)
        return E_NOMEM;
    target->address = (uint8_t)index;
    target->conn.wire->limits = limits;
    status = connect_to(target);
    if (status)
        return status;
    target->waiter = waiter;
    waiter->conn = target;
    return OK;
}

static void finish_connect(struct target_conn *target, int failed)
{
    if (!failed) {
        if (target->conn.uv.handle.type == UV_TCP)
            uv_tcp_nodelay(&target->conn.uv.tcp, 1);
        if (conn_start(&target->conn, &h1_codec, ROLE_CLIENT))
            failed = UV_ENOMEM;
    }
    if (!failed) {
        target->opened_us = target->conn.loop->now_us;
        target->is_open = true;
        count_open(target, 1);
    }
    tell(target, failed);
}

static void on_connect(uv_connect_t *request, int failed)
{
    struct target_conn *target = request->data;
    struct loop *loop = target->conn.loop;
    unsigned next = target->address + 1u;

    if (target->conn.is_closing)
        return;
    loop_enter(loop);
    if (failed && next < target->endpoint->address_count &&
        !open_address(loop, target->endpoint, next, target->conn.wire->limits, target->waiter)) {
        target->waiter = NULL;
        conn_close(&target->conn, REASON_CONNECTION_REFUSED);
    } else {
        finish_connect(target, failed);
    }
    loop_leave(loop);
}

static enum status connect_to(struct target_conn *target)
{
    const struct endpoint_address *address = &target->endpoint->addresses[target->address];
    bool is_unix = address->socket.ss_family == AF_UNIX;

    if (conn_init(&target->conn, is_unix)) {
        slab_give(&target->conn.loop->targets, target);
        return E_IO;
    }
    target->connecting.data = target;
    if (is_unix) {
        uv_pipe_connect(&target->connecting, &target->conn.uv.pipe,
                        ((const struct sockaddr_un *)&address->socket)->sun_path, on_connect);
        return OK;
    }
    if (!uv_tcp_connect(&target->connecting, &target->conn.uv.tcp,
                        (const struct sockaddr *)&address->socket, on_connect))
        return OK;
    conn_close(&target->conn, REASON_CONNECTION_REFUSED);
    return E_IO;
}

enum status pool_open(struct loop *loop, struct endpoint *endpoint,
                      const struct wire_limits *limits, struct pool_waiter *waiter)
{
    waiter->conn = NULL;
    if (!endpoint->address_count)
        return E_NOT_FOUND;
    return open_address(loop, endpoint, 0, limits, waiter);
}

void pool_cancel(struct pool_waiter *waiter)
{
    struct target_conn *target = waiter->conn;

    if (!target)
        return;
    waiter->conn = NULL;
    target->waiter = NULL;
    conn_close(&target->conn, REASON_CLIENT_GONE);
}

/* --- giving back */

/* How long it may idle: ours, or the target's own Keep-Alive less a margin for the way (RFC
 * 2068 19.7.1). */
static uint32_t idle_time(const struct target_conn *target, uint32_t idle_ms)
{
    uint64_t theirs = (uint64_t)target->conn.wire->keep_alive_s * 1000;

    if (!theirs)
        return idle_ms;
    theirs = theirs > 2000 ? theirs - 1000 : theirs / 2;
    return theirs < idle_ms ? (uint32_t)theirs : idle_ms;
}

void pool_give(struct target_conn *target, uint32_t idle_ms, uint32_t max_age_ms)
{
    struct endpoint_local *local = local_of(target);
    struct wire *wire = target->conn.wire;

    if (target->conn.is_closing)
        return;
    if (!wire->is_idle || wire->wants_close || wire->out || target->conn.partial.len ||
        local->is_retired || target->conn.got_eof || target->conn.is_mute ||
        is_too_old(target, max_age_ms) ||
        local->idle_count >= __atomic_load_n(&target->endpoint->idle_max, __ATOMIC_RELAXED)) {
        conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
        return;
    }
    enlist(target);
    loop_timer_set(target->conn.loop, &target->conn.timer, idle_time(target, idle_ms));
}

void pool_finish(struct target_conn *target)
{
    if (target->conn.is_closing)
        return;
    count_open(target, -1);
    target->is_open = false; // from here on it touches its endpoint no more
    target->conn.wire->wants_close = true;
    loop_timer_set(target->conn.loop, &target->conn.timer, FINISH_MS);
    conn_touch(&target->conn);
}

void pool_drop(struct target_conn *target, enum reason why)
{
    conn_close(&target->conn, why);
}

void pool_close_idle(struct loop *loop, struct endpoint *endpoint, bool retired)
{
    struct endpoint_local *local = &endpoint->locals[loop->worker];

    local->is_retired = retired;
    while (local->idle)
        conn_close(&local->idle->conn, REASON_CONNECTION_TERMINATED);
}
