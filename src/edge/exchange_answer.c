/* SPDX-License-Identifier: Apache-2.0
 *
 * The last steps of a good request: the target's head is in (ANSWER), the client gets it (TELL),
 * the rest flows (RELAY).
 */
#include "edge/exchange_impl.h"
#include "http/grpc.h"

enum { DISCARD_MAX = 64 * 1024 };

enum step exchange_step_answer(struct exchange *x)
{
    enum step next;

    exchange_note_answer(x);
    exchange_tell_answered(x);
    exchange_drop_hedge(x);
    if (exchange_retry_answer(x, &next))
        return next;
    x->answer_began = true;
    x->reason = REASON_NONE; // of tries before this one
    exchange_lap(x, ACCESS_ANSWER);
    buf_drop(&x->held, &x->host->loop->partials);
    x->can_replay = false;
    if (x->response->status == 101 && (!x->request->is_upgrade || !x->down.received))
        return exchange_refused(x, REASON_HTTP_UPGRADE_FAILED);
    if (x->down.must_switch && x->response->status / 100 == 2)
        return exchange_refused(x, REASON_HTTP_UPGRADE_FAILED);
    return STEP_TELL;
}

enum status exchange_give_cookie(struct exchange *x, struct str name, uint64_t number,
                                 uint64_t max_age_ms)
{
    struct str cookie, age = STR("");

    if (max_age_ms)
        age = arena_format(&x->arena, "; Max-Age=%llu", (unsigned long long)(max_age_ms / 1000));
    cookie = arena_format(&x->arena, "%.*s=%016llx; Path=/; HttpOnly; SameSite=Lax%s%.*s",
                          STR_FMT(name), (unsigned long long)number,
                          x->caller->scheme.len == 5 ? "; Secure" : "", STR_FMT(age));
    return cookie.p && age.p ? head_add(x->response, &x->arena, STR("Set-Cookie"), cookie)
                             : E_NOMEM;
}

/* The cookie that sends the client to this target again; one that has the right one keeps it. */
static enum status stick(struct exchange *x)
{
    const struct conf_sticky *conf = &x->service->conf->sticky;
    uint64_t hash = exchange_target_hash(x);

    return hash == x->sticky ? OK : exchange_give_cookie(x, conf->cookie.s, hash, conf->max_age_ms);
}

/* RFC 9110 6.6.1: an answer without Date gets one; 7.6.3: Via. */
static enum status finish_head(struct exchange *x)
{
    struct head *head = x->response;
    struct str had = head_value(head, HDR_VIA), via = exchange_via(x, head);

    if (!head_find(head, HDR_DATE) &&
        head_add(head, &x->arena, STR("Date"),
                 arena_copy(&x->arena,
                            clock_http_date(&x->host->date, loop_wall_ms(x->host->loop)))))
        return E_NOMEM;
    if (head_set(head, &x->arena, STR("X-Request-Id"), x->id))
        return E_NOMEM;
    if (x->origin->hsts.len &&
        head_set(head, &x->arena, STR("Strict-Transport-Security"), // RFC 6797
                 x->origin->hsts))
        return E_NOMEM;
    if (x->is_own)
        return OK;
    if (x->service && x->service->conf->sticky.is_on && stick(x))
        return E_NOMEM;
    if ((x->service && exchange_say_release(x)) || exchange_say_sleep(x))
        return E_NOMEM;
    if (had.p)
        via = arena_format(&x->arena, "%.*s, %.*s", STR_FMT(had), STR_FMT(via));
    return via.p ? head_set(head, &x->arena, STR("Via"), via) : E_NOMEM;
}

/* An answer of our own need not cost the connection when little is left of the request's body: it
 * is read and thrown away. Not after faults of the message itself, when nothing more of it is to be
 * believed. */
static bool may_discard(const struct exchange *x)
{
    unsigned status = x->reason ? reason_info(x->reason)->status : 0;
    bool is_sound = !status || status == 404 || status == 405 || (status >= 502 && status <= 504);

    return x->is_own && is_sound && x->request && !x->awaits_continue &&
           x->request->content_length > 0 && x->request->content_length <= DISCARD_MAX;
}

/* Else what is left of the body would be read as the next request, or read for nothing. */
static bool must_close(const struct exchange *x)
{
    return x->host->is_draining || (!x->down.received && !x->is_discarding);
}

