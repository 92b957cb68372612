/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "config/names.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CACHE_LINE = 64 };

static const char *const balance_names[] = {
    [CONF_LEAST_REQUEST] = "least_request",
    [CONF_ROUND_ROBIN] = "round_robin",
    [CONF_HASH] = "hash",
    [CONF_RANDOM] = "random",
};

/* --- building: which targets there are */

struct wishes {
    const struct service_build *build;
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
        struct snapshot_wish *items = arena_zero(wishes->build->arena, capacity, sizeof(*items));

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

static bool is_removed(const struct wishes *wishes, struct str id)
{
    const struct snapshot_overlay *overlay = wishes->build->overlay;

    return overlay && overlay->is_removed(overlay->owner, wishes->conf->name.s, id);
}

static void add_listed(struct wishes *wishes, const struct conf_target *targets, uint32_t count,
                       enum target_source source)
{
    for (uint32_t i = 0; i < count; i++) {
        struct snapshot_wish wish = {.target = targets[i], .source = (uint8_t)source};

        if (!is_removed(wishes, wish.target.id.s))
            add_wish(wishes, &wish);
    }
}

/* One that was found gives way to one of the file with its id. */
static void add_found(struct wishes *wishes, const struct found_list *list)
{
    const struct conf_service *conf = wishes->conf;
    struct arena scratch;
    struct names names;

    arena_init(&scratch, NULL, 0);
    names_init(&names, &scratch, conf->target_count);
    wishes->is_short |= !names.slots;
    for (uint32_t i = 0; names.slots && i < conf->target_count; i++)
        names_put(&names, conf->targets[i].id.s, i);
    for (uint32_t i = 0; names.slots && i < list->count; i++)
        if (names_get(&names, list->items[i].id.s) == NAMES_NONE)
            add_listed(wishes, &list->items[i], 1, TARGET_FOUND);
    arena_reset(&scratch);
}

/* The file's targets less the removed, the added ones, then those found less the removed. */
static void collect(struct wishes *wishes)
{
    const struct snapshot_overlay *overlay = wishes->build->overlay;
    const struct conf_service *conf = wishes->conf;
    const struct found_source *found = NULL;

    if (conf->discover.is_set)
        found = found_of(wishes->build->found, &conf->discover);
    add_listed(wishes, conf->targets, conf->target_count, TARGET_FILE);
    if (overlay)
        overlay->added(overlay->owner, conf->name.s, wishes, add_wish);
    if (found && found->list)
        add_found(wishes, found->list);
    for (uint32_t i = 0; overlay && i < wishes->count; i++)
        wishes->items[i].is_drained =
            overlay->is_drained(overlay->owner, conf->name.s, wishes->items[i].target.id.s);
}

/* One whose source is not known yet is looked for as soon as this is built. */
static bool awaits_targets(const struct service_build *build, const struct conf_service *conf)
{
    const struct found_source *found;

    if (!conf->discover.is_set || !build->found)
        return false;
    found = found_of(build->found, &conf->discover);
    return !found || found->is_awaited;
}

/* A target that says no region is as near as any. */
static uint16_t tier_of(const struct conf_target *target, struct str own)
{
    bool is_far = target->region.s.len && own.len && !str_same(target->region.s, own);

    return (uint16_t)(target->priority * 2 + is_far);
}

static int compare(const void *left, const void *right)
{
    const struct snapshot_target *a = left, *b = right;

    return (a->tier > b->tier) - (a->tier < b->tier);
}

/* Few are far out of order: by insertion, which keeps the order of the file. */
static void sort(struct snapshot_target *targets, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct snapshot_target moved = targets[i];
        uint32_t at = i;

        for (; at && compare(&targets[at - 1], &moved) > 0; at--)
            targets[at] = targets[at - 1];
        targets[at] = moved;
    }
}

