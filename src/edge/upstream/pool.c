/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/pool_impl.h"

#include "edge/metric/stat.h"

#include <errno.h>
#include <string.h>

enum { FINISH_MS = 10000 };

struct endpoint_local *pool_local_of(const struct target_conn *target)
{
    return &target->endpoint->locals[target->conn.loop->worker];
}

static struct stat_target *stat_of(const struct target_conn *target)
{
    const struct loop *loop = target->conn.loop;
    uint32_t slot = __atomic_load_n(&target->endpoint->slot, __ATOMIC_RELAXED);

    return stats_target(loop->stats, loop->worker, slot);
}

void pool_count_open(const struct target_conn *target, int change)
{
    struct endpoint_local *local = pool_local_of(target);

    __atomic_store_n(&local->open, local->open + (uint32_t)change, __ATOMIC_RELAXED);
    stat_gauge(&stat_of(target)->open, change);
}

size_t pool_conn_size(void)
{
    size_t h1 = h1_codec.wire_size, h2 = h2_codec.wire_size;

    return sizeof(struct pool_slot) + (h1 > h2 ? h1 : h2);
}

static bool is_shared(const struct target_conn *target)
{
    return target->conn.wire->codec && target->conn.wire->codec->is_shared;
}

/* --- the two lists: newest first, each through newer and older */

static void unlink_from(struct target_conn **first, struct target_conn *target)
{
    if (target->newer)
        target->newer->older = target->older;
    else
        *first = target->older;
    if (target->older)
        target->older->newer = target->newer;
    target->newer = target->older = NULL;
}

static void link_into(struct target_conn **first, struct target_conn *target)
{
    target->older = *first;
    target->newer = NULL;
    if (*first)
        (*first)->newer = target;
    *first = target;
}

/* Idle is a matter of counts for all; only those of one user change lists. */
static void set_idle(struct target_conn *target, bool is_idle)
{
    struct endpoint_local *local = pool_local_of(target);
    int change = is_idle ? 1 : -1;

    if (!target->is_listed && is_idle)
        link_into(&local->idle, target);
    if (!target->is_listed && !is_idle)
        unlink_from(&local->idle, target);
    target->is_idle = is_idle;
    __atomic_store_n(&local->idle_count, local->idle_count + (uint32_t)change, __ATOMIC_RELAXED);
    stat_gauge(&stat_of(target)->idle, change);
}

void pool_share(struct target_conn *target)
{
    link_into(&pool_local_of(target)->shared, target);
    target->is_listed = true;
}

void pool_unshare(struct target_conn *target)
{
    if (!target->is_listed)
        return;
    unlink_from(&pool_local_of(target)->shared, target);
    target->is_listed = false;
}

/* --- taking */

static bool is_too_old(const struct target_conn *target, uint32_t max_age_ms)
{
    return max_age_ms &&
           target->conn.loop->now_us - target->opened_us > (uint64_t)max_age_ms * 1000;
}

/* Nothing to read and no end seen: the last word the kernel has. What an HTTP/2 target says of its
 * own accord is no end. */
static bool is_alive(const struct target_conn *target)
{
    uv_os_fd_t fd;
    char byte;
    ssize_t n;

    if (uv_fileno(&target->conn.uv.handle, &fd))
        return false;
    n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0)
        return is_shared(target) || target->conn.tls;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Of those that idle, and none else: it must not be used again. */
static bool is_spent(const struct target_conn *target, const struct pool_manner *manner,
                     uint64_t wanted, bool must_live)
{
    return target->plan.manner != wanted || is_too_old(target, manner->service->pool.max_age_ms) ||
           (must_live && !is_alive(target));
}

static void begin_use(struct target_conn *target)
{
    if (target->is_idle) {
        set_idle(target, false);
        loop_timer_unset(&target->conn.timer);
    }
    if (!target->users++ && is_shared(target) && target->plan.ping_ms) {
        target->seen_bytes = target->conn.read_bytes;
        loop_timer_set(target->conn.loop, &target->conn.timer, target->plan.ping_ms);
    }
}

static struct target_conn *take_shared(struct endpoint_local *local,
                                       const struct pool_manner *manner, uint64_t wanted,
                                       bool must_live)
{
    struct target_conn *target, *older;

    for (target = local->shared; target; target = older) {
        bool is_spent_now =
            target->is_open && is_spent(target, manner, wanted, must_live && target->is_idle);

        older = target->older;
        if (is_spent_now && target->is_idle)
            conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
        else if (target->is_open && !is_spent_now && target->conn.wire->has_room)
            return target;
    }
    return NULL;
}

struct target_conn *pool_take(struct loop *loop, struct endpoint *endpoint,
                              const struct pool_manner *manner, bool must_live)
{
    struct endpoint_local *local = &endpoint->locals[loop->worker];
    uint64_t wanted = pool_manner_of(manner);
    struct target_conn *target = NULL;

    if (local->shared)
        target = take_shared(local, manner, wanted, must_live);
    while (!target && local->idle) {
        target = local->idle;
        if (!is_spent(target, manner, wanted, must_live))
            break;
        conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
        target = NULL;
    }
    if (!target)
        return NULL;
    begin_use(target);
    target->is_reused = true;
    return target;
}

/* --- connection callbacks */

