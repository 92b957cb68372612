/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies, in both directions at once, beside the steps. What comes in at one end is queued at the
 * other, by reference, and written before the callback ends; credit for it is given at once while
 * the other end keeps up, else when it has drained. So each direction holds at most a window and a
 * backlog, whatever the size.
 */
#include "edge/exchange_impl.h"

/* --- pieces */

/* Queues a piece; what does not outlive the call is copied. */
static enum status queue(struct stream *to, const struct piece *piece)
{
    bool is_last = piece->last && !piece->trailers;
    struct wire *wire = to->wire;

    if ((piece->bytes.len || is_last) && to->codec->body(to, piece->bytes, is_last))
        return E_NOMEM;
    if (piece->bytes.len && !piece->is_lasting && outq_own(wire->out))
        return E_NOMEM;
    return piece->trailers ? to->codec->trailers(to, piece->trailers) : OK;
}

/* Gives a piece to one end, by way of the filters. That end may break while it takes it, and the
 * exchange with it: it is kept until this is over. False: it is gone, or will be by who runs it. */
static bool give(struct exchange *x, const struct piece *piece,
                 enum reason (*take)(struct exchange *x, const struct piece *piece),
                 enum reason *why)
{
    bool was_running = x->is_running;

    x->is_running = true;
    *why = take(x, piece);
    x->is_running = was_running;
    if (!x->is_over)
        return true;
    if (!was_running)
        exchange_destroy(x);
    return false;
}

static struct piece piece_of(struct str bytes, bool last)
{
    return (struct piece){.bytes = bytes, .last = last, .is_lasting = true};
}

static struct piece piece_of_trailers(struct head *trailers)
{
    return (struct piece){.bytes = STR(""), .trailers = trailers, .last = true, .is_lasting = true};
}

/* --- credit */

static void pay(struct stream *from, uint32_t *owed)
{
    if (!*owed || !from->wire)
        return;
    from->codec->credit(from, *owed);
    *owed = 0;
    exchange_touch(from);
}

static void pay_unless_behind(struct stream *from, uint32_t *owed, const struct stream *to)
{
    if (!to->wire || to->codec->backlog(to) < WIRE_HIGH_WATER)
        pay(from, owed);
}

void exchange_drained_down(struct stream *down)
{
    struct exchange *x = exchange_of(down);

    pay(x->up, &x->owed_up);
}

void exchange_drained_up(struct stream *up)
{
    struct exchange *x = up->owner;

    pay(&x->down, &x->owed_down);
}

/* --- the request's body */

static bool is_taken(const struct exchange *x)
{
    return x->is_sending && x->up->wire;
}

/* Keeps bytes for the target that is not there yet, or for another try. False: too many. */
static bool hold(struct exchange *x, struct str bytes)
{
    return !buf_append(&x->held, &x->host->loop->partials, bytes);
}

/* Whether there could be another try of what has been sent. */
static bool may_be_said_again(const struct exchange *x)
{
    const struct conf_retry *conf = &x->service->conf->retry;
    uint32_t safe = CONF_RETRY_CONNECT | CONF_RETRY_REFUSED_STREAM | CONF_RETRY_RESET_UNSENT;

    if (exchange_may_net(x, false))
        return true;
    if (!conf->is_on)
        return false;
    return x->target->may_refuse ||
           (method_is_idempotent(x->request->method) &&
            (x->target->is_reused || (conf->on & ~safe) || conf->hedge_ms));
}

/* Another try needs the whole body again: a small one of a request that may be repeated is kept. */
static bool is_worth_keeping(const struct exchange *x, size_t len)
{
    return len <= x->service->conf->retry.body && may_be_said_again(x);
}

static void forget_held(struct exchange *x)
{
    x->can_replay = false;
    buf_drop(&x->held, &x->host->loop->partials);
}

static void keep_for_replay(struct exchange *x, struct str bytes)
{
    if (x->can_replay && !(is_worth_keeping(x, x->held.len + bytes.len) && hold(x, bytes)))
        forget_held(x);
}

static bool is_too_large(const struct exchange *x)
{
    uint64_t limit = x->snapshot ? x->snapshot->rules->conf->limits.body : 0;

    return limit && x->bytes_in > limit;
}

/* As the target gets it: sent if there is one, else held. */
static enum reason put_request(void *owner, const struct piece *piece)
{
    struct exchange *x = owner;