/* What a new target begins with. */
static uint8_t first_standing(const struct service *service, const struct wishes *wishes,
                              const struct registry_wish *ask)
{
    const struct conf_health *health = &service->conf->health;
    uint64_t key = health_memory_key(ask->service, ask->target->id.s, ask->target->address.text.s) +
                   endpoint_fingerprint(ask->addresses, ask->count);

    if (!health->is_on)
        return STANDING_UP;
    switch (health_memory_get(wishes->build->memory, key)) {
    case HEALTH_UP:
        return STANDING_UP;
    case HEALTH_DOWN:
        return STANDING_DOWN;
    default:
        return health->assume_up ? STANDING_UP : STANDING_UNKNOWN;
    }
}

static struct endpoint *find_endpoint(const struct service *service, const struct wishes *wishes,
                                      const struct snapshot_wish *wish, struct diag *diag)
{
    struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
    struct registry_wish ask = {.service = service->conf->name.s,
                                .target = &wish->target,
                                .addresses = found};
    const char *error;

    if (endpoint_resolve(&wish->target.address, found, &ask.count, &error))
        diag_warn(diag, wish->target.at, "target %.*s: %s", STR_FMT(wish->target.address.text.s),
                  error);
    ask.standing = first_standing(service, wishes, &ask);
    return registry_endpoint(wishes->build->registry, &ask);
}

static bool fill_targets(struct service *service, const struct wishes *wishes, struct diag *diag)
{
    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct snapshot_wish *wish = &wishes->items[i];
        struct endpoint *endpoint = find_endpoint(service, wishes, wish, diag);

        if (!endpoint)
            return false;
        service->targets[i] = (struct snapshot_target){
            .endpoint = endpoint,
            .region = arena_copy(wishes->build->arena, wish->target.region.s),
            .weight = wish->target.weight,
            .priority = wish->target.priority,
            .tier = tier_of(&wish->target, wishes->build->region),
            .is_drained = wish->is_drained,
            .source = wish->source,
        };
        service->count = i + 1;
    }
    sort(service->targets, service->count);
    return true;
}

static uint32_t count_tiers(const struct service *service)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < service->count; i++)
        n += !i || service->targets[i].tier != service->targets[i - 1].tier;
    return n;
}

/* --- building: each worker's own part, on cache lines of its own */

