/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of contents of the data plane: what happens to a request, in order.
 *
 *   HEAD -> ROUTE -> ASK -> PICK -> CONNECT -> SEND -> ANSWER -> TELL -> RELAY -> DONE
 *                     |       ^_________|________|                ^
 *                     |         another try                       |
 *                     +--> REFUSE, or an answer of our own -------+
 *
 * A step returns the next one, or WAIT when an event of a stream, a connection or the timer must
 * come first. Bodies flow beside the steps (exchange_body.c), in both directions at once.
 */
#include "edge/exchange_impl.h"

#include <assert.h>
#include <string.h>

struct step_entry {
    const char *name;
    enum step (*run)(struct exchange *x);
};

static const struct step_entry steps[] = {
    [STEP_HEAD] = {"head", exchange_step_head},
    [STEP_ROUTE] = {"route", exchange_step_route},
    [STEP_ASK] = {"ask", exchange_step_ask},
    [STEP_PICK] = {"pick", exchange_step_pick},
    [STEP_CONNECT] = {"connect", exchange_step_connect},
    [STEP_SEND] = {"send", exchange_step_send},
    [STEP_ANSWER] = {"answer", exchange_step_answer},
    [STEP_TELL] = {"tell", exchange_step_tell},
    [STEP_RELAY] = {"relay", exchange_step_relay},
    [STEP_REFUSE] = {"refuse", exchange_step_refuse},
    [STEP_DONE] = {"done", exchange_step_done},
};

void exchange_run(struct exchange *x, enum step step)
{
    if (x->is_running || x->is_over)
        return;
    x->is_running = true;
    while (step != STEP_WAIT) {
        bool is_last = step == STEP_DONE;

        assert((size_t)step < ARRAY_LEN(steps));
        x->step = step;
        step = steps[step].run(x);
        if (is_last)
            return; // x is gone
        if (x->is_over) {
            exchange_destroy(x);
            return;
        }
    }
    x->is_running = false;
}

enum step exchange_refused(struct exchange *x, enum reason why)
{
    x->reason = why;
    return STEP_REFUSE;
}

void exchange_lap(struct exchange *x, enum access_phase phase)
{
    uint64_t now = x->host->loop->now_us;

    x->phase_us[phase] += (uint32_t)(now - x->mark_us);
    x->mark_us = now;
}

void exchange_touch(const struct stream *stream)
{
    if (stream->wire && stream->wire->owner) // an errand's has no connection
        conn_touch(stream->wire->owner);
}

struct str exchange_via(const struct exchange *x, const struct head *head)
{
    return x->host->via[head->minor == HEAD_HTTP2 ? 2 : head->minor != 0];
}

size_t exchange_size(void)
{
    return sizeof(struct exchange);
}

struct exchange *exchange_of(struct stream *down)
{
    return CONTAINER_OF(down, struct exchange, down);
}

/* --- events of the client's stream */

static void on_request(struct stream *down, struct head *head, bool last)
{
    struct exchange *x = exchange_of(down);

    x->request = head;
    x->held_last = x->down_ended = x->came_whole = last;
    exchange_run(x, STEP_HEAD);
}

static void on_refuse(struct stream *down, struct head *head, enum reason why)
{
    struct exchange *x = exchange_of(down);

    if (!x->request)
        x->request = head;
    exchange_fail(x, why);
}

static void on_client_gone(struct stream *down, enum reason why)
{
    exchange_abort(exchange_of(down), why);
}

static const struct sink down_sink = {
    .on_head = on_request,
    .on_body = exchange_take_request_body,
    .on_trailers = exchange_take_request_trailers,
    .on_refuse = on_refuse,
    .on_reset = on_client_gone,
    .on_drain = exchange_drained_down,
};

/* --- events of the target's stream */

static void on_answer(struct stream *up, struct head *head, bool last)
{
    struct exchange *x = up->owner;

    x->response = head;
    x->up_ended = last;
    exchange_run(x, STEP_ANSWER);
}

/* 1xx heads go straight through (RFC 9110 15.2): 100 and 103 alike. */
static void on_interim(struct stream *up, struct head *head)
{
    struct exchange *x = up->owner;

    if (x->is_answering || !x->down.wire)
        return;
    head_strip_hop_by_hop(head, false);
    x->awaits_continue = x->awaits_continue && head->status != 100;
    if (x->down.codec->interim(&x->down, head))
        exchange_abort(x, REASON_MEMORY_LIMIT);
    else
        exchange_touch(&x->down);
}

static void on_target_reset(struct stream *up, enum reason why)
{
    struct exchange *x = up->owner;

    if (x->is_running && x->step == STEP_SEND) { // it will see
        x->reason = why;
        return;
    }
    if (x->is_answering || x->answer_began) {
        exchange_tell_broken(x, why);
        exchange_abort(x,
                       why == REASON_CONNECTION_TERMINATED ? REASON_HTTP_RESPONSE_INCOMPLETE : why);
        return;
    }
    exchange_run(x, exchange_retry(x, why));
}

static const struct sink up_sink = {
    .on_head = on_answer,
    .on_interim = on_interim,
    .on_body = exchange_take_answer_body,
    .on_trailers = exchange_take_answer_trailers,
    .on_reset = on_target_reset,
    .on_drain = exchange_drained_up,
};

