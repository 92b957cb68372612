/* SPDX-License-Identifier: Apache-2.0
 *
 * Which target (PICK): the balancer's choice among those that live, or a place in the service's
 * queue while it is full, paused or not checked yet, or what answers in its place. Choices are made
 * by the worker's newest snapshot, whatever the exchange began with: a target that was added since
 * may serve it, one that was drained may not.
 */
#include "edge/exchange_impl.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/text.h"
#include "http/cookie.h"

static unsigned worker_of(const struct exchange *x)
{
    return x->host->loop->worker;
}

/* --- what it is picked by */

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
        return x->caller->hash;
    return XXH3_64bits(text.p, text.len);
}

/* The hash of a target's id, as this gateway has given it out; 0: none that it could have. */
static uint64_t sticky_of(const struct exchange *x)
{
    struct str text;
    uint64_t hash;

    if (!x->service->conf->sticky.is_on)
        return 0;
    text = cookie_value(head_value(x->request, HDR_COOKIE), x->service->conf->sticky.cookie.s);
    return text_read_hex16(text, &hash) ? hash : 0;
}

uint64_t exchange_target_hash(const struct exchange *x)
{
    return x->release->locals[worker_of(x)].targets[x->index].id_hash;
}

/* --- the newest view of the service */

static void use_view(struct exchange *x, struct snapshot *view, struct service *service)
{
    struct snapshot *before = x->view;

    x->target_id = arena_copy(&x->arena, x->target_id); // its endpoint may go with the old one
    x->release_id = arena_copy(&x->arena, x->release_id);
    snapshot_pin(view, worker_of(x));
    x->view = view;
    x->service = service;
    x->service_name = service->conf->name.s;
    exchange_renew_release(x, x->release);
    if (before)
        snapshot_unpin(before, worker_of(x));
}

void exchange_renew_view(struct exchange *x)
{
    struct snapshot *newest = x->host->snapshot;
    struct service *service;

    if (newest == (x->view ? x->view : x->snapshot))
        return;
    service = snapshot_service(newest, x->service->conf->name.s);
    if (service) // else it is no longer configured: what there was answers
        use_view(x, newest, service);
}

bool exchange_has_target(const struct exchange *x)
{
    return x->release->locals[worker_of(x)].mode == TIERS_NORMAL;
}

/* --- taking */

/* The target in the worker's current snapshot, which is the one that balances; NULL: it is no
 * longer in it. */
static struct balancer_target *balanced(const struct exchange *x, int32_t index,
                                        const struct endpoint *endpoint)
{
    const struct snapshot *view = x->view ? x->view : x->snapshot;

    if (view && view == x->host->snapshot)
        return &x->release->locals[worker_of(x)].targets[index];
    return snapshot_find(x->host->snapshot, endpoint, worker_of(x));
}

void exchange_count_target(struct exchange *x, int32_t index, uint32_t slot, int change)
{
    struct endpoint *endpoint = x->kept ? x->kept : x->release->targets[index].endpoint;
    struct endpoint_local *local = &endpoint->locals[worker_of(x)];
    struct balancer_target *target = balanced(x, index, endpoint);

    __atomic_store_n(&local->in_flight, local->in_flight + (uint32_t)change, __ATOMIC_RELAXED);
    if (target)
        target->load += (uint32_t)change;
    if (endpoint->demand)
        demand_fly(endpoint->demand, worker_of(x), change);
    stat_gauge(&stats_target(x->host->stats, worker_of(x), slot)->in_flight, change);
}

static enum step use_target(struct exchange *x, int index)
{
    x->index = index;
    exchange_end_sleep(x, DEMAND_SERVED);
    x->attempts++;
    x->is_told = false;
    x->picked_us = x->host->loop->now_us;
    if (!x->first_us)
        x->first_us = x->picked_us;
    x->release_id = x->service->has_releases ? x->release->id : STR("");
    x->target_id = exchange_endpoint(x)->id;
    x->target_slot = __atomic_load_n(&exchange_endpoint(x)->slot, __ATOMIC_RELAXED);
    x->holds_place = true;
    x->gate = x->service->has_caps ? x->release->gate : NULL;
    exchange_count_target(x, index, x->target_slot, 1);
    return STEP_CONNECT;
}

static int choose(struct exchange *x, enum release_lack *lack)
{
    struct release_ask ask = {.key = x->key, .sticky = x->sticky};

    if (x->tries) {
        ask.tried = x->tries->tried;
        ask.tried_count = x->tries->tried_count;
        ask.shunned = x->tries->shunned;
        ask.shunned_count = x->tries->shunned_count;
    }
    ask.now_ms = x->host->loop->now_us / 1000;
    return release_choose(x->release, worker_of(x), &ask, lack);
}

/* Says that this worker waits, and looks once more: a place may have become free before that was
 * heard. */
