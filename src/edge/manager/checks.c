/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/checks_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum {
    TICK_MS = 1000,
    TICK_FAST_MS = 100,
    FULL_MS = 20,
    HURRY_MS = 100,      /* that each may take to connect: a lost packet is sent anew after 1 s */
    HURRY_MAX_MS = 3200, /* where even that is not enough, as on a machine that is very busy */
    HEADER_BYTES = 32 * 1024,
    HEADERS = 200
};

/* --- what is thought of a target */

static enum standing standing_of(const struct check *check)
{
    if (check->conf->health.is_on && check->health.state == HEALTH_UNKNOWN)
        return STANDING_UNKNOWN;
    if (check->conf->health.is_on && check->health.state == HEALTH_DOWN)
        return STANDING_DOWN;
    if (check->outlier.until_ms || check->breaker.state == BREAKER_OPEN)
        return STANDING_EJECTED;
    return STANDING_UP;
}

static const char *word_of(enum standing standing)
{
    switch (standing) {
    case STANDING_UP:
        return "up";
    case STANDING_DOWN:
        return "down";
    case STANDING_UNKNOWN:
        return "unknown";
    default:
        return "ejected";
    }
}

static const char *why_ejected(const struct check *check)
{
    if (check->breaker.state == BREAKER_OPEN)
        return "its breaker is open";
    if (check->is_ejected_in_row)
        return "too many failures in a row";
    return check->ejected_for == OUTLIER_LATENCY ? "it is far slower than its peers"
                                                 : "it fails far more often than its peers";
}

static const char *reason_of(const struct check *check, enum standing standing)
{
    if (standing == STANDING_EJECTED)
        return why_ejected(check);
    if (!check->conf->health.is_on)
        return "it is not checked";
    if (!check->last_ms)
        return standing == STANDING_UP ? "it is assumed" : "it has not been checked yet";
    return check->last.words;
}

void check_apply(struct check *check)
{
    struct endpoint *endpoint = check->endpoint;
    enum standing standing = standing_of(check);
    enum standing before = __atomic_load_n(&endpoint->standing, __ATOMIC_RELAXED);
    bool is_half_open = check->breaker.state == BREAKER_HALF_OPEN;
    bool was_half_open = __atomic_load_n(&endpoint->is_half_open, __ATOMIC_RELAXED);
    const struct checks_home *home = &check->checks->home;

    if (standing == before && is_half_open == was_half_open)
        return;
    if (standing == STANDING_UP && before != STANDING_UP)
        __atomic_store_n(&endpoint->up_since_ms, checks_now(check->checks), __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->trials, is_half_open ? check->conf->breaker.trials : 0,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->is_half_open, is_half_open, __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->standing, standing, __ATOMIC_RELAXED);
    __atomic_fetch_add(&check->group->gate->epoch, 1, __ATOMIC_RELEASE);
    __atomic_fetch_add(home->news, 1, __ATOMIC_RELEASE);
    home->wake_workers(home->owner);
    if (standing != before)
        check->since_ms = checks_now(check->checks);
    if (standing != before)
        home->on_change(home->owner, endpoint, word_of(standing), reason_of(check, standing));
}

/* --- asking */

static struct health_rule rule_of(const struct check *check)
{
    const struct conf_health *conf = &check->conf->health;

    return (struct health_rule){.rise = check->is_waking ? 1 : conf->rise,
                                .fall = conf->fall,
                                .interval_ms = conf->interval_ms,
                                .fast_ms = conf->fast_interval_ms,
                                .assume_up = conf->assume_up && !check->is_waking};
}

static uint64_t random_of(const struct check *check)
{
    return random_mix(check->checks->home.loop->now_us ^ (uintptr_t)check);
}

static void ask_later(struct check *check)
{
    struct health_rule rule = rule_of(check);
    uint64_t now_ms = checks_now(check->checks);

    if (check_is_hurried(check)) {
        check_hurry(check);
        return;
    }
    loop_timer_set(check->checks->home.loop, &check->timer,
                   health_delay_ms(&check->health, &rule, now_ms, random_of(check)));
}

