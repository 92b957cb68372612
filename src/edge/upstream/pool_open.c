/* SPDX-License-Identifier: Apache-2.0
 *
 * Making connections: addresses in order, TLS where it is asked for, the protocol that comes of it,
 * and telling those that wait. Requests that arrive while a connection opens that can carry them
 * all wait for that one.
 */
#include "edge/upstream/pool_impl.h"

#include <string.h>
#include <sys/un.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const struct sink no_sink; /* targets open no streams */

uint64_t pool_manner_of(const struct pool_manner *manner)
{
    uint64_t tls = manner->tls ? tls_client_identity(manner->tls) : 0;

    return tls ^ (uint64_t)manner->service->protocol;
}

static enum reason reason_of(int failed)
{
    switch (failed) {
    case 0:
        return REASON_NONE;
    case UV_ECONNREFUSED:
    case UV_ENOENT: // a unix socket that is not there
    case UV_ECONNRESET:
        return REASON_CONNECTION_REFUSED;
    case UV_ETIMEDOUT:
        return REASON_CONNECTION_TIMEOUT;
    case UV_ENOMEM:
        return REASON_MEMORY_LIMIT;
    default:
        return REASON_DESTINATION_UNROUTABLE;
    }
}

/* Will it carry several requests at once? */
static bool will_share(const struct target_conn *target)
{
    return target->plan.protocol == CONF_H2 ||
           (target->plan.protocol == CONF_PROTOCOL_AUTO && pool_local_of(target)->speaks_h2);
}

static struct pool_plan plan_of(const struct pool_manner *manner)
{
    const struct conf_service *service = manner->service;

    return (struct pool_plan){.manner = pool_manner_of(manner),
                              .tls = manner->tls,
                              .protocol = service->protocol,
                              .streams_max = service->http2.streams,
                              .ping_ms = service->http2.ping_ms,
                              .ping_timeout_ms = service->http2.ping_timeout_ms};
}

/* With a reference of its own to the plan's TLS. */
static struct target_conn *new_target(struct loop *loop, struct endpoint *endpoint,
                                      const struct pool_plan *plan)
{
    struct pool_slot *slot = slab_take(&loop->targets);
    struct target_conn *target;

    if (!slot)
        return NULL;
    memset(slot, 0, pool_conn_size());
    target = &slot->target;
    target->endpoint = endpoint;
    target->plan = *plan;
    if (plan->tls)
        tls_client_ref(plan->tls);
    target->conn.loop = loop;
    target->conn.ops = &pool_conn_ops;
    target->conn.wire = (struct wire *)slot->wire;
    target->conn.wire->sink = &no_sink;
    target->conn.wire->owner = &target->conn;
    target->conn.wire->streams_max = plan->streams_max;
    return target;
}

/* --- those that wait */

static void join(struct target_conn *target, struct pool_waiter *waiter)
{
    struct pool_waiter **at = &target->waiters;

    while (*at)
        at = &(*at)->next;
    *at = waiter;
    waiter->next = NULL;
    waiter->conn = target;
    target->waiter_count++;
}

static struct pool_waiter *leave(struct target_conn *target)
{
    struct pool_waiter *waiter = target->waiters;

    if (!waiter)
        return NULL;
    target->waiters = waiter->next;
    target->waiter_count--;
    waiter->next = NULL;
    waiter->conn = NULL;
    return waiter;
}

static void move_waiters(struct target_conn *from, struct target_conn *to)
{
    to->waiters = from->waiters;
    to->waiter_count = from->waiter_count;
    for (struct pool_waiter *at = to->waiters; at; at = at->next)
        at->conn = to;
    from->waiters = NULL;
    from->waiter_count = 0;
}

static enum status connect_to(struct target_conn *target);

/* Opens another for those that are left. */
static bool open_another(struct target_conn *target, unsigned address)
{
    struct target_conn *other = new_target(target->conn.loop, target->endpoint, &target->plan);

    if (!other)
        return false;
    other->conn.wire->limits = target->conn.wire->limits;
    other->address = (uint8_t)address;
    if (connect_to(other))
        return false;
    move_waiters(target, other);
    return true;
}

static bool has_room(const struct target_conn *target)
{
    const struct wire *wire = target->conn.wire;

    return wire->codec->is_shared ? wire->has_room : !target->users;
}

void pool_tell(struct target_conn *target)
{
    struct pool_waiter *waiter;

    while (target->waiters && target->is_open && has_room(target)) {
        waiter = leave(target);
        target->users++;
        waiter->on_connect(waiter, target, REASON_NONE);
    }
    if (target->waiters && target->is_open && open_another(target, target->address))
        return;
    while ((waiter = leave(target)))
        waiter->on_connect(waiter, NULL, target->why ? target->why : REASON_MEMORY_LIMIT);
}

/* --- what it speaks */

static void open_codec(struct target_conn *target, const struct codec *codec)
{
    struct conn *conn = &target->conn;

    target->may_refuse = codec->is_shared;
    conn->wire->role = ROLE_CLIENT;
    if (conn_speak(conn, codec))
        return;
    if (codec->is_shared) {
        if (!target->is_listed)
            pool_share(target);
        conn->is_working = true; // on_idle comes when it is ready
        if (target->plan.ping_ms)
            loop_timer_set(conn->loop, &conn->timer, target->plan.ping_ms);
        return;
    }
    pool_unshare(target);
    target->is_open = true;
    target->opened_us = conn->loop->now_us;
    pool_count_open(target, 1);
    pool_tell(target);
}