static int choose_or_wait(struct exchange *x, enum release_lack *lack)
{
    int index = choose(x, lack);

    if (index != BALANCER_NONE || *lack == RELEASE_LACKS_TARGET)
        return index;
    gate_wait(x->release->gate, worker_of(x));
    return choose(x, lack);
}

/* --- when nothing can answer */

/* What the configuration has in its place. Made by REFUSE: here the request may still stand in a
 * queue. */
static enum step answer_instead(struct exchange *x, const struct conf_answer *answer,
                                enum reason why)
{
    x->instead = answer;
    return exchange_refused(x, why);
}

static enum step fall_back(struct exchange *x)
{
    const struct conf_fallback *fallback = &x->service->conf->fallback;
    struct snapshot *view = x->view ? x->view : x->snapshot;
    struct service *service;

    if (fallback->respond.is_set)
        return answer_instead(x, &fallback->respond, REASON_DESTINATION_UNAVAILABLE);
    service = fallback->service.s.len ? snapshot_service(view, fallback->service.s) : NULL;
    if (!service)
        return exchange_refused(x, x->reason ? x->reason : REASON_DESTINATION_UNAVAILABLE);
    x->service = service;
    x->service_name = service->conf->name.s;
    x->key = hash_key(x);
    x->sticky = sticky_of(x);
    x->reason = exchange_assign_release(x);
    if (x->reason)
        return exchange_refused(x, x->reason);
    return STEP_PICK; // it ends: the configuration has no circles
}

/* --- the queue */

static struct gate_local *queue_of(const struct exchange *x)
{
    return &x->release->gate->locals[worker_of(x)];
}

/* For the manager, who shows it. */
static void tell_waiting(struct gate_local *local)
{
    __atomic_store_n(&local->waiting, local->queue->count, __ATOMIC_RELAXED);
}

/* A worker that is woken for nothing would leave those of another waiting. */
static void leave_gate(struct gate_local *local, unsigned worker)
{
    if (!local->queue || !local->queue->count)
        gate_leave(local->gate, worker);
}

static void list_queue(struct exchange_host *host, struct gate_local *local)
{
    if (local->is_listed)
        return;
    local->is_listed = true;
    local->next = host->waiting;
    host->waiting = local;
}

/* Room in the queue for one more, at the cost of one whose client has many there. */
static bool make_room(struct exchange *x, struct gate_local *local, uint32_t most)
{
    struct queue_entry *victim;

    if (!local->queue) {
        local->queue = malloc(sizeof(*local->queue));
        if (!local->queue)
            return false;
        queue_init(local->queue);
    }
    if (local->queue->count < most)
        return true;
    victim = most ? queue_victim(local->queue, x->caller->hash) : NULL;
    if (victim)
        exchange_fail(CONTAINER_OF(victim, struct exchange, waiting), REASON_QUEUE_FULL);
    return victim && local->queue->count < most;
}

static enum step join_queue(struct exchange *x, bool is_held)
{
    const struct conf_service *conf = x->service->conf;
    uint32_t most = is_held ? conf->hold.requests : conf->limits.queue;
    uint64_t patience_ms = is_held ? conf->hold.timeout_ms : conf->limits.queue_timeout_ms;
    struct gate_local *local = queue_of(x);

    if (x->sleep) {
        most = UINT32_MAX; // it has its place already
        patience_ms = exchange_sleep_ms(x);
    } else if (x->service->policy) {
        most += __atomic_load_n(&x->service->demand->held, __ATOMIC_RELAXED); // those do not count
    }
    if (!make_room(x, local, most)) {
        leave_gate(local, worker_of(x));
        return exchange_refused(x, REASON_QUEUE_FULL);
    }
    gate_wait(local->gate, worker_of(x));
    x->queue = local;
    queue_join(local->queue, &x->waiting, x->caller->hash);
    tell_waiting(local);
    list_queue(x->host, local);
    loop_timer_set(x->host->loop, &x->timer, patience_ms);
    return STEP_WAIT;
}

void exchange_leave_queue(struct exchange *x)
{
    struct gate_local *local = x->queue;

    if (!local)
        return;
    queue_leave(local->queue, &x->waiting);
    tell_waiting(local);
    x->queue = NULL;
    leave_gate(local, worker_of(x));
    loop_timer_unset(&x->timer);
    exchange_lap(x, ACCESS_QUEUE);
}

bool exchange_wait_on(struct exchange *x)
{
    uint64_t waited_ms = (x->host->loop->now_us - x->mark_us) / 1000, allowed_ms;

    exchange_renew_view(x);
    allowed_ms = x->service->conf->hold.timeout_ms;
    if (x->service->mode != SERVICE_PAUSED || waited_ms >= allowed_ms)
        return false;
    loop_timer_set(x->host->loop, &x->timer, allowed_ms - waited_ms);
    return true;
}

