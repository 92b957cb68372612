/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/snapshot.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool same(struct str a, struct str b)
{
    return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

static const char *const balance_names[] = {
    [CONF_LEAST_REQUEST] = "least_request",
    [CONF_ROUND_ROBIN] = "round_robin",
    [CONF_HASH] = "hash",
    [CONF_RANDOM] = "random",
};

/* --- one service's view */

struct wishes {
    struct arena *arena;
    const struct snapshot_overlay *overlay;
    const struct conf_service *conf;
    struct snapshot_wish *items;
    uint32_t count, capacity;
    bool is_short; /* of memory */
};

static void add_wish(void *to, const struct snapshot_wish *wish)
{
    struct wishes *wishes = to;

    if (wishes->count == BALANCER_TARGETS_MAX)
        return;
    if (wishes->count == wishes->capacity) {
        uint32_t capacity = wishes->capacity ? wishes->capacity * 2 : 8;
        struct snapshot_wish *items = arena_zero(wishes->arena, capacity, sizeof(*items));

        if (!items) {
            wishes->is_short = true;
            return;
        }
        if (wishes->count)
            memcpy(items, wishes->items, wishes->count * sizeof(*items));
        wishes->items = items;
        wishes->capacity = capacity;
    }
    wishes->items[wishes->count++] = *wish;
}

/* The file's targets less the removed, then the added ones. */
static void collect(struct wishes *wishes)
{
    const struct snapshot_overlay *overlay = wishes->overlay;
    struct str name = wishes->conf->name.s;

    for (uint32_t i = 0; i < wishes->conf->target_count; i++) {
        struct snapshot_wish wish = {.target = wishes->conf->targets[i]};

        if (overlay && overlay->is_removed(overlay->owner, name, wish.target.id.s))
            continue;
        add_wish(wishes, &wish);
    }
    if (!overlay)
        return;
    overlay->added(overlay->owner, name, wishes, add_wish);
    for (uint32_t i = 0; i < wishes->count; i++)
        wishes->items[i].is_drained =
            overlay->is_drained(overlay->owner, name, wishes->items[i].target.id.s);
}

static struct endpoint *find_endpoint(const struct snapshot_build *build, struct str service,
                                      const struct snapshot_wish *wish, struct diag *diag)
{
    struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
    struct registry_wish ask = {.service = service, .target = &wish->target, .addresses = found};
    const char *error;

    if (endpoint_resolve(&wish->target.address, found, &ask.count, &error))
        diag_warn(diag, wish->target.at, "target %.*s: %s", STR_FMT(wish->target.address.text.s),
                  error);
    return registry_endpoint(build->registry, &ask);
}

static bool fill_targets(struct service *service, const struct wishes *wishes,
                         const struct snapshot_build *build, struct diag *diag)
{
    const struct conf_service *conf = service->conf;

    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct snapshot_wish *wish = &wishes->items[i];
        struct endpoint *endpoint = find_endpoint(build, conf->name.s, wish, diag);

        if (!endpoint)
            return false;
        service->targets[i] = (struct snapshot_target){
            .endpoint = endpoint,
            .weight = wish->target.weight,
            .is_drained = wish->is_drained,
            .is_added = wish->is_added,
        };
        service->count = i + 1;
    }
    return true;
}

/* Each worker's own copy of what its balancer reads and writes, on cache lines of its own. */
static bool fill_local(struct service *service, struct service_local *local, unsigned worker,
                       struct arena *arena)
{
    size_t size = service->balancer->state_size(service->count);
    size_t targets = service->count * sizeof(struct balancer_target);
    char *lines = arena_zero(arena, 1, size + targets + 3 * 64);

    if (!lines)
        return false;
    lines += -(uintptr_t)lines & 63;
    local->targets = (struct balancer_target *)lines;
    local->state = lines + (targets + 63) / 64 * 64;
    for (uint32_t i = 0; i < service->count; i++) {
        const struct snapshot_target *target = &service->targets[i];
        struct str id = target->endpoint->id;

        local->targets[i] = (struct balancer_target){
            .id_hash = XXH3_64bits(id.p, id.len),
            .weight = target->weight,
            .is_out = target->is_drained,
        };
    }
    service->balancer->init(local->state, local->targets, service->count,
                            (worker + 1) * UINT64_C(0x9e3779b97f4a7c15));
    return true;
}

