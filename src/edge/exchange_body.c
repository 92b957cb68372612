/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies, in both directions at once, beside the steps. What comes in at one end is queued at the
 * other, by reference, and written before the callback ends; credit for it is given at once while
 * the other end keeps up, else when it has drained. So each direction holds at most a window and a
 * backlog, whatever the size.
 */
#include "edge/exchange_impl.h"

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

    pay(&x->up, &x->owed_up);
}

void exchange_drained_up(struct stream *up)
{
    struct exchange *x = CONTAINER_OF(up, struct exchange, up);

    pay(&x->down, &x->owed_down);
}

/* --- the request's body */

/* Keeps bytes for the target that is not there yet, or for another try. False: too many. */
static bool hold(struct exchange *x, struct str bytes)
{
    return !buf_append(&x->held, &x->host->loop->partials, bytes);
}

/* Another try needs the whole body again: keep a small one of a request that may be repeated. */
static void keep_for_replay(struct exchange *x, struct str bytes)
{
    if (!x->can_replay)
        return;
    if ((x->target->may_refuse ||
         (method_is_idempotent(x->request->method) && x->target->is_reused)) &&
        x->held.len + bytes.len <= EXCHANGE_REPLAY_MAX && hold(x, bytes))
        return;
    x->can_replay = false;
    buf_drop(&x->held, &x->host->loop->partials);
}

static bool is_too_large(const struct exchange *x)
{
    uint64_t limit = x->snapshot ? x->snapshot->rules->conf->limits.body : 0;

    return limit && x->bytes_in > limit;
}

/* False: the exchange is gone. */
static bool forward_request(struct exchange *x, struct str bytes, bool last)
{
    if (!x->is_tunnel && bytes.len)
        keep_for_replay(x, bytes);
    if (x->up.codec->body(&x->up, bytes, last)) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return false;
    }
    exchange_touch(&x->up);
    pay_unless_behind(&x->down, &x->owed_down, &x->up);
    x->was_behind |= x->owed_down > 0;
    return true;
}

static void end_tunnel_if_over(struct exchange *x)
{
    if (x->is_tunnel && x->down_ended && x->up_ended)
        exchange_run(x, STEP_RELAY);
}

void exchange_take_request_body(struct stream *down, struct str bytes, bool last)
{
    struct exchange *x = exchange_of(down);

    x->bytes_in += bytes.len;
    x->owed_down += (uint32_t)bytes.len;
    x->active_us = x->host->loop->now_us;
    x->down_ended |= last;
    x->held_last |= last && !x->is_tunnel;
    if (x->is_own || x->is_over) { // answered without it: read on and forget
        pay(&x->down, &x->owed_down);
        if (last)
            exchange_run(x, STEP_RELAY);
        return;
    }
    if (!x->is_tunnel && is_too_large(x)) {
        exchange_fail(x, REASON_BODY_TOO_LARGE);
        return;
    }
    if (x->is_sending && x->up.wire) {
        if (forward_request(x, bytes, last))
            end_tunnel_if_over(x);
        return;
    }
    if (x->is_answering)
        return;
    x->was_behind = true;
    if (!hold(x, bytes))
        exchange_fail(x, REASON_MEMORY_LIMIT);
}

void exchange_take_request_trailers(struct stream *down, struct head *trailers)
{
    struct exchange *x = exchange_of(down);

    x->held_trailers = trailers;
    x->held_last = x->down_ended = true;
    if (!x->is_sending || !x->up.wire)
        return;
    if (x->up.codec->trailers(&x->up, trailers))
        exchange_abort(x, REASON_MEMORY_LIMIT);
    else
        exchange_touch(&x->up);
}

enum status exchange_send_held(struct exchange *x)
{
    bool is_last = x->held_last && !x->held_trailers;
    struct wire *wire = x->up.wire;

    if (x->held.len && x->up.codec->body(&x->up, (struct str){x->held.p, x->held.len}, is_last))
        return E_NOMEM;
    if (x->held_trailers && x->up.codec->trailers(&x->up, x->held_trailers))
        return E_NOMEM;
    pay(&x->down, &x->owed_down);
    return outq_own(wire->out); // what is held may grow or go before it is written
}

/* --- the answer's body */

void exchange_take_answer_body(struct stream *up, struct str bytes, bool last)
{
    struct exchange *x = CONTAINER_OF(up, struct exchange, up);

    x->bytes_out += bytes.len;
    x->owed_up += (uint32_t)bytes.len;
    x->active_us = x->host->loop->now_us;
    x->up_ended |= last;
    if (!x->is_answering || x->is_own || !x->down.wire) {
        pay(&x->up, &x->owed_up);
        return;
    }
    if (x->down.codec->body(&x->down, bytes, last)) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return;
    }
    exchange_touch(&x->down);
    pay_unless_behind(&x->up, &x->owed_up, &x->down);
    if (last)
        exchange_run(x, STEP_RELAY);
}

void exchange_take_answer_trailers(struct stream *up, struct head *trailers)
{
    struct exchange *x = CONTAINER_OF(up, struct exchange, up);

    x->up_ended = true;
    if (!x->is_answering || x->is_own || !x->down.wire)
        return;
    if (x->down.codec->trailers(&x->down, trailers)) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return;
    }
    exchange_touch(&x->down);
    exchange_run(x, STEP_RELAY);
}

/* --- tunnels (RFC 9110 7.8): copy what is needed of the snapshot and let it go, a tunnel may live
 * for days */

void exchange_begin_tunnel(struct exchange *x)
{
    struct conf_route *route = arena_zero(&x->arena, 1, sizeof(*route));

    x->is_tunnel = true;
    x->down.codec->tunnel(&x->down);
    x->up.codec->tunnel(&x->up);
    x->down_ended = x->up_ended = false;
    exchange_touch(&x->up);
    if (!route || !exchange_copy_labels(x))
        goto out; // keeps its snapshot
    route->timeouts = x->route->timeouts;
    x->kept = x->service->targets[x->index].endpoint;
    endpoint_ref(x->kept);
    chain_end(&x->walk); // its filters' configuration goes with the snapshot
    x->walk = (struct chain_walk){0};
    exchange_unpin(x);
    x->route = route;
out:
    if (x->down.wire)
        conn_resume(x->down.wire->owner); // what came right behind the request
}