static enum status send_reply_body(struct exchange *x)
{
    const struct piece piece = {.bytes = x->reply.body, .last = true}; // goes with the exchange

    x->up_ended = true;
    if (!x->reply.body.len || x->down.is_head)
        return OK;
    return exchange_put_answer(x, &piece) ? E_NOMEM : OK;
}

/* 101, and 426 which says what to upgrade to (RFC 9110 15.5.22). */
static bool keeps_upgrade(const struct head *answer)
{
    return answer->status == 101 || answer->status == 426;
}

/* What is logged and counted is what the target or the gateway says, whatever form filters and gRPC
 * give it: a refused call is 503 there, and HTTP 200 to its client. */
static void note_answer(struct exchange *x)
{
    struct str type = head_value(x->response, HDR_CONTENT_TYPE);

    x->status = x->is_own ? x->reply.status : x->response->status;
    x->ends_in_grpc = !x->is_own && x->grpc_type.p && grpc_read_type(type, NULL) == GRPC_PLAIN;
}

/* What is refused before its filters were asked: they are told of it all the same, as far as memory
 * goes. */
static void start_late_walk(struct exchange *x)
{
    enum status status = OK;

    if (x->is_own && x->reason && x->request && x->snapshot && !x->walk.chain && !x->is_silent)
        status = exchange_start_walk(x);
    if (status)
        x->walk.visits = NULL;
}

static bool is_bodiless(const struct exchange *x)
{
    return x->is_own ? !x->reply.body.len || x->down.is_head : x->up_ended;
}

enum step exchange_step_tell(struct exchange *x)
{
    struct visit *visit;

    if (!x->is_own)
        head_strip_hop_by_hop(x->response, keeps_upgrade(x->response));
    note_answer(x);
    start_late_walk(x);
    x->down.is_head = x->request && x->request->method == METHOD_HEAD;
    x->walk.is_bodiless = is_bodiless(x);
    if (chain_response(&x->walk, x->response, x->is_own, &visit) != VERDICT_PASS && !x->is_own) {
        exchange_let_go(x, false);
        return exchange_refused(x, visit->reason ? visit->reason : REASON_INTERNAL_ERROR);
    }
    x->is_discarding = !x->down.received && may_discard(x);
    x->down.close_after = must_close(x) && x->response->status != 101;
    x->is_answering = true;
    x->active_us = x->host->loop->now_us;
    if (finish_head(x) || x->down.codec->head(&x->down, x->response, is_bodiless(x)) ||
        (x->is_own && send_reply_body(x))) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return STEP_WAIT;
    }
    exchange_touch(&x->down);
    if (x->response->status == 101)
        exchange_begin_tunnel(x);
    return STEP_RELAY;
}

/* Everything the client is to get is queued; a tunnel, and a body being discarded, want the
 * client's end, too. */
static bool is_complete(const struct exchange *x)
{
    return x->up_ended && (x->down_ended || (!x->is_tunnel && !x->is_discarding));
}

uint32_t exchange_idle_ms(const struct exchange *x)
{
    if (x->is_tunnel)
        return x->route->timeouts.tunnel_idle_ms;
    return x->route ? x->route->timeouts.stream_idle_ms
                    : x->snapshot->rules->conf->timeouts.stream_idle_ms;
}

uint32_t exchange_answer_ms(const struct exchange *x)
{
    uint32_t whole_ms = x->route->timeouts.first_byte_ms;
    uint32_t try_ms = x->service->conf->retry.is_on ? x->service->conf->retry.per_try_ms : 0;

    if (whole_ms && x->netted_us) { // the release on trial had its part of it
        uint64_t used_ms = (x->netted_us - x->first_us) / 1000;

        whole_ms = used_ms < whole_ms ? whole_ms - (uint32_t)used_ms : 1;
    }
    return try_ms && (!whole_ms || try_ms < whole_ms) ? try_ms : whole_ms;
}

enum step exchange_step_relay(struct exchange *x)
{
    uint32_t idle_ms;

    if (is_complete(x))
        return STEP_DONE;
    idle_ms = exchange_idle_ms(x);
    if (idle_ms)
        loop_timer_set(x->host->loop, &x->timer, idle_ms);
    else
        loop_timer_unset(&x->timer);
    return STEP_WAIT;
}
