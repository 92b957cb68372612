/* SPDX-License-Identifier: Apache-2.0
 *
 * The middle steps: which target (PICK), a connection to it (CONNECT), the request on its way
 * (SEND); and what happens when that fails. Another try is made only while nothing of an answer has
 * come and the request can be said again: always when it never left, else for idempotent methods on
 * a kept connection that was dead.
 */
#include "edge/exchange_impl.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static struct service_local *local_of(const struct exchange *x)
{
    return &x->service->locals[x->host->loop->worker];
}

static struct endpoint *endpoint_of(const struct exchange *x)
{
    return x->kept ? x->kept : x->service->targets[x->index].endpoint;
}

/* --- PICK */

static struct str cookie_value(struct str cookies, struct str name)
{
    const char *at = cookies.p, *end = cookies.p + cookies.len;

    while (at && at < end) {
        const char *stop = memchr(at, ';', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);

        if (len > name.len && at[name.len] == '=' && !memcmp(at, name.p, name.len))
            return (struct str){at + name.len + 1, len - name.len - 1};
        at = stop ? stop + 1 : end;
        while (at < end && *at == ' ')
            at++;
    }
    return STR_NONE;
}

static uint64_t hash_key(const struct exchange *x)
{
    const struct conf_service *conf = x->service->conf;
    struct str text = STR_NONE;

    if (conf->balance != CONF_HASH)
        return 0;
    if (conf->hash_by == CONF_HASH_PATH)
        text = x->request->path;
    else if (conf->hash_by == CONF_HASH_HEADER)
        text = head_value_name(x->request, conf->hash_name);
    else if (conf->hash_by == CONF_HASH_COOKIE)
        text = cookie_value(head_value(x->request, HDR_COOKIE), conf->hash_name);
    if (!text.p) // the address, also for a client without that header or cookie
        return x->origin->client_hash;
    return XXH3_64bits(text.p, text.len);
}

/* The target in the worker's current snapshot, which is the one that balances; NULL: it is no
 * longer in it. */
static struct balancer_target *balanced(const struct exchange *x, const struct endpoint *endpoint)
{
    if (x->snapshot && x->snapshot == x->host->snapshot)
        return &local_of(x)->targets[x->index];
    return snapshot_find(x->host->snapshot, endpoint, x->host->loop->worker);
}

static void count_load(struct exchange *x, int change)
{
    struct endpoint *endpoint = endpoint_of(x);
    struct endpoint_local *local = &endpoint->locals[x->host->loop->worker];
    struct balancer_target *target = balanced(x, endpoint);

    __atomic_store_n(&local->in_flight, local->in_flight + (uint32_t)change, __ATOMIC_RELAXED);
    if (target)
        target->load += (uint32_t)change;
    stat_gauge(&stats_target(x->host->stats, x->host->loop->worker, x->target_slot)->in_flight,
               change);
}

static void use_target(struct exchange *x, int index)
{
    x->index = index;
    x->attempts++;
    x->target_id = endpoint_of(x)->id;
    x->target_slot = __atomic_load_n(&endpoint_of(x)->slot, __ATOMIC_RELAXED);
    x->holds_place = true;
    x->gate = x->service->gate;
    count_load(x, 1);
}

/* The balancer's choice that has a place free; BALANCER_NONE: none. *is_full: there was one
 * without. */
static int choose(struct exchange *x, bool *is_full)
{
    struct service_local *local = local_of(x);
    uint64_t tried = x->tried;
    int index;

    *is_full = false;
    for (;;) {
        index = x->service->balancer->pick(local->state, local->targets, x->service->count, x->key,
                                           tried);
        if (index == BALANCER_NONE || !x->service->gate ||
            endpoint_acquire(x->service->targets[index].endpoint))
            return index;
        *is_full = true;
        if (index >= 64 || (tried & (UINT64_C(1) << index)))
            return BALANCER_NONE;
        tried |= UINT64_C(1) << index;
    }
}

/* Says that this worker waits, and looks once more: a place may have become free before that was
 * heard. */
static int choose_or_wait(struct exchange *x)
{
    bool is_full;
    int index = choose(x, &is_full);

    if (index != BALANCER_NONE)
        return index;
    gate_wait(x->service->gate, x->host->loop->worker);
    return choose(x, &is_full);
}

static struct gate_local *queue_of(const struct exchange *x)
{
    return &x->service->gate->locals[x->host->loop->worker];
}

/* A worker that is woken for nothing would leave those of another waiting. */
static void leave_gate(struct gate_local *queue, unsigned worker)
{
    if (!queue->count)
        gate_leave(queue->gate, worker);
}

static enum step join_queue(struct exchange *x)
{
    const struct conf_service *conf = x->service->conf;
    struct gate_local *queue = queue_of(x);
    int index;