/* The worker's newest snapshot has its service. */
static bool is_configured(const struct exchange *x)
{
    return (x->view ? x->view : x->snapshot) == x->host->snapshot;
}

/* Its release has no target for it. */
static enum step do_without(struct exchange *x)
{
    if (exchange_is_asleep(x) && is_configured(x))
        return exchange_meet_sleep(x);
    if (!exchange_may_net(x, !x->resends))
        return fall_back(x);
    exchange_net(x);
    return STEP_PICK;
}

/* It waits for the service to be resumed, if that can be: one that is gone from the configuration
 * cannot, and an edge that ends is not told. */
static enum step wait_paused(struct exchange *x)
{
    if (x->host->is_draining)
        return exchange_refused(x, REASON_DRAINING);
    return is_configured(x) ? STEP_WAIT : fall_back(x);
}

/* What becomes of a request that asks now; STEP_WAIT: it has to wait, and is not in the queue
 * yet. */
static enum step decide(struct exchange *x, bool *is_held)
{
    enum release_lack lack = RELEASE_LACKS_NOTHING;
    int index = BALANCER_NONE;

    *is_held = true;
    if (x->service->mode == SERVICE_MAINTENANCE)
        return answer_instead(x, &x->service->conf->maintenance, REASON_MAINTENANCE);
    if (x->service->mode == SERVICE_PAUSED)
        return wait_paused(x);
    if (!exchange_may_leave(x))
        return STEP_WAIT;
    index = choose(x, &lack);
    if (index != BALANCER_NONE)
        return use_target(x, index);
    if (lack == RELEASE_LACKS_TARGET)
        return do_without(x);
    if (lack == RELEASE_LACKS_NEWS && exchange_is_asleep(x))
        return do_without(x);
    *is_held = lack == RELEASE_LACKS_NEWS;
    index = choose_or_wait(x, &lack);
    if (index == BALANCER_NONE)
        return lack == RELEASE_LACKS_TARGET ? do_without(x) : STEP_WAIT;
    leave_gate(queue_of(x), worker_of(x));
    return use_target(x, index);
}

/* Those whose turn it is, until one has to go on waiting. */
static void serve(struct gate_local *local, unsigned worker)
{
    while (local->queue && local->queue->count) {
        struct exchange *x = CONTAINER_OF(queue_next(local->queue), struct exchange, waiting);
        enum step step;
        bool is_held;

        exchange_renew_view(x);
        step = queue_of(x) == local ? decide(x, &is_held) : STEP_PICK; // may have another release
        if (step == STEP_WAIT) {
            gate_wait(local->gate, worker);
            return;
        }
        exchange_leave_queue(x);
        exchange_run(x, step);
    }
}

static void refresh_all(struct exchange_host *host)
{
    uint32_t news = __atomic_load_n(host->snapshot->news, __ATOMIC_ACQUIRE);

    if (news == host->news)
        return;
    host->news = news;
    for (uint32_t i = 0; i < host->snapshot->service_count; i++)
        service_refresh(&host->snapshot->services[i], host->loop->worker,
                        host->loop->now_us / 1000);
}

void exchange_wake(struct exchange_host *host)
{
    struct gate_local *local = host->waiting;

    if (host->snapshot)
        refresh_all(host);
    host->waiting = NULL;
    while (local) {
        struct gate_local *next = local->next;

        local->is_listed = false;
        serve(local, host->loop->worker);
        if (local->queue && local->queue->count)
            list_queue(host, local);
        local = next;
    }
}

/* --- PICK */

static enum reason begin(struct exchange *x)
{
    enum reason why = exchange_assign_release(x);

    if (why)
        return why;
    exchange_lap(x, ACCESS_ASK);
    demand_arrive(x->service->demand, worker_of(x));
    x->key = hash_key(x);
    x->sticky = sticky_of(x);
    x->can_replay = true;
    retry_budget_request(&queue_of(x)->budget, x->host->loop->now_us);
    x->is_picked = true;
    return REASON_NONE;
}

/* Others wait for a place already: whoever comes now must not take the next one from them. */
static bool must_line_up(const struct exchange *x)
{
    const struct gate_local *local = queue_of(x);

    return x->service->has_caps && x->service->mode == SERVICE_RUNS && local->queue &&
           local->queue->count && (!exchange_is_asleep(x) || exchange_has_target(x));
}

enum step exchange_step_pick(struct exchange *x)
{
    enum reason why = x->is_picked ? REASON_NONE : begin(x);
    enum step step;
    bool is_held;

    if (why)
        return exchange_refused(x, why);
    exchange_renew_view(x);
    if (must_line_up(x))
        return join_queue(x, false);
    step = decide(x, &is_held);
    return step == STEP_WAIT ? join_queue(x, is_held) : step;
}
