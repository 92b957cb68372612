/* SPDX-License-Identifier: Apache-2.0
 *
 * Hedging: a request whose answer is late is said to a second target, too, and the first good
 * answer counts (Dean and Barroso, The Tail at Scale, 2013). Only for what may be repeated, whole
 * in our hands, and within the budget of retries. The other one is broken off; when the first
 * target fails while the second has the request, that one goes on alone.
 */
#include "edge/exchange_impl.h"
#include "edge/exchange_trace.h"

struct exchange_hedge {
    struct stream up;
    struct pool_waiter opening;
    struct exchange *x;
    struct target_conn *target; /* NULL: not connected */
    struct endpoint *endpoint;  /* borrowed from the exchange's view */
    struct gate *gate;          /* a place under its cap is held; NULL: there is no cap */
    int32_t index;
    uint32_t slot;
    uint64_t picked_us, sent_us;
    uint64_t span; /* of its trace; 0: none */
    bool is_sent, is_told;
};

static unsigned worker_of(const struct exchange *x)
{
    return x->host->loop->worker;
}

/* --- letting go */

static void tell(struct exchange_hedge *hedge, enum endpoint_verdict verdict, uint64_t wait_us)
{
    struct exchange_host *host = hedge->x->host;

    hedge->is_told = true;
    if (endpoint_tell(hedge->endpoint, host->loop->worker, verdict, wait_us) && host->home)
        mailbox_wake(host->home);
}

/* What there is to tell of one that is given up. */
static void note(const struct exchange_hedge *hedge)
{
    struct exchange *x = hedge->x;

    exchange_trace_note(
        x, &(struct trace_try){.span = hedge->span,
                               .begun_us = exchange_trace_us(x, hedge->picked_us),
                               .sent_us = hedge->is_sent ? exchange_trace_us(x, hedge->sent_us) : 0,
                               .ended_us = exchange_trace_us(x, x->host->loop->now_us),
                               .target = hedge->endpoint->id,
                               .outcome = hedge->is_told ? STR("failed") : STR("not_needed"),
                               .is_given_up = !hedge->is_told});
}

void exchange_drop_hedge(struct exchange *x)
{
    struct exchange_hedge *hedge = x->hedge;

    loop_timer_unset(&x->hedge_timer);
    if (!hedge)
        return;
    x->hedge = NULL;
    note(hedge);
    pool_cancel(&hedge->opening);
    if (hedge->up.wire)
        hedge->up.codec->detach(&hedge->up);
    if (hedge->target)
        pool_give(hedge->target, (struct pool_parting){.is_good = false});
    if (!hedge->is_told)
        endpoint_give_trial(hedge->endpoint);
    exchange_count_target(x, hedge->index, hedge->slot, -1);
    if (hedge->gate)
        release_give_place(hedge->gate, hedge->endpoint);
}

/* The request goes on with this one alone. */
static void adopt(struct exchange *x, struct exchange_hedge *hedge)
{
    x->hedge = NULL;
    x->up = &hedge->up;
    x->up->sink = x->own_up.sink;
    x->target = hedge->target;
    x->index = hedge->index;
    x->target_slot = hedge->slot;
    x->target_id = hedge->endpoint->id;
    x->gate = hedge->gate;
    x->sent_us = hedge->sent_us;
    x->picked_us = hedge->picked_us;
    exchange_trace_adopt(x, hedge->span);
    x->holds_place = x->is_sending = true;
    x->is_told = false;
}

bool exchange_take_hedge(struct exchange *x)
{
    struct exchange_hedge *hedge = x->hedge;

    if (!hedge || !hedge->is_sent || !hedge->up.wire)
        return false;
    x->hedge = NULL; // letting go of the first keeps it
    exchange_let_go(x, false);
    adopt(x, hedge);
    return true;
}

/* --- events of its stream, until it is the exchange's own */

static bool is_good(const struct head *head)
{
    return head->status < 500 && head->status != 429;
}

static void on_head(struct stream *up, struct head *head, bool last)
{
    struct exchange_hedge *hedge = CONTAINER_OF(up, struct exchange_hedge, up);
    struct exchange *x = hedge->x;

    if (!is_good(head)) {
        tell(hedge, head->status < 505 && head->status > 501 ? ENDPOINT_FAILED : ENDPOINT_ERRED,
             x->host->loop->now_us - hedge->sent_us);
        exchange_drop_hedge(x);
        return;
    }
    exchange_note_try(x, "hedged", 0);
    exchange_trace_give_up(x, STR("hedged"));
    exchange_take_hedge(x);
    up->sink->on_head(up, head, last);
}

static void on_interim(struct stream *up, struct head *head)
{
    (void)up;
    (void)head;
}

/* Only after a head, when the sink is another. */
static void on_body(struct stream *up, struct str bytes, bool last)
{
    (void)last;
    up->codec->credit(up, bytes.len);
}