static void on_done(void *owner, const struct probe_result *result)
{
    struct check *check = owner;
    struct health_rule rule = rule_of(check);

    check->probe = NULL;
    check->patience_ms = HURRY_MS;
    check->checks->probing--;
    check->last = *result;
    check->last_ms = checks_now(check->checks);
    if ((result->passed || !check_is_hurried(check)) && // that it is not up yet says nothing of it
        health_note(&check->health, &rule, result->passed, check->last_ms))
        health_memory_put(check->checks->home.memory, check->memory_key, check->health.state);
    if (!result->passed && !result->is_reached && check->checks->home.on_unreached)
        check->checks->home.on_unreached(check->checks->home.owner, check->endpoint);
    check_apply(check);
    ask_later(check);
}

static void cancel_probe(struct check *check)
{
    check->checks->probing -= check->probe != NULL;
    probe_cancel(&check->probe);
}

static void copy_addresses(struct check *check)
{
    struct endpoint *dial = check->dial;

    memcpy(dial->addresses, check->endpoint->addresses, sizeof(dial->addresses));
    dial->address_count = check->endpoint->address_count;
    if (check->conf->health.port)
        probe_set_port(dial->addresses, dial->address_count, check->conf->health.port);
}

void check_ask(struct check *check)
{
    struct probe_ask ask = {
        .loop = check->checks->home.loop,
        .endpoint = check->dial,
        .service = check->conf,
        .tls = check->tls,
        .signer = check->rules->signers[check->conf - check->rules->conf->services],
        .limits = &check->checks->limits,
        .host = probe_host(check->rules->conf, check->conf, check->endpoint->address),
    };

    if (check->probe || !check->conf->health.is_on)
        return;
    loop_timer_unset(&check->timer);
    if (check->checks->probing >= CHECKS_PROBES_MAX) {
        loop_timer_set(ask.loop, &check->timer, FULL_MS + random_of(check) % FULL_MS);
        return;
    }
    copy_addresses(check);
    check->probe = probe_start(&ask, on_done, check);
    if (!check->probe) {
        ask_later(check);
        return;
    }
    check->checks->probing++;
    if (check_is_hurried(check))
        loop_timer_set(ask.loop, &check->timer, check->patience_ms);
}

static void on_timer(struct loop_timer *timer)
{
    struct check *check = CONTAINER_OF(timer, struct check, timer);

    if (check->probe && check_is_hurried(check) && !probe_is_connected(check->probe)) {
        cancel_probe(check);
        if (check->patience_ms < HURRY_MAX_MS)
            check->patience_ms *= 2;
    }
    check_ask(check);
}

/* --- which there are */

static struct check_group *demand_group(struct checks *checks, struct gate *gate)
{
    struct check_group *group = gate->watch;

    if (group)
        return group;
    group = calloc(1, sizeof(*group));
    if (!group)
        return NULL;
    group->gate = gate;
    gate->watch = group;
    group->next = checks->groups;
    checks->groups = group;
    return group;
}

/* The state of one that is new here: as the snapshot has it, which may know it from before. */
static void begin_state(struct check *check)
{
    struct health_rule rule = rule_of(check);
    enum standing known = __atomic_load_n(&check->endpoint->standing, __ATOMIC_RELAXED);

    check->patience_ms = HURRY_MS;
    health_init(&check->health, &rule, checks_now(check->checks));
    if (known == STANDING_UP)
        check->health.state = HEALTH_UP;
    else if (known == STANDING_DOWN)
        check->health.state = HEALTH_DOWN;
}

static void join_group(struct check *check, struct check_group *group)
{
    check->group = group;
    check->next = group->first;
    group->first = check;
    group->count++;
}

/* Its target is of another release now. */
static void move_check(struct check *check, struct check_group *group)
{
    struct check **at = &check->group->first;

    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    check->group->count--;
    join_group(check, group);
}

static struct check *add_check(struct check_group *group, struct checks *checks,
                               struct endpoint *endpoint, const struct conf_service *conf)
{
    struct check *check = calloc(1, sizeof(*check));