static void on_closing(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;

    if (target->is_idle)
        set_idle(target, false);
    pool_unshare(target);
    if (target->is_open)
        pool_count_open(target, -1);
    target->is_open = false;
    if (!target->why)
        target->why = REASON_CONNECTION_TERMINATED;
    pool_tell(target);
}

static void on_closed(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;

    tls_client_unref(&target->plan.tls);
    slab_give(&conn->loop->targets, conn);
}

/* A shared one is ready for its first users when the target's SETTINGS are in. */
static void on_idle(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;

    if (target->is_open || target->conn.is_closing)
        return;
    target->is_open = true;
    target->opened_us = conn->loop->now_us;
    pool_count_open(target, 1);
    pool_tell(target);
}

static void on_begin(struct conn *conn)
{
    (void)conn;
}

/* A busy connection that is silent is asked for a sign of life, and is dead without one. */
static void look_for_life(struct target_conn *target)
{
    struct conn *conn = &target->conn;
    bool is_silent = conn->read_bytes == target->seen_bytes;

    target->seen_bytes = conn->read_bytes;
    if (is_silent && conn->wire->unanswered_pings) {
        conn_close(conn, REASON_CONNECTION_TERMINATED);
        return;
    }
    if (is_silent && conn->wire->codec->ping) {
        conn->wire->codec->ping(conn->wire);
        conn_touch(conn);
    }
    loop_timer_set(conn->loop, &conn->timer,
                   is_silent ? target->plan.ping_timeout_ms : target->plan.ping_ms);
}

static void on_timeout(struct conn *conn)
{
    struct target_conn *target = (struct target_conn *)conn;

    if (target->users && is_shared(target)) {
        look_for_life(target);
    } else if (target->is_idle && is_shared(target) && !conn->wire->wants_close) {
        conn->wire->codec->bye(conn->wire); // it closes once that is out
        loop_timer_set(conn->loop, &conn->timer, FINISH_MS);
        conn_touch(conn);
    } else {
        conn_close(conn, REASON_CONNECTION_TERMINATED);
    }
}

const struct conn_ops pool_conn_ops = {
    .on_closing = on_closing,
    .on_closed = on_closed,
    .on_idle = on_idle,
    .on_begin = on_begin,
    .on_timeout = on_timeout,
    .on_secure = pool_on_secure,
    .on_insecure = pool_on_insecure,
};

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

/* The next connection resumes this one's session. */
static void keep_session(struct target_conn *target)
{
    SSL_SESSION *session;

    if (target->has_session || !target->conn.tls)
        return;
    session = tls_link_session(target->conn.tls);
    if (!session)
        return;
    target->has_session = true;
    endpoint_keep_session(pool_local_of(target), session, target->plan.manner);
}

static bool may_keep(const struct target_conn *target, uint32_t max_age_ms)
{
    const struct endpoint_local *local = pool_local_of(target);
    const struct conn *conn = &target->conn;
    const struct wire *wire = conn->wire;

    if (wire->wants_close || local->is_retired || conn->got_eof || conn->is_mute ||
        is_too_old(target, max_age_ms) ||
        local->idle_count >= __atomic_load_n(&target->endpoint->idle_max, __ATOMIC_RELAXED))
        return false;
    // A shared one may be given back from inside its codec, which has yet to forget the stream.
    return is_shared(target) || (wire->is_idle && !wire->out && !conn->partial.len);
}

/* False: others still use it. */
static bool end_use(struct target_conn *target)
{
    if (target->users)
        target->users--;
    return !target->users;
}

/* A RST_STREAM may wait to be sent on a shared one. */
static void end_last_use(struct target_conn *target)
{
    if (is_shared(target))
        pool_finish(target);
    else
        conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
}

void pool_give(struct target_conn *target, struct pool_parting parting)
{
    if (target->conn.is_closing)
        return;
    conn_touch(&target->conn);
    keep_session(target);
    if (!end_use(target))
        return;
    if ((!parting.is_good && !is_shared(target)) || !may_keep(target, parting.max_age_ms)) {
        end_last_use(target);
        return;
    }
    set_idle(target, true);
    loop_timer_set(target->conn.loop, &target->conn.timer, idle_time(target, parting.idle_ms));
}

void pool_finish(struct target_conn *target)
{
    if (target->conn.is_closing)
        return;
    if (is_shared(target) && target->users && !end_use(target)) {
        conn_touch(&target->conn);
        return;
    }
    pool_unshare(target);
    pool_count_open(target, -1);
    target->is_open = false; // from here on it touches its endpoint no more
    target->conn.wire->wants_close = true;
    loop_timer_set(target->conn.loop, &target->conn.timer, FINISH_MS);
    conn_touch(&target->conn);
}

void pool_close_idle(struct loop *loop, struct endpoint *endpoint, bool retired)
{
    struct endpoint_local *local = &endpoint->locals[loop->worker];
    struct target_conn *target, *older;

    local->is_retired = retired;
    while (local->idle)
        conn_close(&local->idle->conn, REASON_CONNECTION_TERMINATED);
    for (target = local->shared; target; target = older) {
        older = target->older;
        if (target->is_idle)
            conn_close(&target->conn, REASON_CONNECTION_TERMINATED);
    }
}