static bool fill_service(struct snapshot *snapshot, struct service *service,
                         const struct snapshot_build *build, struct diag *diag)
{
    struct wishes wishes = {.arena = &snapshot->arena,
                            .overlay = build->overlay,
                            .conf = service->conf};
    const char *name = balance_names[service->conf->balance];

    collect(&wishes);
    service->balancer = balancer_find((struct str){name, strlen(name)});
    service->targets = arena_zero(&snapshot->arena, wishes.count, sizeof(*service->targets));
    service->locals = arena_zero(&snapshot->arena, build->workers, sizeof(*service->locals));
    if (wishes.is_short || !service->balancer || !service->targets || !service->locals ||
        !fill_targets(service, &wishes, build, diag))
        return false;
    if (service->conf->limits.concurrency) {
        service->gate = registry_gate(build->registry, service->conf->name.s);
        if (!service->gate)
            return false;
    }
    for (unsigned i = 0; i < build->workers; i++)
        if (!fill_local(service, &service->locals[i], i, &snapshot->arena))
            return false;
    return true;
}

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

    rules->list = arena_zero(&rules->arena, conf->route_count, sizeof(*rules->list));
    is_good = rules->list && plain && index_services(&index);
    for (uint32_t i = 0; is_good && i < conf->route_count; i++)
        is_good = fill_rule(rules, i, plain, &index);
    free(index.items);
    return is_good;
}

struct rules *rules_new(const struct conf *conf, struct arena *arena, struct diag *diag)
{
    struct rules *rules = calloc(1, sizeof(*rules));

    if (!rules)
        return NULL;
    rules->refs = 1;
    rules->conf = conf;
    rules->table = route_table_new(conf, arena, diag);
    rules->arena = *arena;
    if (rules->table && fill_rules(rules)) {
        arena_init(arena, NULL, 0);
        return rules;
    }
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
    bool is_good;

    if (!snapshot)
        return NULL;
    arena_init(&snapshot->arena, NULL, 0);
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
        snapshot->service_count = i + 1;
        is_good = fill_service(snapshot, &snapshot->services[i], build, diag);
    }
    if (!is_good) {
        snapshot_free(&snapshot);
        return NULL;
    }
    memset(snapshot->locals, 0, build->workers * sizeof(struct snapshot_local));
    take_doors(snapshot, build);
    return snapshot;
}

void snapshot_commit(const struct snapshot *snapshot, struct registry *registry)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];

        for (uint32_t k = 0; k < service->count; k++) {
            struct endpoint *endpoint = service->targets[k].endpoint;

            __atomic_store_n(&endpoint->cap, service->conf->limits.concurrency, __ATOMIC_RELAXED);
            __atomic_store_n(&endpoint->idle_max, service->conf->pool.idle_connections,
                             __ATOMIC_RELAXED);
        }
    }
    registry_end(registry);
}

void snapshot_assign_slots(struct snapshot *snapshot, struct stats *stats)
{
    const struct rules *rules = snapshot->rules;

    stats_sweep_begin(stats);
    snapshot->unmatched_slot = stats_route_slot(stats, STR("unmatched"));
    for (uint32_t i = 0; i < rules->conf->route_count; i++)
        __atomic_store_n(&rules->list[i].slot, stats_route_slot(stats, rules->list[i].label),
                         __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];

        for (uint32_t k = 0; k < service->count; k++) {
            struct endpoint *endpoint = service->targets[k].endpoint;
            uint32_t slot = stats_target_slot(stats, endpoint->service, STR(""), endpoint->id);

            __atomic_store_n(&endpoint->slot, slot, __ATOMIC_RELAXED);
        }
    }
    stats_sweep_end(stats);
}

void snapshot_free(struct snapshot **snapshot)
{
    struct snapshot *gone = *snapshot;

    *snapshot = NULL;
    if (!gone)
        return;
    for (uint32_t i = 0; i < gone->service_count; i++)
        for (uint32_t k = 0; k < gone->services[i].count; k++)
            endpoint_unref(&gone->services[i].targets[k].endpoint);
    doors_fini(&gone->doors);
    rules_unref(&gone->rules);
    free(gone->locals);
    arena_reset(&gone->arena);
    free(gone);
}

static struct balancer_target *find_in(const struct service *service,
                                       const struct endpoint *endpoint, unsigned worker)
{
    for (uint32_t i = 0; i < service->count; i++)
        if (service->targets[i].endpoint == endpoint)
            return &service->locals[worker].targets[i];
    return NULL;
}

struct balancer_target *snapshot_find(const struct snapshot *snapshot,
                                      const struct endpoint *endpoint, unsigned worker)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];

        if (same(service->conf->name.s, endpoint->service))
            return find_in(service, endpoint, worker);
    }
    return NULL;
}

void snapshot_begin(struct snapshot *snapshot, unsigned worker)
{
    for (uint32_t i = 0; i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];

        for (uint32_t k = 0; k < service->count; k++)
            service->locals[worker].targets[k].load =
                service->targets[k].endpoint->locals[worker].in_flight;
    }
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
