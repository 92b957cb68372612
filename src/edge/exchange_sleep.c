/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of services of which nothing runs (part of PICK): those that may wake one wait in its
 * queue, counted over all workers, while control is told; browsers may get a page instead. The rest
 * is answered at once.
 */
#include "edge/exchange_impl.h"

#include <string.h>

#include "edge/access/wake_page.h"

enum { REFUSED_RETRY_S = 300, PACE_MS = 10 };

bool exchange_is_asleep(const struct exchange *x)
{
    return x->service->scale.state != SERVICE_AWAKE && x->service->policy && !x->attempts;
}

static uint64_t now_ms(const struct exchange *x)
{
    return loop_wall_ms(x->host->loop);
}

/* --- how long it takes */

/* Since somebody asked for it first. */
static uint64_t passed_ms(const struct exchange *x)
{
    uint64_t asked = __atomic_load_n(&x->service->demand->asked_ms, __ATOMIC_RELAXED);

    return asked && asked < now_ms(x) ? now_ms(x) - asked : 0;
}

static uint32_t retry_s(const struct exchange *x)
{
    return demand_retry_s(x->service->scale.eta_ms, passed_ms(x));
}

/* --- refusing */

static enum step refuse(struct exchange *x, enum reason why, enum demand_result result)
{
    if (x->sleep)
        exchange_end_sleep(x, result);
    else
        demand_note(x->service->demand, x->host->loop->worker, result);
    return exchange_refused(x, why);
}

/* Those that it asks for often enough by itself. */
static enum step refuse_unwoken(struct exchange *x)
{
    const struct conf_answer *answer = &x->service->conf->scale.wake.refuse.respond;

    x->instead = answer->is_set ? answer : NULL;
    x->detail = arena_format(&x->arena, "its %s: %.*s", x->unwoken.kind, STR_FMT(x->unwoken.entry));
    x->retry_s = REFUSED_RETRY_S;
    return refuse(x, REASON_ASLEEP, DEMAND_REFUSED);
}

static enum step refuse_broken(struct exchange *x)
{
    const struct service_scale *scale = &x->service->scale;
    uint64_t now = now_ms(x), left_ms = scale->retry_ms > now ? scale->retry_ms - now : 0;

    x->detail = scale->why.len ? arena_copy(&x->arena, scale->why) : STR_NONE;
    x->retry_s = left_ms / 1000 < UINT32_MAX ? (uint32_t)(left_ms / 1000) + 1 : UINT32_MAX;
    return refuse(x, REASON_WAKE_FAILED, DEMAND_FAILED);
}

static enum step refuse_full(struct exchange *x, const char *detail)
{
    x->detail = (struct str){detail, strlen(detail)};
    x->retry_s = retry_s(x);
    return refuse(x, REASON_WAKE_QUEUE_FULL, DEMAND_FULL);
}

enum step exchange_give_up(struct exchange *x)
{
    if (!x->sleep)
        return exchange_refused(x, REASON_QUEUE_TIMEOUT);
    x->retry_s = retry_s(x);
    return refuse(x, REASON_WAKE_TIMEOUT, DEMAND_TIMEOUT);
}

/* --- the page */

/* Somebody follows a link or types an address (Fetch metadata, W3C; without it, by what it takes).
 */
static bool is_navigation(const struct exchange *x)
{
    struct str accept = head_value(x->request, HDR_ACCEPT);
    struct str mode = head_value_name(x->request, STR("sec-fetch-mode"));

    return x->request->method == METHOD_GET && !x->request->is_upgrade && accept.p &&
           memmem(accept.p, accept.len, "text/html", 9) &&
           (!mode.p || str_same(mode, STR("navigate")));
}

/* One that is late by some time may be late by as much again. */
static bool gets_page(const struct exchange *x)
{
    const struct conf_wake *conf = &x->service->conf->scale.wake;
    uint64_t eta_ms = x->service->scale.eta_ms, passed = passed_ms(x);
    uint64_t left_ms = passed < eta_ms ? eta_ms - passed : passed - eta_ms;

    return conf->has_page && is_navigation(x) && (!eta_ms || left_ms > conf->page_after_ms);
}

static enum step give_page(struct exchange *x)
{
    struct exchange_reply reply = {.status = 503, .content_type = STR("text/html; charset=utf-8")};

    if (demand_ask(x->service->demand, now_ms(x)) && x->host->home)
        mailbox_wake(x->host->home);
    x->retry_s = retry_s(x);
    reply.body = wake_page(&x->arena, x->service->scale.eta_ms ? x->retry_s : 0, x->id);
    if (!reply.body.p)
        return exchange_refused(x, REASON_MEMORY_LIMIT);
    demand_note(x->service->demand, x->host->loop->worker, DEMAND_PAGE);
    x->reason = REASON_WAKING;
    return exchange_answer_with(x, &reply);
}

/* --- waiting */

/* Room for one more, at the cost of one whose client has many of this worker's. */
static bool make_room(struct exchange *x)
{
    const struct gate_local *local = &x->release->gate->locals[x->host->loop->worker];
    struct queue_entry *entry = local->queue ? queue_victim(local->queue, x->caller->hash) : NULL;
    struct exchange *victim = entry ? CONTAINER_OF(entry, struct exchange, waiting) : NULL;

    if (!victim || !victim->sleep)
        return false;
    victim->retry_s = retry_s(x);
    exchange_end_sleep(victim, DEMAND_FULL);
    exchange_fail(victim, REASON_WAKE_QUEUE_FULL);
    return true;
}