/* --- the timer: what it means depends on where the exchange stands */

/* The client takes what lies in the sockets' buffers: that is no silence, however long it needs. */
static bool is_draining_out(struct exchange *x)
{
    uint64_t waiting = 0, acked;
    struct conn *client = x->down.wire ? x->down.wire->owner : NULL;
    bool is_moving;

    acked = client ? conn_acked(client, &waiting) : 0;
    is_moving = waiting && acked != x->acked;
    x->acked = acked;
    if (is_moving)
        x->active_us = x->host->loop->now_us;
    return is_moving;
}

/* Silence of both sides while a stream or a tunnel is open. */
static void check_silence(struct exchange *x)
{
    uint64_t allowed_ms = exchange_idle_ms(x);
    uint64_t silent_ms = (x->host->loop->now_us - x->active_us) / 1000;

    if (!allowed_ms)
        return;
    if (silent_ms >= allowed_ms && is_draining_out(x))
        silent_ms = 0;
    if (silent_ms >= allowed_ms)
        exchange_abort(x, x->is_tunnel ? REASON_TUNNEL_IDLE : REASON_STREAM_IDLE);
    else
        loop_timer_set(x->host->loop, &x->timer, allowed_ms - silent_ms);
}

/* The target's first byte: its time begins when it has the whole request, or as much as came. */
static void check_answer(struct exchange *x)
{
    uint64_t allowed_ms = exchange_answer_ms(x);
    uint64_t waited_ms = (x->host->loop->now_us - x->active_us) / 1000;

    if (!allowed_ms)
        return;
    if (waited_ms < allowed_ms) {
        loop_timer_set(x->host->loop, &x->timer, allowed_ms - waited_ms);
        return;
    }
    exchange_run(x, exchange_retry(x, REASON_HTTP_RESPONSE_TIMEOUT));
}

static void on_timer(struct loop_timer *timer)
{
    struct exchange *x = CONTAINER_OF(timer, struct exchange, timer);

    if (x->is_tunnel || x->is_answering) {
        check_silence(x);
    } else if (x->queue) {
        if (exchange_wait_on(x))
            return;
        exchange_leave_queue(x);
        exchange_run(x, exchange_give_up(x));
    } else if (x->opening.conn) {
        pool_cancel(&x->opening);
        exchange_run(x, exchange_retry(x, REASON_CONNECTION_TIMEOUT));
    } else if (x->is_pausing) {
        x->is_pausing = false;
        exchange_run(x, STEP_PICK);
    } else if (x->is_sending) {
        check_answer(x);
    }
}

/* The client has given up by now, whatever the exchange waits for. */
static void on_deadline(struct loop_timer *timer)
{
    struct exchange *x = CONTAINER_OF(timer, struct exchange, deadline);

    if (!x->is_own)
        exchange_fail(x, REASON_DEADLINE_EXCEEDED);
}

/* --- beginning */

static void join_origin(struct exchange *x, struct exchange_origin *origin)
{
    x->origin = origin;
    x->caller = &origin->peer;
    x->next = origin->first;
    if (origin->first)
        origin->first->prev = x;
    origin->first = x;
}

static const struct conf_trust *trust_of(const struct conf *conf, uint32_t listener)
{
    return listener < conf->listener_count ? &conf->listeners[listener].trust : &conf->trust;
}

struct stream *exchange_open(struct exchange_host *host, struct exchange_origin *origin)
{
    struct exchange *x = slab_take(&host->loop->exchanges);

    if (!x)
        return NULL;
    memset(x, 0, sizeof(*x));
    x->host = host;
    join_origin(x, origin);
    x->down = (struct stream){.sink = &down_sink, .arena = &x->arena, .owner = x};
    x->own_up = (struct stream){.sink = &up_sink, .arena = &x->arena, .owner = x};
    x->up = &x->own_up;
    x->opening.on_connect = exchange_on_connect;
    x->timer.fire = on_timer;
    x->hedge_timer.fire = exchange_on_late;
    x->deadline.fire = on_deadline;
    x->pause.fire = exchange_on_pause;
    x->index = -1;
    arena_init(&x->arena, &host->loop->arenas,
               2 * (size_t)host->limits.header_bytes + EXCHANGE_ARENA_EXTRA);
    x->snapshot = host->snapshot;
    x->trust = trust_of(x->snapshot->rules->conf, origin->listener);
    x->generation = x->snapshot->generation;
    x->route_slot = x->snapshot->unmatched_slot;
    snapshot_pin(x->snapshot, host->loop->worker);
    __atomic_store_n(&host->in_flight, host->in_flight + 1, __ATOMIC_RELAXED);
    x->checked_us = x->began_us = x->mark_us = x->active_us = origin->began_us;
    exchange_lap(x, ACCESS_HEAD);
    return &x->down;
}

void exchange_fail(struct exchange *x, enum reason why)
{
    if (x->is_over)
        return;
    exchange_leave_queue(x);
    if (x->is_answering)
        exchange_abort(x, why);
    else
        exchange_run(x, exchange_refused(x, why));
}
