/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mac.h"

/* --- rules */

static struct str label(const struct conf_route *route)
{
    if (route->name.s.len)
        return route->name.s;
    if (route->service.s.len)
        return route->service.s;
    return route->redirect.is_set ? STR("redirect") : STR("respond");
}

/* Services by name, sorted, for as long as the rules are compiled. */
struct service_index {
    const struct conf *conf;
    struct named_service {
        struct str name;
        int32_t index;
    } * items;
};

static int compare(const void *a, const void *b)
{
    const struct named_service *x = a, *y = b;
    size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.p, y->name.p, len);

    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static bool index_services(struct service_index *index)
{
    const struct conf *conf = index->conf;

    index->items = calloc(conf->service_count + 1u, sizeof(*index->items));
    if (!index->items)
        return false;
    for (uint32_t i = 0; i < conf->service_count; i++)
        index->items[i] = (struct named_service){conf->services[i].name.s, (int32_t)i};
    qsort(index->items, conf->service_count, sizeof(*index->items), compare);
    return true;
}

static int32_t find_service(const struct service_index *index, struct str name)
{
    const struct named_service key = {.name = name}, *found = NULL;

    if (name.len)
        found = bsearch(&key, index->items, index->conf->service_count, sizeof(key), compare);
    return found ? found->index : -1;
}

static bool fill_rule(struct rules *rules, uint32_t i, const struct chain *plain,
                      const struct service_index *index)
{
    const struct conf_route *route = &rules->conf->routes[i];
    struct rule *rule = &rules->list[i];

    rule->label = label(route);
    rule->service = find_service(index, route->service.s);
    rule->chain = plain;
    if (route->filters.count)
        rule->chain = chain_build(&rules->conf->filters, &route->filters, &rules->arena);
    return rule->chain != NULL;
}

static bool fill_rules(struct rules *rules)
{
    const struct conf *conf = rules->conf;
    const struct chain *plain =
        chain_build(&conf->filters, &(struct conf_filters){0}, &rules->arena);
    struct service_index index = {.conf = conf};
    bool is_good;

    rules->plain = plain;
    rules->errand_route.timeouts = conf->timeouts;
    rules->list = arena_zero(&rules->arena, conf->route_count, sizeof(*rules->list));
    is_good = rules->list && plain && index_services(&index);
    for (uint32_t i = 0; is_good && i < conf->route_count; i++)
        is_good = fill_rule(rules, i, plain, &index);
    free(index.items);
    return is_good;
}

static void free_parts(struct rules *rules)
{
    for (uint32_t i = 0; rules->policies && i < rules->conf->service_count; i++)
        wake_policy_free(&rules->policies[i]);
    for (uint32_t i = 0; rules->signers && i < rules->conf->service_count; i++)
        mac_free(&rules->signers[i]);
}

/* Also after an error: all that is wrong is told. */
static bool make_policies(struct rules *rules, struct diag *diag)
{
    const struct conf *conf = rules->conf;
    bool is_good = true;

    rules->policies = arena_zero(&rules->arena, conf->service_count, sizeof(*rules->policies));
    for (uint32_t i = 0; rules->policies && i < conf->service_count; i++) {
        const struct conf_scale *scale = &conf->services[i].scale;

        if (!scale->is_set)
            continue;
        rules->policies[i] = wake_policy_new(&scale->wake.refuse, &rules->arena, diag);
        is_good &= rules->policies[i] != NULL;
    }
    return rules->policies && is_good;
}

static bool make_signers(struct rules *rules)
{
    const struct conf *conf = rules->conf;
    bool is_good = true;

    rules->signers = arena_zero(&rules->arena, conf->service_count, sizeof(*rules->signers));
    for (uint32_t i = 0; rules->signers && i < conf->service_count; i++) {
        const struct conf_sign *sign = &conf->services[i].sign;

        if (!sign->is_set)
            continue;
        rules->signers[i] = mac_new(sign->key.s);
        is_good &= rules->signers[i] != NULL;
    }
    return rules->signers && is_good;
}

struct rules *rules_new(const struct conf *conf, const struct filter_env *env, struct arena *arena,
                        struct diag *diag)
{
    struct rules *rules = calloc(1, sizeof(*rules));