static void on_trailers(struct stream *up, struct head *trailers)
{
    (void)up;
    (void)trailers;
}

static void on_reset(struct stream *up, enum reason why)
{
    struct exchange_hedge *hedge = CONTAINER_OF(up, struct exchange_hedge, up);

    (void)why;
    tell(hedge, ENDPOINT_FAILED, UINT64_MAX);
    exchange_drop_hedge(hedge->x);
}

static void on_drain(struct stream *up)
{
    (void)up;
}

static const struct sink sink = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_drain = on_drain,
};

/* --- sending */

static enum status say(struct exchange *x, struct exchange_hedge *hedge)
{
    struct wire *wire = hedge->target->conn.wire;
    bool has_body = x->held.len > 0;
    enum status status = wire->codec->begin(wire, &hedge->up);

    if (!status)
        status = exchange_say_head(x, &hedge->up, hedge->endpoint, hedge->span);
    if (!status && has_body)
        status = hedge->up.codec->body(&hedge->up, (struct str){x->held.p, x->held.len}, true);
    return !status && wire->out ? outq_own(wire->out) : status; // what is held may go before
}

static void connected(struct exchange_hedge *hedge, struct target_conn *target)
{
    struct exchange *x = hedge->x;

    hedge->target = target;
    hedge->sent_us = x->host->loop->now_us;
    if (say(x, hedge) || !hedge->up.wire) {
        if (x->hedge == hedge)
            exchange_drop_hedge(x);
        return;
    }
    hedge->is_sent = true;
    exchange_touch(&hedge->up);
}

static void on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why)
{
    struct exchange_hedge *hedge = CONTAINER_OF(waiter, struct exchange_hedge, opening);

    if (!why) {
        connected(hedge, conn);
        return;
    }
    tell(hedge, ENDPOINT_FAILED, UINT64_MAX);
    exchange_drop_hedge(hedge->x);
}

static void connect_hedge(struct exchange *x, struct exchange_hedge *hedge)
{
    struct loop *loop = x->host->loop;
    struct pool_manner manner = {x->service->conf, x->service->tls};
    struct target_conn *target = pool_take(loop, hedge->endpoint, &manner, true);

    if (target)
        connected(hedge, target);
    else if (pool_open(loop, hedge->endpoint, &manner, &x->host->limits, &hedge->opening))
        exchange_drop_hedge(x);
}

/* --- beginning */

/* Another target than the one that is late; BALANCER_NONE: there is none with a place. */
static int choose(struct exchange *x)
{
    const struct endpoint *late[] = {exchange_endpoint(x)};
    struct release_ask ask = {.key = x->key,
                              .tried = late,
                              .tried_count = 1,
                              .now_ms = x->host->loop->now_us / 1000};
    enum release_lack lack;

    return release_choose(x->release, worker_of(x), &ask, &lack);
}

static void begin(struct exchange *x, int index)
{
    struct exchange_hedge *hedge = arena_zero(&x->arena, 1, sizeof(*hedge));
    struct endpoint *endpoint = x->release->targets[index].endpoint;

    if (!hedge || !exchange_begin_tries(x)) {
        if (x->service->has_caps)
            release_give_place(x->release->gate, endpoint);
        return;
    }
    *hedge = (struct exchange_hedge){
        .x = x,
        .endpoint = endpoint,
        .index = index,
        .slot = __atomic_load_n(&endpoint->slot, __ATOMIC_RELAXED),
        .gate = x->service->has_caps ? x->release->gate : NULL,
        .picked_us = x->host->loop->now_us,
        .span = exchange_trace_span(x),
        .opening.on_connect = on_connect,
        .up = {.sink = &sink, .arena = &x->arena, .owner = x},
    };
    x->hedge = hedge;
    x->attempts++;
    exchange_count_target(x, index, hedge->slot, 1);
    stat_add(&stats_target(x->host->stats, worker_of(x), x->target_slot)->retries, 1);
    connect_hedge(x, hedge);
}

static bool may_hedge(struct exchange *x)
{
    return x->is_sending && !x->answer_began && !x->hedge && x->can_replay && x->held_last &&
           !x->held_trailers && !x->is_tunnel && !x->request->is_upgrade &&
           x->attempts < EXCHANGE_ATTEMPTS_MAX && method_is_idempotent(x->request->method) &&
           exchange_has_budget(x);
}

void exchange_on_late(struct loop_timer *timer)
{
    struct exchange *x = CONTAINER_OF(timer, struct exchange, hedge_timer);
    int index = may_hedge(x) ? choose(x) : BALANCER_NONE;

    if (index != BALANCER_NONE)
        begin(x, index);
}

void exchange_arm_hedge(struct exchange *x)
{
    const struct conf_retry *conf = &x->service->conf->retry;

    if (conf->is_on && conf->hedge_ms && method_is_idempotent(x->request->method))
        loop_timer_set(x->host->loop, &x->hedge_timer, conf->hedge_ms);
}