static char *take(char **lines, size_t size)
{
    char *start = *lines;

    *lines += (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    return start;
}

static size_t lines_of(size_t size)
{
    return (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static size_t size_of_states(const struct service *service, const struct tier *tiers)
{
    size_t size = 0;

    for (uint32_t t = 0; t < service->tier_count; t++)
        size += lines_of(service->balancer->state_size(tiers[t].count));
    return size;
}

static void fill_local_targets(const struct service *service, struct service_local *local)
{
    for (uint32_t i = 0; i < service->count; i++) {
        const struct snapshot_target *target = &service->targets[i];
        struct str id = target->endpoint->id;

        local->standings[i] = (struct tiers_target){.weight = target->weight, .tier = target->tier};
        local->targets[i] = (struct balancer_target){
            .id_hash = XXH3_64bits(id.p, id.len),
            .weight = target->weight,
            .is_out = target->is_drained,
        };
    }
}

static bool fill_local(struct service *service, unsigned worker, struct arena *arena)
{
    struct service_local *local = &service->locals[worker];
    uint32_t n = service->count, tiers = service->tier_count;
    uint64_t seed = (worker + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = lines_of(n * sizeof(*local->targets)) + lines_of(n * sizeof(*local->standings)) +
                  lines_of(n) + lines_of(tiers * sizeof(*local->tiers)) +
                  lines_of(tiers * sizeof(*local->states));
    char *lines = arena_zero(arena, 1, size + CACHE_LINE), *states;

    if (!lines)
        return false;
    lines += -(uintptr_t)lines & (CACHE_LINE - 1);
    local->targets = (struct balancer_target *)take(&lines, n * sizeof(*local->targets));
    local->standings = (struct tiers_target *)take(&lines, n * sizeof(*local->standings));
    local->notes = (uint8_t *)take(&lines, n);
    local->tiers = (struct tier *)take(&lines, tiers * sizeof(*local->tiers));
    local->states = (void **)take(&lines, tiers * sizeof(*local->states));
    local->random = seed;
    fill_local_targets(service, local);
    tiers_split(local->standings, n, local->tiers);
    states = arena_zero(arena, 1, size_of_states(service, local->tiers) + CACHE_LINE);
    if (!states)
        return false;
    states += -(uintptr_t)states & (CACHE_LINE - 1);
    for (uint32_t t = 0; t < tiers; t++) {
        const struct tier *tier = &local->tiers[t];

        local->states[t] = take(&states, service->balancer->state_size(tier->count));
        service->balancer->init(local->states[t], local->targets + tier->first, tier->count, seed);
    }
    return true;
}

bool service_fill(struct service *service, const struct service_build *build, struct diag *diag)
{
    const struct conf_service *conf = service->conf;
    struct wishes wishes = {.build = build, .conf = conf};
    const char *name = balance_names[conf->balance];

    collect(&wishes);
    service->balancer = balancer_find((struct str){name, strlen(name)});
    service->targets = arena_zero(build->arena, wishes.count, sizeof(*service->targets));
    service->locals = arena_zero(build->arena, build->workers, sizeof(*service->locals));
    service->gate = registry_gate(build->registry, conf->name.s);
    if (wishes.is_short || !service->balancer || !service->targets || !service->locals ||
        !service->gate || !fill_targets(service, &wishes, diag))
        return false;
    service->tier_count = count_tiers(service);
    service->awaits_targets = awaits_targets(build, conf);
    service->has_caps =
        conf->limits.concurrency || conf->limits.total || conf->limits.adaptive.is_on;
    if (build->overlay && build->overlay->mode)
        service->mode = build->overlay->mode(build->overlay->owner, conf->name.s);
    for (unsigned i = 0; i < build->workers; i++)
        if (!fill_local(service, i, build->arena))
            return false;
    return true;
}

void service_fini(struct service *service)
{
    for (uint32_t i = 0; i < service->count; i++)
        endpoint_unref(&service->targets[i].endpoint);
    service->count = 0;
}

/* --- a worker brings its part up to date */

bool service_is_stale(const struct service *service, unsigned worker)
{
    return service->locals[worker].epoch !=
           __atomic_load_n(&service->gate->epoch, __ATOMIC_ACQUIRE);
}

static bool is_warming(const struct service *service, const struct endpoint *endpoint,
                       uint64_t now_ms)
{
    uint64_t since = __atomic_load_n(&endpoint->up_since_ms, __ATOMIC_RELAXED);

    return service->conf->slow_start_ms && since && now_ms < since + service->conf->slow_start_ms;
}

static void look_at(const struct service *service, struct service_local *local, uint32_t i,
                    uint64_t now_ms)
{
    const struct snapshot_target *target = &service->targets[i];
    const struct endpoint *endpoint = target->endpoint;

    local->standings[i].standing =
        target->is_drained ? STANDING_DRAINED
                           : (uint8_t)__atomic_load_n(&endpoint->standing, __ATOMIC_RELAXED);
    local->notes[i] = 0;
    if (is_warming(service, endpoint, now_ms))
        local->notes[i] |= SERVICE_WARMING;
    if (__atomic_load_n(&endpoint->is_half_open, __ATOMIC_RELAXED))
        local->notes[i] |= SERVICE_HALF_OPEN;
}

void service_refresh(struct service *service, unsigned worker, uint64_t now_ms)
{
    const struct conf_health *health = &service->conf->health;
    const struct tiers_rule rule = {.panic_ppm = health->panic_ppm, .spill_ppm = health->spill_ppm};
    struct service_local *local = &service->locals[worker];

    local->epoch = __atomic_load_n(&service->gate->epoch, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < service->count; i++)
        look_at(service, local, i, now_ms);
    local->mode =
        tiers_weigh(&rule, local->standings, service->count, local->tiers, service->tier_count);
    for (uint32_t i = 0; i < service->count; i++)
        local->targets[i].is_out = local->standings[i].is_out;
}