    if (!rules)
        return NULL;
    rules->refs = 1;
    rules->conf = conf;
    rules->table = route_table_new(conf, arena, diag);
    rules->arena = *arena;
    if (rules->table && fill_rules(rules) && make_policies(rules, diag) && make_signers(rules) &&
        chain_prepare(conf, env, &rules->arena, diag)) {
        arena_init(arena, NULL, 0);
        return rules;
    }
    free_parts(rules);
    *arena = rules->arena;
    route_table_free(&rules->table);
    free(rules);
    return NULL;
}

void rules_unref(struct rules **rules)
{
    struct rules *gone = *rules;

    *rules = NULL;
    if (!gone || __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL))
        return;
    chain_dispose(gone->conf);
    free_parts(gone);
    route_table_free(&gone->table);
    arena_reset(&gone->arena);
    free(gone);
}

/* --- the snapshot */

static void take_doors(struct snapshot *snapshot, const struct snapshot_build *build)
{
    snapshot->challenges = build->challenges;
    if (!build->doors)
        return;
    snapshot->doors = *build->doors;
    *build->doors = (struct doors){.count = 0};
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        snapshot->services[i].tls = snapshot->doors.clients[i];
}

struct snapshot *snapshot_build(const struct snapshot_build *build, struct diag *diag)
{
    const struct conf *conf = build->rules->conf;
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    struct service_build ask = {.overlay = build->overlay,
                                .found = build->found,
                                .release = {.registry = build->registry,
                                            .memory = build->memory,
                                            .region = build->region,
                                            .workers = build->workers}};
    bool is_good;

    if (!snapshot)
        return NULL;
    arena_init(&snapshot->arena, NULL, 0);
    ask.release.arena = &snapshot->arena;
    snapshot->news = registry_news(build->registry);
    snapshot->rules = build->rules;
    __atomic_fetch_add(&build->rules->refs, 1, __ATOMIC_RELAXED);
    snapshot->generation = build->generation;
    snapshot->workers = build->workers;
    snapshot->holding = build->workers;
    snapshot->home = build->home;
    snapshot->adopted_letter.kind = SNAPSHOT_ADOPTED;
    snapshot->gone_letter.kind = SNAPSHOT_GONE;
    snapshot->services = arena_zero(&snapshot->arena, conf->service_count, sizeof(struct service));
    snapshot->locals = aligned_alloc(64, build->workers * sizeof(struct snapshot_local));
    is_good = snapshot->services && snapshot->locals;
    registry_begin(build->registry);
    for (uint32_t i = 0; is_good && i < conf->service_count; i++) {
        snapshot->services[i].conf = &conf->services[i];
        snapshot->services[i].policy = build->rules->policies[i];
        snapshot->services[i].signer = build->rules->signers[i];
        snapshot->service_count = i + 1;
        is_good = service_fill(&snapshot->services[i], &ask, diag);
    }
    if (!is_good) {
        snapshot_free(&snapshot);
        return NULL;
    }
    memset(snapshot->locals, 0, build->workers * sizeof(struct snapshot_local));
    take_doors(snapshot, build);
    return snapshot;
}

void snapshot_each_target(const struct snapshot *snapshot, void *owner,
                          void (*each)(void *owner, const struct release *release,
                                       const struct snapshot_target *target))
{
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        service_each_target(&snapshot->services[i], owner, each);
}

static void commit_target(void *owner, const struct release *release,
                          const struct snapshot_target *target)
{
    const struct conf_service *conf = release->service->conf;
    struct endpoint *endpoint = target->endpoint;
    const struct conf_breaker *breaker = &conf->breaker;
    uint64_t slow_us = breaker->is_on ? (uint64_t)breaker->slow_ms * 1000 : 0;

    (void)owner;
    if (!conf->limits.adaptive.is_on) // else the manager's, as it learns
        __atomic_store_n(&endpoint->cap, conf->limits.concurrency, __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->idle_max, conf->pool.idle_connections, __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->in_row_max, conf->outlier.is_on ? conf->outlier.consecutive : 0,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&endpoint->slow_us, slow_us < UINT32_MAX ? (uint32_t)slow_us : UINT32_MAX,
                     __ATOMIC_RELAXED);
}