    if (!x->is_tunnel) {
        x->held_last |= piece->last;
        x->held_trailers = piece->trailers;
    }
    if (is_taken(x)) {
        if (!x->is_tunnel && piece->bytes.len)
            keep_for_replay(x, piece->bytes);
        return queue(x->up, piece) ? REASON_MEMORY_LIMIT : REASON_NONE;
    }
    if (x->is_answering)
        return REASON_NONE;
    return hold(x, piece->bytes) ? exchange_sleep_bytes(x, piece->bytes.len) : REASON_MEMORY_LIMIT;
}

static enum reason pass_request(struct exchange *x, const struct piece *piece)
{
    return x->walk.edits_request ? chain_request_body(&x->walk, piece) : put_request(x, piece);
}

/* RFC 9110 10.1.1: the target, which would say it, is not asked before the body is here. */
static enum status say_continue(struct exchange *x)
{
    const struct head head = {.status = 100, .phrase = STR("Continue"), .minor = 1};

    x->awaits_continue = x->request->expects_continue = false;
    head_remove(x->request, HDR_EXPECT);
    if (x->down.codec->interim(&x->down, &head))
        return E_NOMEM;
    exchange_touch(&x->down);
    return OK;
}

enum status exchange_begin_hold(struct exchange *x)
{
    x->is_holding = true;
    pay(&x->down, &x->owed_down);
    return x->awaits_continue ? say_continue(x) : OK;
}

/* What is kept of the body is bounded by those that want it whole. */
static void hold_on(struct exchange *x)
{
    pay(&x->down, &x->owed_down);
    if (x->held_last)
        exchange_run(x, STEP_ASK);
}

static void take_request(struct exchange *x, const struct piece *piece)
{
    enum reason why;

    if (!give(x, piece, pass_request, &why))
        return;
    if (x->is_sending && !x->up->wire) { // the target's stream broke while it took the piece
        exchange_run(x, exchange_retry(x, x->reason ? x->reason : REASON_CONNECTION_TERMINATED));
        return;
    }
    if (why) {
        exchange_fail(x, why);
        return;
    }
    if (x->is_holding) {
        hold_on(x);
        return;
    }
    if (!is_taken(x)) {
        x->was_behind = true;
        return;
    }
    exchange_touch(x->up);
    pay_unless_behind(&x->down, &x->owed_down, x->up);
    x->was_behind |= x->owed_down > 0;
    if (x->is_tunnel && x->down_ended && x->up_ended)
        exchange_run(x, STEP_RELAY);
}

void exchange_take_request_body(struct stream *down, struct str bytes, bool last)
{
    struct exchange *x = exchange_of(down);
    struct piece piece = piece_of(bytes, last);

    x->bytes_in += bytes.len;
    x->owed_down += (uint32_t)bytes.len;
    x->active_us = x->host->loop->now_us;
    x->down_ended |= last;
    if (x->is_own || x->is_over) { // answered without it: read on and forget
        pay(&x->down, &x->owed_down);
        if (last)
            exchange_run(x, STEP_RELAY);
        return;
    }
    if (!x->is_tunnel && is_too_large(x))
        exchange_fail(x, REASON_BODY_TOO_LARGE);
    else
        take_request(x, &piece);
}

void exchange_take_request_trailers(struct stream *down, struct head *trailers)
{
    struct exchange *x = exchange_of(down);
    struct piece piece = piece_of_trailers(trailers);

    x->down_ended = true;
    if (x->is_own || x->is_over)
        exchange_run(x, STEP_RELAY);
    else
        take_request(x, &piece);
}

enum reason exchange_edit_held(struct exchange *x)
{
    struct buf came = x->held;
    struct piece piece = {.bytes = {came.len ? came.p : "", came.len},
                          .trailers = x->held_trailers,
                          .last = x->held_last};
    enum reason why;

    if (!came.len && !x->held_trailers && (!x->held_last || x->came_whole))
        return REASON_NONE;
    x->held = (struct buf){0};
    x->held_trailers = NULL;
    x->held_last = false;
    why = chain_request_body(&x->walk, &piece);
    buf_drop(&came, &x->host->loop->partials);
    return why;
}

enum status exchange_send_held(struct exchange *x)
{
    bool is_last = x->held_last && !x->held_trailers;
    struct wire *wire = x->up->wire;