    if (queue->count >= conf->limits.queue)
        return exchange_refused(x, REASON_QUEUE_FULL);
    index = choose_or_wait(x);
    if (index != BALANCER_NONE) {
        leave_gate(queue, x->host->loop->worker);
        use_target(x, index);
        return STEP_CONNECT;
    }
    x->is_waiting = true;
    x->waiting_next = NULL;
    *queue->last = x;
    queue->last = &x->waiting_next;
    queue->count++;
    if (!queue->is_listed) {
        queue->is_listed = true;
        queue->next = x->host->waiting;
        x->host->waiting = queue;
    }
    loop_timer_set(x->host->loop, &x->timer, conf->limits.queue_timeout_ms);
    return STEP_WAIT;
}

void exchange_leave_queue(struct exchange *x)
{
    struct gate_local *queue;
    struct exchange **at;

    if (!x->is_waiting)
        return;
    queue = queue_of(x);
    for (at = &queue->first; *at != x; at = &(*at)->waiting_next)
        ;
    *at = x->waiting_next;
    if (!*at)
        queue->last = at;
    queue->count--;
    leave_gate(queue, x->host->loop->worker);
    x->is_waiting = false;
    loop_timer_unset(&x->timer);
    exchange_lap(x, ACCESS_QUEUE);
}

static void serve(struct gate_local *queue)
{
    while (queue->first) {
        struct exchange *x = queue->first;
        int index = choose_or_wait(x);

        if (index == BALANCER_NONE)
            return;
        exchange_leave_queue(x);
        use_target(x, index);
        exchange_run(x, STEP_CONNECT);
    }
}

void exchange_wake(struct exchange_host *host)
{
    struct gate_local *queue = host->waiting;

    host->waiting = NULL;
    while (queue) {
        struct gate_local *next = queue->next;

        queue->is_listed = false;
        serve(queue);
        if (queue->first && !queue->is_listed) {
            queue->is_listed = true;
            queue->next = host->waiting;
            host->waiting = queue;
        }
        queue = next;
    }
}

enum step exchange_step_pick(struct exchange *x)
{
    bool is_full;
    int index;

    if (!x->attempts) {
        exchange_lap(x, ACCESS_ASK);
        x->key = hash_key(x);
        x->can_replay = true;
    }
    index = choose(x, &is_full);
    if (index == BALANCER_NONE && is_full)
        return join_queue(x);
    if (index == BALANCER_NONE)
        return exchange_refused(x, x->reason ? x->reason : REASON_DESTINATION_UNAVAILABLE);
    use_target(x, index);
    return STEP_CONNECT;
}

/* --- CONNECT */

static enum step connected(struct exchange *x, struct target_conn *target)
{
    struct stat_target *stat = stats_target(x->host->stats, x->host->loop->worker, x->target_slot);

    x->target = target;
    stat_add(target->is_reused ? &stat->reused : &stat->connects, 1);
    exchange_lap(x, ACCESS_CONNECT);
    loop_timer_unset(&x->timer);
    return STEP_SEND;
}

enum step exchange_step_connect(struct exchange *x)
{
    struct loop *loop = x->host->loop;
    struct endpoint *endpoint = endpoint_of(x);
    struct pool_manner manner = {x->service->conf, x->service->tls};
    struct target_conn *target = NULL;
    bool must_live = !method_is_idempotent(x->request->method);
    enum status status;

    if (!x->wants_fresh)
        target = pool_take(loop, endpoint, &manner, must_live);
    if (target)
        return connected(x, target);
    status = pool_open(loop, endpoint, &manner, &x->host->limits, &x->opening);
    if (status)
        return exchange_retry(x, status == E_NOT_FOUND ? REASON_DNS_ERROR
                                                       : REASON_DESTINATION_UNROUTABLE);
    loop_timer_set(loop, &x->timer, x->route->timeouts.connect_ms);
    return STEP_WAIT;
}

void exchange_on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why)
{
    struct exchange *x = CONTAINER_OF(waiter, struct exchange, opening);

    exchange_run(x, why ? exchange_retry(x, why) : connected(x, conn));
}

/* --- SEND */

static struct str host_for(const struct exchange *x)
{
    const struct conf_service *conf = x->service->conf;

    if (conf->host == CONF_HOST_TARGET)
        return endpoint_of(x)->address;
    if (conf->host == CONF_HOST_NAME)
        return conf->host_name.s;
    return x->request->authority;
}

/* Whose certificate the client showed; what it claims itself is never passed on. */
static enum status add_subject(struct exchange *x, struct head *head)
{
    const struct exchange_origin *origin = x->origin;

    head_remove_name(head, origin->cert_header);
    if (!origin->cert_subject.len)
        return OK;
    return head_set(head, &x->arena, origin->cert_header, origin->cert_subject);
}

/* What every target is told (INTERFACE: headers to the target). What the client claimed is not
 * passed on: no hop before us is trusted yet. */
static enum status add_forwarded(struct exchange *x, struct head *head)
{
    struct arena *arena = &x->arena;
    struct str via = exchange_via(x, x->request);
    struct str had = head_value(head, HDR_VIA);

