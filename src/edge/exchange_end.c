/* SPDX-License-Identifier: Apache-2.0
 *
 * How an exchange ends: DONE when both ends are complete, an abort when one breaks. Either way it
 * is counted and logged once, lets go of all it holds, and its memory goes back.
 */
#include "edge/exchange_impl.h"
#include "edge/exchange_trace.h"

/* --- sight */

static void count(const struct exchange *x, uint64_t total_us)
{
    unsigned worker = x->host->loop->worker;
    struct stat_route *route = stats_route(x->host->stats, worker, x->route_slot);

    if (x->is_routed)
        stat_gauge(&route->in_flight, -1);
    stat_add(&route->codes[stat_code_index(x->status)], 1);
    stat_add(&route->bytes_in, x->bytes_in);
    stat_add(&route->bytes_out, x->bytes_out);
    if (x->reason)
        stat_add(&route->refused[x->reason], 1);
    stat_observe(&route->duration, total_us);
}

/* Towards the objectives of the service that the route names, also where its fallback answered.
 * What has let go of the configuration is a tunnel, which has no end that counts. */
static void count_objectives(const struct exchange *x, uint64_t total_us)
{
    const struct service *service;
    const struct conf_slo *slo;
    int percentile;
    bool is_late;

    if (!x->rule || x->rule->service < 0 || x->is_tunnel)
        return;
    service = &x->snapshot->services[x->rule->service];
    slo = &service->conf->slo;
    if (!slo->is_set)
        return;
    percentile = conf_slo_percentile(slo);
    is_late = percentile >= 0 && total_us - x->phase_us[ACCESS_RELAY] >
                                     (uint64_t)slo->latency.within_ms[percentile] * 1000;
    demand_answer(service->demand, x->host->loop->worker, x->status >= 500, is_late);
}

static void count_target(const struct exchange *x)
{
    struct stat_target *target =
        stats_target(x->host->stats, x->host->loop->worker, x->target_slot);

    stat_add(&target->codes[stat_code_index(x->status)], 1);
    stat_observe(&target->duration, x->host->loop->now_us - x->sent_us);
}

static struct str host_of(const struct exchange *x)
{
    return x->request ? x->request->authority : STR_NONE;
}

/* All but what its trace adds. */
static void fill_record(const struct exchange *x, uint64_t total_us, struct access_record *record)
{
    const struct head *request = x->request;

    *record = (struct access_record){
        .time_ms = loop_wall_ms(x->host->loop) - total_us / 1000,
        .total_us = total_us,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .generation = x->generation,
        .status = x->status,
        .reason = (uint8_t)x->reason,
        .cold_us = x->cold_us,
        .attempts = x->attempts,
        .minor = request ? request->minor : 1,
        .request_id = x->id,
        .client = x->caller->text,
        .host = host_of(x),
        .route = x->route_label,
        .service = x->service_name,
        .release = x->release_id,
        .target = x->target_id,
        .is_secure = x->caller->scheme.len == 5, // "https"
    };
    if (x->tries)
        record->tries = x->tries->text;
    for (unsigned i = 0; i < ACCESS_PHASES; i++)
        record->phase_us[i] = x->phase_us[i];
    if (request) {
        record->method = request->method_name;
        record->path = x->path;
        record->query = chain_is_cut(&x->walk) ? STR_NONE : request->query;
        record->user_agent = head_value(request, HDR_USER_AGENT);
        record->referer = head_value(request, HDR_REFERER);
    }
}

static void keep_record(struct exchange *x, uint64_t total_us)
{
    bool is_logged = access_wants(x->host->ring, x->status);
    bool is_traced = exchange_trace_is_kept(x, total_us);
    struct access_record record;

    if (!is_logged && !is_traced)
        return;
    fill_record(x, total_us, &record);
    if (is_traced)
        exchange_trace_end(x, &record);
    if (is_logged)
        access_write(x->host->ring, &record);
}

static void report(struct exchange *x)
{
    uint64_t total_us = x->host->loop->now_us - x->began_us;

    if (x->answer_began || x->is_own)
        exchange_lap(x, ACCESS_RELAY);
    if (!x->status)
        x->status = reason_info(x->reason)->status;
    if (x->is_silent && !x->rule && x->answer_began)
        count_target(x); // an errand's
    if (x->is_silent)
        return;
    if (x->tries && x->answer_began)
        exchange_note_try(x, reason_info(x->reason)->slug, x->response->status);
    count(x, total_us);
    count_objectives(x, total_us);
    if (x->answer_began)
        count_target(x);
    keep_record(x, total_us);
    exchange_keep_why(x);
}

/* --- letting go */

void exchange_unpin(struct exchange *x)
{
    struct snapshot *snapshot = x->snapshot, *view = x->view;

    x->snapshot = x->view = NULL;
    x->rule = NULL;
    x->route = NULL;
    x->trust = NULL;
    x->service = NULL;
    x->release = NULL;
    if (view)
        snapshot_unpin(view, x->host->loop->worker);
    if (snapshot)
        snapshot_unpin(snapshot, x->host->loop->worker);
}

bool exchange_copy_labels(struct exchange *x)
{
    struct str route = arena_copy(&x->arena, x->route_label);
    struct str service = arena_copy(&x->arena, x->service_name);
    struct str release = arena_copy(&x->arena, x->release_id);

    if (!route.p || !service.p || !release.p)
        return false;
    x->route_label = route;
    x->service_name = service;
    x->release_id = release;
    return true;
}

static void leave_origin(const struct exchange *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        x->origin->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

void exchange_destroy(struct exchange *x)
{
    struct exchange_host *host = x->host;

    x->is_over = true;
    leave_origin(x);
    loop_pause_unset(&x->pause);
    loop_timer_remove(host->loop, &x->timer);
    loop_timer_remove(host->loop, &x->hedge_timer);
    loop_timer_remove(host->loop, &x->deadline);
    chain_end(&x->walk);
    buf_drop(&x->held, &host->loop->partials);
    if (x->kept)
        endpoint_unref(&x->kept);
    exchange_unpin(x);
    __atomic_store_n(&host->in_flight, host->in_flight - 1, __ATOMIC_RELAXED);
    arena_reset(&x->arena);
    slab_give(&host->loop->exchanges, x);
}

enum step exchange_step_done(struct exchange *x)
{
    struct conn *client = x->down.wire ? x->down.wire->owner : NULL;
    bool is_good = !x->is_tunnel && x->answer_began && x->up->received && x->up->sent;

    report(x);
    x->is_over = true;
    exchange_let_go(x, is_good);
    if (x->down.wire)
        x->down.codec->detach(&x->down);
    exchange_destroy(x);
    if (client) {
        conn_touch(client);
        conn_resume(client);
    }
    return STEP_WAIT;
}

void exchange_abort(struct exchange *x, enum reason why)
{
    struct conn *client = x->down.wire ? x->down.wire->owner : NULL;
    bool is_told;

    if (x->is_over)
        return;
    x->reason = why;
    x->is_over = true; // whatever the client's end does now
    is_told = exchange_end_grpc(x);
    exchange_leave_queue(x);
    exchange_end_sleep(x, DEMAND_DROPPED);
    pool_cancel(&x->opening);
    report(x);
    exchange_let_go(x, false);
    if (x->down.wire && is_told)
        x->down.codec->detach(&x->down);
    else if (x->down.wire)
        x->down.codec->reset(&x->down, why);
    if (client)
        conn_touch(client);
    if (x->is_running)
        return; // exchange_run() ends it
    exchange_destroy(x);
}