void pool_on_secure(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;
    struct str alpn = tls_link_alpn(conn->tls);
    bool is_h2 = alpn.len == 2 && !memcmp(alpn.p, "h2", 2);

    pool_local_of(target)->speaks_h2 = is_h2;
    if (target->plan.protocol == CONF_H2 && !is_h2) {
        pool_on_insecure(conn, REASON_TLS_PROTOCOL_ERROR);
        conn_close(conn, REASON_TLS_PROTOCOL_ERROR);
        return;
    }
    open_codec(target, is_h2 ? &h2_codec : &h1_codec);
}

void pool_on_insecure(struct conn *conn, enum reason why)
{
    struct target_conn *target = (struct target_conn *)conn;

    target->why = why;
    pool_unshare(target);
    pool_tell(target);
}

/* The host of "host:port" or "[v6]:port", without brackets. */
static struct str host_of(struct str address)
{
    const char *colon = memrchr(address.p, ':', address.len);

    if (colon)
        address.len = (size_t)(colon - address.p);
    if (address.len > 1 && address.p[0] == '[')
        address = (struct str){address.p + 1, address.len - 2};
    return address;
}

static enum status secure(struct target_conn *target)
{
    struct endpoint_local *local = pool_local_of(target);
    SSL *ssl = tls_client_ssl(target->plan.tls, host_of(target->endpoint->address));

    if (!ssl)
        return E_NOMEM;
    if (local->session && local->session_manner == target->plan.manner)
        SSL_set_session(ssl, local->session);
    return conn_secure(&target->conn, ssl, ROLE_CLIENT);
}

/* --- connecting */

static void begin_speaking(struct target_conn *target)
{
    struct conn *conn = &target->conn;

    if (conn->uv.handle.type == UV_TCP)
        uv_tcp_nodelay(&conn->uv.tcp, 1);
    if ((target->plan.tls && secure(target)) || conn_start(conn, NULL, ROLE_CLIENT)) {
        target->why = REASON_MEMORY_LIMIT;
        conn_close(conn, REASON_MEMORY_LIMIT);
    } else if (!target->plan.tls && !conn->is_closing) {
        open_codec(target, target->plan.protocol == CONF_H2 ? &h2_codec : &h1_codec);
    }
}

static void on_connect(uv_connect_t *request, int failed)
{
    struct target_conn *target = request->data;
    struct loop *loop = target->conn.loop;
    unsigned next = target->address + 1u;

    if (target->conn.is_closing)
        return;
    loop_enter(loop);
    if (!failed) {
        begin_speaking(target);
    } else {
        target->why = reason_of(failed);
        if (next < target->endpoint->address_count && target->waiters)
            open_another(target, next);
        conn_close(&target->conn, target->why);
    }
    loop_leave(loop);
}

/* A socket of its own for each address: libuv keeps a failed one. On failure the target is gone. */
static enum status connect_to(struct target_conn *target)
{
    const struct endpoint_address *address = &target->endpoint->addresses[target->address];
    bool is_unix = address->socket.ss_family == AF_UNIX;

    if (conn_init(&target->conn, is_unix)) {
        tls_client_unref(&target->plan.tls);
        slab_give(&target->conn.loop->targets, target);
        return E_IO;
    }
    if (will_share(target))
        pool_share(target);
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

/* One that opens for others and will have room for this one, too. */
static struct target_conn *find_opening(const struct endpoint_local *local, uint64_t manner)
{
    struct target_conn *target = local->shared;

    while (target && (target->is_open || target->plan.manner != manner || !target->waiters ||
                      target->waiter_count >= target->plan.streams_max))
        target = target->older;
    return target;
}

enum status pool_open(struct loop *loop, struct endpoint *endpoint,
                      const struct pool_manner *manner, const struct wire_limits *limits,
                      struct pool_waiter *waiter)
{
    const struct endpoint_local *local = &endpoint->locals[loop->worker];
    struct target_conn *target = find_opening(local, pool_manner_of(manner));
    enum status status;

    waiter->conn = NULL;
    waiter->next = NULL;
    if (!endpoint->address_count)
        return E_NOT_FOUND;
    if (!target) {
        struct pool_plan plan = plan_of(manner);

        target = new_target(loop, endpoint, &plan);
        if (!target)
            return E_NOMEM;
        target->conn.wire->limits = limits;
        status = connect_to(target);
        if (status)
            return status;
    }
    join(target, waiter);
    return OK;
}

void pool_cancel(struct pool_waiter *waiter)
{
    struct target_conn *target = waiter->conn;
    struct pool_waiter **at;

    if (!target)
        return;
    for (at = &target->waiters; *at != waiter; at = &(*at)->next)
        ;
    *at = waiter->next;
    target->waiter_count--;
    waiter->conn = NULL;
    if (!target->waiters && !target->is_open)
        conn_close(&target->conn, REASON_CLIENT_GONE);
}