    if (check)
        check->dial = endpoint_new(endpoint->service, endpoint->id, endpoint->address, 1);
    if (!check || !check->dial) {
        free(check);
        return NULL;
    }
    check->dial->slot = UINT32_MAX;
    check->checks = checks;
    check->endpoint = endpoint;
    check->conf = conf;
    check->timer.fire = on_timer;
    check->memory_key = health_memory_key(endpoint->service, endpoint->id, endpoint->address) +
                        endpoint_fingerprint(endpoint->addresses, endpoint->address_count);
    endpoint_ref(endpoint);
    endpoint->watch = check;
    begin_state(check);
    check->since_ms = checks_now(checks);
    breaker_init(&check->breaker, checks_now(checks));
    checks_begin_told(check);
    join_group(check, group);
    return check;
}

static void stop_probe(struct check *check)
{
    cancel_probe(check);
    pool_close_idle(check->checks->home.loop, check->dial, true);
}

static void drop_check(struct check **at)
{
    struct check *gone = *at;

    *at = gone->next;
    gone->group->count--;
    stop_probe(gone);
    if (!gone->checks->is_closing) // it will be new if it comes back
        health_memory_put(gone->checks->home.memory, gone->memory_key, HEALTH_UNKNOWN);
    loop_timer_remove(gone->checks->home.loop, &gone->timer);
    gone->endpoint->watch = NULL;
    rules_unref(&gone->rules);
    tls_client_unref(&gone->tls);
    endpoint_unref(&gone->dial);
    endpoint_unref(&gone->endpoint);
    free(gone);
}

static bool is_same_check(const struct check *check, const struct conf_service *conf,
                          const struct tls_client *tls)
{
    const struct conf_health *a = &check->conf->health, *b = &conf->health;

    return a->is_on == b->is_on && a->interval_ms == b->interval_ms &&
           a->fast_interval_ms == b->fast_interval_ms && a->has_grpc == b->has_grpc &&
           a->port == b->port && a->status_count == b->status_count &&
           !memcmp(a->statuses, b->statuses, sizeof(a->statuses)) &&
           str_same(a->path.s, b->path.s) && str_same(a->grpc.s, b->grpc.s) &&
           str_same(a->body.s, b->body.s) && check->conf->protocol == conf->protocol &&
           !check->tls == !tls;
}

/* From now on by this configuration. A check that asks for something else begins at once. */
static void follow(struct check *check, const struct snapshot *snapshot,
                   const struct service *service)
{
    bool is_new = !check->rules, is_asking = check->probe != NULL;
    bool is_same = !is_new && is_same_check(check, service->conf, service->tls);
    struct rules *rules = check->rules;
    struct tls_client *tls = check->tls;

    if (rules == snapshot->rules && tls == service->tls)
        return; // nothing that it is asked by has changed
    cancel_probe(check);
    check->rules = snapshot->rules;
    __atomic_fetch_add(&check->rules->refs, 1, __ATOMIC_RELAXED);
    check->conf = service->conf;
    check->tls = service->tls;
    if (check->tls)
        tls_client_ref(check->tls);
    rules_unref(&rules);
    tls_client_unref(&tls);
    check_apply(check);
    if (!check->conf->health.is_on)
        loop_timer_unset(&check->timer);
    else if (is_new || !is_same || is_asking)
        check_ask(check);
}

static void hurry(struct check *check, bool is_waking)
{
    bool was_waking = check->is_waking;

    check->is_waking = is_waking;
    if (!was_waking)
        check_begin_hurry(check);
    if (!was_waking && check->rules && check_is_hurried(check))
        check_ask(check); // not when it would have been its turn
    if (was_waking && !is_waking && check->rules && check->conf->health.is_on && !check->probe)
        ask_later(check); // the finer clock forgets it
}

static void adopt_release(struct checks *checks, const struct snapshot *snapshot,
                          const struct release *release)
{
    struct check_group *group = demand_group(checks, release->gate);
    const struct service *service = release->service;

    if (service->conf->breaker.is_on || service->conf->limits.adaptive.is_on)
        checks->is_fast = true;
    for (uint32_t i = 0; group && i < release->count; i++) {
        const struct snapshot_target *target = &release->targets[i];
        struct check *check = target->endpoint->watch;

        if (!check)
            check = add_check(group, checks, target->endpoint, service->conf);
        if (!check)
            return;
        if (check->group != group)
            move_check(check, group);
        check->is_wanted = true;
        check->is_drained = target->is_drained;
        hurry(check, service->scale.state == SERVICE_WAKING);
        follow(check, snapshot, service);
    }
}

