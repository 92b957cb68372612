/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/api_wakes.h"

#include "base/clock.h"
#include "config/units.h"

enum {
    WAIT_MAX_MS = 30 * 1000,
    SILENCE_MS = 10 * 1000, /* after which there is no control */
    DIGITS_MAX = 18,
};

static bool sleeps(const struct service *service)
{
    return service->scale.state == SERVICE_ASLEEP || service->scale.state == SERVICE_WAKING;
}

/* What is served; none any more once it may be gone. */
static const struct snapshot *served(const struct admin *admin)
{
    return admin->manager->is_stopping ? NULL : admin->manager->snapshot;
}

/* --- what is told */

static void add_service(json_t *list, const struct service *service)
{
    const struct demand *demand = service->demand;
    uint32_t held = __atomic_load_n(&demand->held, __ATOMIC_ACQUIRE);
    uint64_t asked_ms = __atomic_load_n(&demand->asked_ms, __ATOMIC_RELAXED);
    struct str name = service->conf->name.s;

    if (sleeps(service) && (held || asked_ms))
        json_array_append_new(list, json_pack("{s:s%,s:I,s:I}", "name", name.p, name.len, "held",
                                              (json_int_t)held, "asked_ms", (json_int_t)asked_ms));
}

static json_t *answer(const struct admin *admin)
{
    const struct snapshot *snapshot = served(admin);
    json_t *list = json_array();

    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++)
        add_service(list, &snapshot->services[i]);
    return json_pack("{s:I,s:o}", "number", (json_int_t)admin->wake_number, "services", list);
}

/* Another number than ours: ours is newer, also where it is of an edge before this one. */
static bool is_due(const struct admin *admin, const struct admin_call *call, bool is_over)
{
    return is_over || call->generation != admin->wake_number ||
           uv_now(&admin->manager->loop.uv) >= call->deadline_ms;
}

static void tell_waiters(struct admin *admin, bool is_over)
{
    for (struct admin_call **at = &admin->wake_waiters; *at;) {
        struct admin_call *call = *at;

        if (call->rest.conn && !is_due(admin, call, is_over)) {
            at = &call->next_waiter;
            continue;
        }
        *at = call->next_waiter;
        rest_reply_json(&call->rest, 200, answer(admin));
    }
}

void api_wakes_look(struct admin *admin)
{
    const struct snapshot *snapshot = served(admin);
    bool is_news = false;

    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
        struct demand *demand = snapshot->services[i].demand;
        uint32_t calls = __atomic_load_n(&demand->calls, __ATOMIC_ACQUIRE);

        is_news |= calls != demand->told;
        demand->told = calls;
    }
    admin->wake_number += is_news;
    if (is_news)
        tell_waiters(admin, false);
}

/* --- whether anybody listens */

static uint64_t now_ms(const struct admin *admin)
{
    return uv_now(&admin->manager->loop.uv);
}

static bool waits(const struct admin *admin)
{
    for (const struct admin_call *call = admin->wake_waiters; call; call = call->next_waiter)
        if (call->rest.conn)
            return true;
    for (const struct admin_call *call = admin->change_waiters; call; call = call->next_waiter)
        if (call->rest.conn)
            return true;
    return false;
}

/* Those that wait hear of a change, and are answered. */
static void judge(struct admin *admin)
{
    const struct snapshot *snapshot = served(admin);
    const struct manager *m = admin->manager;
    bool is_unheard = now_ms(admin) - admin->heard_ms >= SILENCE_MS, is_news = false;

    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
        struct demand *demand = snapshot->services[i].demand;

        if (__atomic_load_n(&demand->is_unheard, __ATOMIC_RELAXED) == is_unheard)
            continue;
        __atomic_store_n(&demand->is_unheard, is_unheard, __ATOMIC_RELAXED);
        is_news |= is_unheard;
    }
    for (unsigned w = 0; is_news && w < m->worker_count; w++)
        worker_wake(m->workers[w]);
}

void api_wakes_heard(struct admin *admin)
{
    admin->heard_ms = now_ms(admin);
    judge(admin);
}

void api_wakes_tick(struct admin *admin)
{
    if (!admin->heard_ms || waits(admin))
        admin->heard_ms = now_ms(admin);
    judge(admin);
    api_wakes_look(admin);
    tell_waiters(admin, false);
}

void api_wakes_end(struct admin *admin)
{
    tell_waiters(admin, true);
}

/* --- GET */

static bool read_number(struct str text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i == DIGITS_MAX)
            return false;
        *number = *number * 10 + (uint64_t)(text.p[i] - '0');
    }
    return true;
}

/* Seconds, or a duration. */
static bool read_wait(struct str text, uint64_t *wait_ms)
{
    if (!read_number(text, wait_ms))
        return !units_duration(text, wait_ms) && *wait_ms <= WAIT_MAX_MS;
    *wait_ms *= 1000;
    return *wait_ms <= WAIT_MAX_MS;
}

void api_wakes_get(struct admin_call *call)
{
    struct admin *admin = call->admin;
    uint64_t wait_ms = 0;

    api_wakes_heard(admin);
    if (!read_number(rest_query(&call->rest, "after", 0), &call->generation) ||
        !read_wait(rest_query(&call->rest, "wait", 0), &wait_ms)) {
        rest_problem(&call->rest, 400, "query_invalid",
                     "after is a number, and wait are seconds, at most 30.");
        return;
    }
    api_wakes_look(admin);
    call->deadline_ms = now_ms(admin) + wait_ms;
    call->next_waiter = admin->wake_waiters;
    admin->wake_waiters = call;
    tell_waiters(admin, admin->manager->is_draining);
}