static enum demand_hold join(struct exchange *x)
{
    const struct conf_wake *conf = &x->service->conf->scale.wake;
    struct demand_bounds bounds = {
        .requests = conf->queue,
        .per_client = x->caller->hash ? conf->per_client : UINT32_MAX, // else it has no address
    };
    enum demand_hold hold = demand_hold(x->service->demand, x->caller->hash, &bounds, now_ms(x));

    if (hold == DEMAND_IS_FULL && make_room(x))
        hold = demand_hold(x->service->demand, x->caller->hash, &bounds, now_ms(x));
    return hold;
}

static enum step begin(struct exchange *x)
{
    enum demand_hold hold = join(x);

    if (hold == DEMAND_IS_FULL)
        return refuse_full(x, "the queue is full");
    if (hold == DEMAND_CLIENT_IS_FULL)
        return refuse_full(x, "too many requests of this client wait");
    x->sleep = x->service->demand;
    x->slept_us = x->host->loop->now_us;
    if (hold == DEMAND_HELD_FIRST && x->host->home)
        mailbox_wake(x->host->home);
    if (!exchange_sleep_bytes(x, x->held.len))
        return STEP_WAIT;
    x->detail = STR("their bodies are too large"); // it was counted there
    return exchange_refused(x, REASON_WAKE_QUEUE_FULL);
}

enum reason exchange_sleep_bytes(struct exchange *x, size_t len)
{
    if (!x->sleep || !len)
        return REASON_NONE;
    if (!demand_hold_bytes(x->sleep, len, x->service->conf->scale.wake.queue_bytes)) {
        x->retry_s = retry_s(x);
        exchange_end_sleep(x, DEMAND_FULL);
        return REASON_WAKE_QUEUE_FULL;
    }
    x->sleep_bytes += len;
    return REASON_NONE;
}

uint64_t exchange_sleep_ms(const struct exchange *x)
{
    uint64_t deadline_ms = x->service->conf->scale.wake.deadline_ms;
    uint64_t waited_ms = (x->host->loop->now_us - x->slept_us) / 1000;

    return waited_ms < deadline_ms ? deadline_ms - waited_ms : 1;
}

static void on_pace(struct loop_timer *timer)
{
    exchange_wake(CONTAINER_OF(timer, struct exchange_host, pace));
}

bool exchange_may_leave(struct exchange *x)
{
    struct exchange_host *host = x->host;

    if (!x->sleep || !exchange_has_target(x))
        return true;
    if (demand_may_leave(x->sleep, host->loop->worker, host->loop->now_us))
        return true;
    host->pace.fire = on_pace;
    loop_timer_set(host->loop, &host->pace, PACE_MS);
    return false;
}

void exchange_note_answer(struct exchange *x)
{
    if (x->is_of_wave && x->service)
        demand_answered(x->service->demand, x->host->loop->worker);
    x->is_of_wave = false;
}

void exchange_end_sleep(struct exchange *x, enum demand_result result)
{
    struct demand *sleep = x->sleep;

    if (!sleep)
        return;
    x->sleep = NULL;
    x->cold_us = x->host->loop->now_us - x->slept_us;
    demand_release(sleep, x->caller->hash, x->sleep_bytes);
    demand_note(sleep, x->host->loop->worker, result);
    x->is_of_wave = result == DEMAND_SERVED;
    if (x->is_of_wave)
        demand_leave(sleep, x->host->loop->worker);
}

/* --- what becomes of it */

static bool may_wake(struct exchange *x)
{
    x->unwoken = wake_policy_refuses(x->service->policy, x->request, x->path);
    return !x->unwoken.kind;
}

enum step exchange_meet_sleep(struct exchange *x)
{
    if (x->queue && !x->sleep)
        return STEP_PICK; // it waited for a place: as one that comes now
    if (!x->sleep && !may_wake(x))
        return refuse_unwoken(x);
    if (x->service->scale.state == SERVICE_BROKEN)
        return refuse_broken(x);
    if (x->host->is_draining) // this edge is not told any more
        return refuse(x, REASON_DRAINING, DEMAND_DROPPED);
    if (__atomic_load_n(&x->service->demand->is_unheard, __ATOMIC_RELAXED)) {
        x->retry_s = demand_retry_s(0, 0);
        return refuse(x, REASON_CONTROL_UNAVAILABLE, DEMAND_UNAVAILABLE);
    }
    if (x->sleep)
        return STEP_WAIT;
    return gets_page(x) ? give_page(x) : begin(x);
}

/* --- what the client is told */

/* Server Timing, W3C, 2. */
enum status exchange_say_sleep(struct exchange *x)
{
    struct str value;

    if (!x->cold_us)
        return OK;
    value = arena_format(&x->arena, "cold_start;dur=%.1f", (double)x->cold_us / 1000);
    return value.p ? head_add(x->response, &x->arena, STR("Server-Timing"), value) : E_NOMEM;
}