    head_remove(head, HDR_FORWARDED);
    head_remove(head, HDR_X_REAL_IP);
    if (x->origin->cert_header.len && add_subject(x, head))
        return E_NOMEM;
    if (had.p)
        via = arena_format(arena, "%.*s, %.*s", STR_FMT(had), STR_FMT(via));
    if (!via.p || head_set(head, arena, STR("X-Forwarded-For"), x->origin->client) ||
        head_set(head, arena, STR("X-Forwarded-Proto"), x->origin->scheme) ||
        head_set(head, arena, STR("X-Forwarded-Host"), x->request->authority) ||
        head_set(head, arena, STR("X-Request-Id"), x->id) || head_set(head, arena, STR("Via"), via))
        return E_NOMEM;
    return OK;
}

/* Once: what the target gets is derived from the request, which stays as the client said it in
 * x->request. */
static enum status prepare(struct exchange *x)
{
    struct head *head = x->request;

    head_strip_hop_by_hop(head, head->is_upgrade);
    head->path = route_rewrite(x->snapshot->rules->table,
                               (uint32_t)(x->rule - x->snapshot->rules->list), head, &x->arena);
    return head->path.p ? add_forwarded(x, head) : E_NOMEM;
}

static enum status send_head(struct exchange *x)
{
    struct head head = *x->request;
    bool is_last = x->held_last && !x->held.len && !x->held_trailers;

    head.authority = host_for(x);
    head.scheme = x->service->tls ? STR("https") : STR("http");
    x->up.is_head = head.method == METHOD_HEAD;
    return x->up.codec->head(&x->up, &head, is_last);
}

enum step exchange_step_send(struct exchange *x)
{
    struct wire *wire = x->target->conn.wire;
    enum status status;

    if (!x->is_prepared && prepare(x))
        return exchange_refused(x, REASON_HEADERS_TOO_LARGE);
    x->is_prepared = true;
    x->up.received = x->up.sent = x->up.in_tunnel = false;
    if (wire->codec->begin(wire, &x->up))
        return exchange_retry(x, REASON_CONNECTION_TERMINATED);
    x->is_sending = true;
    x->sent_us = x->active_us = x->host->loop->now_us;
    status = send_head(x);
    if (!status)
        status = exchange_send_held(x);
    if (!x->up.wire)
        return exchange_retry(x, x->reason ? x->reason : REASON_CONNECTION_TERMINATED);
    if (status)
        return exchange_refused(x, status == E_DENIED ? REASON_HTTP_UPGRADE_FAILED
                                                      : REASON_MEMORY_LIMIT);
    exchange_touch(&x->up);
    if (x->route->timeouts.first_byte_ms)
        loop_timer_set(x->host->loop, &x->timer, x->route->timeouts.first_byte_ms);
    return STEP_WAIT;
}

/* --- the end of a try */

static void release_place(struct exchange *x)
{
    if (!x->holds_place)
        return;
    x->holds_place = false;
    count_load(x, -1);
    if (x->gate) {
        endpoint_release(endpoint_of(x));
        gate_release(x->gate);
        x->gate = NULL;
    }
}

static struct pool_parting parting(const struct exchange *x, bool is_good)
{
    struct pool_parting parting = {.is_good = is_good};

    if (x->route)
        parting.idle_ms = x->route->timeouts.upstream_idle_ms;
    if (x->service)
        parting.max_age_ms = x->service->conf->pool.max_age_ms;
    return parting;
}

void exchange_let_go(struct exchange *x, bool is_good)
{
    struct target_conn *target = x->target;

    x->target = NULL;
    x->is_sending = false;
    if (target) {
        if (x->up.wire)
            x->up.codec->detach(&x->up);
        if (x->is_tunnel && x->down_ended && x->up_ended)
            pool_finish(target);
        else
            pool_give(target, parting(x, is_good));
    }
    release_place(x);
}

/* Whether the request may be said again after this failure. */
static bool may_retry(const struct exchange *x, enum reason why)
{
    bool is_stale = x->target && x->target->is_reused && why == REASON_CONNECTION_TERMINATED;

    if (x->attempts >= EXCHANGE_ATTEMPTS_MAX)
        return false;
    if (!x->is_sending)
        return true; // nothing left for the target
    if (why == REASON_REFUSED_STREAM)
        return x->can_replay; // RFC 9113 8.7: it did nothing
    return is_stale && x->can_replay && method_is_idempotent(x->request->method);
}

enum step exchange_retry(struct exchange *x, enum reason why)
{
    struct stat_target *stat = stats_target(x->host->stats, x->host->loop->worker, x->target_slot);
    bool again = may_retry(x, why);

    if (!x->is_sending) {
        stat_add(&stat->connect_errors, 1);
        if (x->index < 64)
            x->tried |= UINT64_C(1) << x->index;
        else
            again = false;
        exchange_lap(x, ACCESS_CONNECT);
    }
    x->wants_fresh = x->is_sending;
    x->reason = why;
    exchange_let_go(x, false);
    if (!again)
        return STEP_REFUSE;
    stat_add(&stat->retries, 1);
    return STEP_PICK;
}
