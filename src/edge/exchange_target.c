/* SPDX-License-Identifier: Apache-2.0
 *
 * The middle steps once there is a target: a connection to it (CONNECT), the request on its way
 * (SEND).
 */
#include "edge/auth/credential.h"
#include "edge/upstream/edge_sign.h"
#include "edge/exchange_impl.h"
#include "edge/exchange_trace.h"
#include "edge/trust.h"

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
    struct endpoint *endpoint = exchange_endpoint(x);
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

static struct str host_for(const struct exchange *x, const struct endpoint *endpoint)
{
    const struct conf_service *conf = x->service->conf;

    if (conf->host == CONF_HOST_TARGET)
        return endpoint->address;
    if (conf->host == CONF_HOST_NAME)
        return conf->host_name.s;
    return x->request->authority;
}

enum status exchange_say_subject(struct exchange *x)
{
    const struct exchange_origin *origin = x->origin;

    if (!origin->cert_header.len)
        return OK;
    credential_clear_field(x->request, origin->cert_header);
    if (!origin->cert_subject.len)
        return OK;
    return head_add(x->request, &x->arena, origin->cert_header, origin->cert_subject);
}

/* What every target is told (INTERFACE: headers to the target). What the client claims itself is
 * not passed on, and of X-Forwarded-For only the one address that all here goes by. */
static enum status add_forwarded(struct exchange *x, struct head *head)
{
    struct arena *arena = &x->arena;
    struct str via = exchange_via(x, x->request);
    struct str had = head_value(head, HDR_VIA);
    struct str host = x->caller->host.p ? x->caller->host : x->request->authority;

    if (x->caller->is_told)
        trust_strip_addresses(head, x->vouched);
    else
        trust_strip(head);
    if (exchange_say_subject(x)) // again: nor what filters claim
        return E_NOMEM;
    if (had.p)
        via = arena_format(arena, "%.*s, %.*s", STR_FMT(had), STR_FMT(via));
    if (!via.p || head_set(head, arena, STR("X-Forwarded-For"), x->caller->text) ||
        head_set(head, arena, STR("X-Forwarded-Proto"), x->caller->scheme) ||
        head_set(head, arena, STR("X-Forwarded-Host"), host) ||
        head_set(head, arena, STR("X-Request-Id"), x->id) || head_set(head, arena, STR("Via"), via))
        return E_NOMEM;
    return OK;
}

static enum status sign(struct exchange *x, struct head *head)
{
    struct str value = edge_sign(x->service->signer, &x->arena, head, x->caller->text,
                                 loop_wall_ms(x->host->loop));

    return value.p ? head_set(head, &x->arena, edge_sign_field, value) : E_NOMEM;
}

/* Once: what the target gets is derived from the request, which stays as the client said it in
 * x->request. */
static enum status prepare(struct exchange *x)
{
    struct head *head = x->request;

    head_strip_hop_by_hop(head, head->is_upgrade);
    if (x->rule)
        head->path = route_rewrite(x->snapshot->rules->table,
                                   (uint32_t)(x->rule - x->snapshot->rules->list), head, &x->arena);
    if (!head->path.p || add_forwarded(x, head))
        return E_NOMEM;
    return x->service->signer ? sign(x, head) : OK;
}

enum status exchange_say_head(struct exchange *x, struct stream *up,
                              const struct endpoint *endpoint, uint64_t span)
{
    struct head head = *x->request;
    bool is_last = x->held_last && !x->held.len && !x->held_trailers;

    head.authority = host_for(x, endpoint);
    head.scheme = x->service->tls ? STR("https") : STR("http");
    if (exchange_trace_say(x, &head, span))
        return E_NOMEM;
    up->is_head = head.method == METHOD_HEAD;
    return up->codec->head(up, &head, is_last);
}

enum step exchange_step_send(struct exchange *x)
{
    struct wire *wire = x->target->conn.wire;
    enum status status;

    if (!x->is_prepared && prepare(x))
        return exchange_refused(x, REASON_HEADERS_TOO_LARGE);
    x->is_prepared = true;
    x->up->received = x->up->sent = x->up->in_tunnel = false;
    if (wire->codec->begin(wire, x->up))
        return exchange_retry(x, REASON_CONNECTION_TERMINATED);
    x->is_sending = true;
    x->sent_us = x->active_us = x->host->loop->now_us;
    status = exchange_say_head(x, x->up, exchange_endpoint(x), 0);
    if (!status)
        status = exchange_send_held(x);
    if (!x->up->wire)
        return exchange_retry(x, x->reason ? x->reason : REASON_CONNECTION_TERMINATED);
    if (status)
        return exchange_refused(x, status == E_DENIED ? REASON_HTTP_UPGRADE_FAILED
                                                      : REASON_MEMORY_LIMIT);
    exchange_touch(x->up);
    exchange_arm_hedge(x);
    if (exchange_answer_ms(x))
        loop_timer_set(x->host->loop, &x->timer, exchange_answer_ms(x));
    return STEP_WAIT;
}