/* Who asked before it fell asleep asked for what there was then. */
static void commit_state(const struct service *service)
{
    enum service_state state = service->scale.state;

    if (service->demand->state != state && (state == SERVICE_AWAKE || state == SERVICE_ASLEEP))
        demand_forget(service->demand, clock_wall_ms());
    service->demand->state = (uint8_t)state;
}

void snapshot_commit(const struct snapshot *snapshot, struct registry *registry)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];

        commit_state(service);
        __atomic_store_n(&service->releases[0].gate->whole->cap, service->conf->limits.total,
                         __ATOMIC_RELAXED);
    }
    snapshot_each_target(snapshot, NULL, commit_target);
    registry_end(registry);
}

static void assign_release_slot(struct release *release, struct stats *stats)
{
    uint32_t slot = stats_release_slot(stats, release->service->conf->name.s, release->id);

    __atomic_store_n(&release->slot, slot, __ATOMIC_RELAXED);
}

static void assign_target_slot(void *owner, const struct release *release,
                               const struct snapshot_target *target)
{
    struct endpoint *endpoint = target->endpoint;
    uint32_t slot = stats_target_slot(owner, endpoint->service, release->id, endpoint->id);

    __atomic_store_n(&endpoint->slot, slot, __ATOMIC_RELAXED);
}

void snapshot_assign_slots(struct snapshot *snapshot, struct stats *stats)
{
    const struct rules *rules = snapshot->rules;

    stats_sweep_begin(stats);
    snapshot->unmatched_slot = stats_route_slot(stats, STR("unmatched"));
    for (uint32_t i = 0; i < rules->conf->route_count; i++)
        __atomic_store_n(&rules->list[i].slot, stats_route_slot(stats, rules->list[i].label),
                         __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        for (uint32_t k = 0; k < snapshot->services[i].release_count; k++)
            assign_release_slot(&snapshot->services[i].releases[k], stats);
    snapshot_each_target(snapshot, stats, assign_target_slot);
    stats_sweep_end(stats);
}

void snapshot_free(struct snapshot **snapshot)
{
    struct snapshot *gone = *snapshot;

    *snapshot = NULL;
    if (!gone)
        return;
    for (uint32_t i = 0; i < gone->service_count; i++)
        service_fini(&gone->services[i]);
    doors_fini(&gone->doors);
    rules_unref(&gone->rules);
    free(gone->locals);
    arena_reset(&gone->arena);
    free(gone);
}

struct service *snapshot_service(const struct snapshot *snapshot, struct str name)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        if (str_same(snapshot->services[i].conf->name.s, name))
            return &snapshot->services[i];
    return NULL;
}

static struct balancer_target *find_in(const struct service *service,
                                       const struct endpoint *endpoint, unsigned worker)
{
    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        for (uint32_t k = 0; k < release->count; k++)
            if (release->targets[k].endpoint == endpoint)
                return &release->locals[worker].targets[k];
    }
    return NULL;
}

struct balancer_target *snapshot_find(const struct snapshot *snapshot,
                                      const struct endpoint *endpoint, unsigned worker)
{
    const struct service *service = snapshot_service(snapshot, endpoint->service);

    return service ? find_in(service, endpoint, worker) : NULL;
}

static void begin_release(struct release *release, unsigned worker, uint64_t now_ms)
{
    release_refresh(release, worker, now_ms);
    for (uint32_t i = 0; i < release->count; i++)
        release->locals[worker].targets[i].load =
            release->targets[i].endpoint->locals[worker].in_flight;
}

void snapshot_begin(struct snapshot *snapshot, unsigned worker, uint64_t now_ms)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++)
        for (uint32_t k = 0; k < snapshot->services[i].release_count; k++)
            begin_release(&snapshot->services[i].releases[k], worker, now_ms);
}

struct str snapshot_challenge(const struct snapshot *snapshot, struct str token)
{
    return tls_challenges_answer(snapshot->challenges, token);
}

void snapshot_pin(struct snapshot *snapshot, unsigned worker)
{
    snapshot->locals[worker].pins++;
}

void snapshot_unpin(struct snapshot *snapshot, unsigned worker)
{
    if (--snapshot->locals[worker].pins)
        return;
    if (__atomic_sub_fetch(&snapshot->holding, 1, __ATOMIC_ACQ_REL) == 0)
        mailbox_post(snapshot->home, &snapshot->gone_letter);
}