    if (x->held.len && x->up->codec->body(x->up, (struct str){x->held.p, x->held.len}, is_last))
        return E_NOMEM;
    if (x->held_trailers && x->up->codec->trailers(x->up, x->held_trailers))
        return E_NOMEM;
    pay(&x->down, &x->owed_down);
    if (outq_own(wire->out)) // what is held may grow or go before it is written
        return E_NOMEM;
    if (x->held.len && !is_worth_keeping(x, x->held.len))
        forget_held(x);
    return OK;
}

/* --- the answer's body */

/* As the client gets it. */
static enum reason put_answer(void *owner, const struct piece *piece)
{
    struct exchange *x = owner;

    x->bytes_out += piece->bytes.len;
    return queue(&x->down, piece) ? REASON_MEMORY_LIMIT : REASON_NONE;
}

enum reason exchange_put_answer(struct exchange *x, const struct piece *piece)
{
    return x->walk.edits_response ? chain_response_body(&x->walk, piece) : put_answer(x, piece);
}

static const struct peer_cert *peer_cert(void *owner)
{
    const struct exchange *x = owner;

    return x->origin->peer_cert ? x->origin->peer_cert(x->origin) : NULL;
}

const struct chain_ends exchange_ends = {
    .request = put_request,
    .response = put_answer,
    .resume = exchange_resume_ask,
    .peer_cert = peer_cert,
};

static void take_answer(struct exchange *x, const struct piece *piece)
{
    enum reason why;

    x->up_ended |= piece->last;
    if (!x->is_answering || x->is_own || !x->down.wire) {
        pay(x->up, &x->owed_up);
        return;
    }
    if (!give(x, piece, exchange_put_answer, &why))
        return;
    if (why) {
        exchange_abort(x, why);
        return;
    }
    exchange_touch(&x->down);
    pay_unless_behind(x->up, &x->owed_up, &x->down);
    if (piece->last)
        exchange_run(x, STEP_RELAY);
    else if (x->walk.edits_response)
        loop_pause_set(x->host->loop, &x->pause);
}

static enum reason pause_answer(struct exchange *x, const struct piece *piece)
{
    (void)piece;
    return chain_response_pause(&x->walk);
}

void exchange_on_pause(struct loop_pause *pause)
{
    struct exchange *x = CONTAINER_OF(pause, struct exchange, pause);
    enum reason why;

    if (x->is_over || x->up_ended || !x->is_answering || !x->walk.edits_response || !x->down.wire)
        return;
    if (!give(x, NULL, pause_answer, &why))
        return;
    if (why)
        exchange_abort(x, why);
    else
        exchange_touch(&x->down);
}

void exchange_take_answer_body(struct stream *up, struct str bytes, bool last)
{
    struct exchange *x = up->owner;
    struct piece piece = piece_of(bytes, last);

    x->owed_up += (uint32_t)bytes.len;
    x->active_us = x->host->loop->now_us;
    take_answer(x, &piece);
}

void exchange_take_answer_trailers(struct stream *up, struct head *trailers)
{
    struct piece piece = piece_of_trailers(trailers);
    struct exchange *x = up->owner;

    if (exchange_is_bad_grpc(x, trailers))
        exchange_charge(x, true, 0);
    take_answer(x, &piece);
}

/* --- tunnels (RFC 9110 7.8): copy what is needed of the snapshot and let it go, a tunnel may live
 * for days */

void exchange_begin_tunnel(struct exchange *x)
{
    struct conf_route *route = arena_zero(&x->arena, 1, sizeof(*route));

    x->is_tunnel = true;
    x->walk.edits_request = x->walk.edits_response = false;
    loop_timer_unset(&x->deadline);
    x->down_ended = x->up_ended = false;
    x->up->codec->tunnel(x->up); // first: what came early from the client goes there
    x->down.codec->tunnel(&x->down);
    if (x->is_over)
        return;
    exchange_touch(x->up);
    if (!route || !exchange_copy_labels(x))
        goto out; // keeps its snapshot
    route->timeouts = x->route->timeouts;
    x->kept = x->release->targets[x->index].endpoint;
    endpoint_ref(x->kept);
    chain_end(&x->walk); // its filters' configuration goes with the snapshot
    x->walk = (struct chain_walk){0};
    exchange_unpin(x);
    x->route = route;
out:
    if (x->down.wire)
        conn_resume(x->down.wire->owner); // what came right behind the request
}