static void drop_unwanted(struct checks *checks)
{
    for (struct check_group **at = &checks->groups; *at;) {
        struct check_group *group = *at;

        for (struct check **check = &group->first; *check;) {
            if ((*check)->is_wanted)
                check = &(*check)->next;
            else
                drop_check(check);
        }
        if (group->first) {
            at = &group->next;
            continue;
        }
        *at = group->next;
        group->gate->watch = NULL;
        free(group);
    }
}

static void want(struct checks *checks, bool is_wanted)
{
    for (struct check_group *group = checks->groups; group; group = group->next)
        for (struct check *check = group->first; check; check = check->next)
            check->is_wanted = is_wanted;
}

static void tick_again(struct checks *checks)
{
    loop_timer_set(checks->home.loop, &checks->tick, checks->is_fast ? TICK_FAST_MS : TICK_MS);
}

void checks_adopt(struct checks *checks, const struct snapshot *snapshot)
{
    if (checks->is_closing)
        return;
    loop_enter(checks->home.loop);
    checks->is_fast = false;
    want(checks, false);
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        for (uint32_t k = 0; k < snapshot->services[i].release_count; k++)
            adopt_release(checks, snapshot, &snapshot->services[i].releases[k]);
    drop_unwanted(checks);
    tick_again(checks);
    loop_leave(checks->home.loop);
}

/* --- beginning and end */

static void on_tick(struct loop_timer *timer)
{
    struct checks *checks = CONTAINER_OF(timer, struct checks, tick);

    checks_judge(checks);
    tick_again(checks);
}

struct checks *checks_open(const struct checks_home *home)
{
    struct checks *checks = calloc(1, sizeof(*checks));

    if (!checks)
        return NULL;
    checks->home = *home;
    checks->limits = (struct wire_limits){.header_bytes = HEADER_BYTES,
                                          .uri_bytes = HEADER_BYTES,
                                          .headers = HEADERS};
    checks->tick.fire = on_tick;
    checks_open_hurry(checks);
    return checks;
}

void checks_close(struct checks *checks)
{
    if (!checks)
        return;
    checks->is_closing = true;
    loop_enter(checks->home.loop);
    loop_timer_remove(checks->home.loop, &checks->tick);
    checks_close_hurry(checks);
    want(checks, false);
    drop_unwanted(checks);
    loop_leave(checks->home.loop);
}

void checks_free(struct checks **checks)
{
    free(*checks);
    *checks = NULL;
}

void checks_look(struct checks *checks)
{
    if (checks->is_closing)
        return;
    loop_enter(checks->home.loop);
    checks_judge_suspects(checks);
    loop_leave(checks->home.loop);
}

/* --- sight */

static uint64_t ago(const struct checks *checks, uint64_t then_ms)
{
    uint64_t now_ms = checks_now(checks);

    return now_ms > then_ms ? now_ms - then_ms : 0;
}

static void see_last(const struct check *check, struct checks_view *view)
{
    view->is_checked = check->last_ms != 0;
    view->last_passed = check->last.passed;
    view->last_took_ms = check->last.took_ms;
    view->last_ago_ms = ago(check->checks, check->last_ms);
    view->last_words = check->last.words;
}

bool checks_see(const struct checks *checks, const struct endpoint *endpoint,
                struct checks_view *view)
{
    static const char *const breakers[] = {"closed", "open", "half_open"};
    const struct check *check = endpoint->watch;
    enum standing standing;

    if (!check)
        return false;
    standing = standing_of(check);
    *view = (struct checks_view){
        .state = word_of(standing),
        .reason = reason_of(check, standing),
        .since_ms = ago(checks, check->since_ms),
        .breaker = check->conf->breaker.is_on ? breakers[check->breaker.state] : NULL,
        .limit = check->conf->limits.adaptive.is_on ? check->limit : 0,
    };
    if (check->outlier.until_ms > checks_now(checks))
        view->ejected_for_ms = check->outlier.until_ms - checks_now(checks);
    see_last(check, view);
    return true;
}
