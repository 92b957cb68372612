/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/service.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CACHE_LINE = 64 };

/* --- building: targets */

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
static uint8_t first_standing(const struct release *release, const struct health_memory *memory,
                              const struct registry_wish *ask)
{
    const struct conf_health *health = &release->service->conf->health;
    uint64_t key = health_memory_key(ask->service, ask->target->id.s, ask->target->address.text.s) +
                   endpoint_fingerprint(ask->addresses, ask->count);

    if (!health->is_on)
        return STANDING_UP;
    switch (health_memory_get(memory, key)) {
    case HEALTH_UP:
        return STANDING_UP;
    case HEALTH_DOWN:
        return STANDING_DOWN;
    default:
        return health->assume_up && release->service->scale.state != SERVICE_WAKING
                   ? STANDING_UP
                   : STANDING_UNKNOWN;
    }
}

static struct endpoint *find_endpoint(const struct release *release,
                                      const struct release_build *build,
                                      const struct conf_target *target, struct diag *diag)
{
    struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
    struct registry_wish ask = {.service = release->service->conf->name.s,
                                .target = target,
                                .addresses = found};
    const char *error;

    if (endpoint_resolve(&target->address, found, &ask.count, &error))
        diag_warn(diag, target->at, "target %.*s: %s", STR_FMT(target->address.text.s), error);
    ask.standing = first_standing(release, build->memory, &ask);
    return registry_endpoint(build->registry, &ask);
}

static bool is_own(const struct release *release, const struct snapshot_wish *wish)
{
    return str_same(release->id, wish->target.release);
}

static bool fill_target(struct release *release, const struct release_build *build,
                        const struct snapshot_wish *wish, struct diag *diag)
{
    struct endpoint *endpoint = find_endpoint(release, build, &wish->target, diag);

    if (!endpoint)
        return false;
    release->targets[release->count++] = (struct snapshot_target){
        .endpoint = endpoint,
        .region = arena_copy(build->arena, wish->target.region.s),
        .weight = wish->target.weight,
        .priority = wish->target.priority,
        .tier = tier_of(&wish->target, build->region),
        .is_drained = wish->is_drained,
        .source = wish->source,
    };
    return true;
}

static uint32_t count_tiers(const struct release *release)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < release->count; i++)
        n += !i || release->targets[i].tier != release->targets[i - 1].tier;
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

static size_t size_of_states(const struct release *release, const struct tier *tiers)
{
    size_t size = 0;

    for (uint32_t t = 0; t < release->tier_count; t++)
        size += lines_of(release->service->balancer->state_size(tiers[t].count));
    return size;
}

static void fill_local_targets(const struct release *release, struct release_local *local)
{
    for (uint32_t i = 0; i < release->count; i++) {
        const struct snapshot_target *target = &release->targets[i];
        struct str id = target->endpoint->id;

        local->standings[i] = (struct tiers_target){.weight = target->weight, .tier = target->tier};
        local->targets[i] = (struct balancer_target){
            .id_hash = XXH3_64bits(id.p, id.len),
            .weight = target->weight,
            .is_out = target->is_drained,
        };
    }
}

static bool fill_local(struct release *release, unsigned worker, struct arena *arena)
{
    struct release_local *local = &release->locals[worker];
    uint32_t n = release->count, tiers = release->tier_count;
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
    fill_local_targets(release, local);
    tiers_split(local->standings, n, local->tiers);
    states = arena_zero(arena, 1, size_of_states(release, local->tiers) + CACHE_LINE);
    if (!states)
        return false;
    states += -(uintptr_t)states & (CACHE_LINE - 1);
    for (uint32_t t = 0; t < tiers; t++) {
        const struct tier *tier = &local->tiers[t];

        local->states[t] = take(&states, release->service->balancer->state_size(tier->count));
        release->service->balancer->init(local->states[t], local->targets + tier->first,
                                         tier->count, seed);
    }
    return true;
}

bool release_fill(struct release *release, const struct release_build *build,
                  const struct snapshot_wish *wishes, uint32_t count, struct diag *diag)
{
    uint32_t own = 0;

    for (uint32_t i = 0; i < count; i++)
        own += is_own(release, &wishes[i]);
    release->targets = arena_zero(build->arena, own, sizeof(*release->targets));
    release->locals = arena_zero(build->arena, build->workers, sizeof(*release->locals));
    if (!release->targets || !release->locals)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (is_own(release, &wishes[i]) && !fill_target(release, build, &wishes[i], diag))
            return false;
    sort(release->targets, release->count);
    release->tier_count = count_tiers(release);
    for (unsigned i = 0; i < build->workers; i++)
        if (!fill_local(release, i, build->arena))
            return false;
    return true;
}

void release_fini(struct release *release)
{
    for (uint32_t i = 0; i < release->count; i++)
        endpoint_unref(&release->targets[i].endpoint);
    release->count = 0;
}

/* --- a worker brings its part up to date */

bool release_is_stale(const struct release *release, unsigned worker)
{
    return release->locals[worker].epoch !=
           __atomic_load_n(&release->gate->epoch, __ATOMIC_ACQUIRE);
}

static bool is_warming(const struct release *release, const struct endpoint *endpoint,
                       uint64_t now_ms)
{
    uint64_t since = __atomic_load_n(&endpoint->up_since_ms, __ATOMIC_RELAXED);

    return release->service->conf->slow_start_ms && since &&
           now_ms < since + release->service->conf->slow_start_ms;
}

static void look_at(const struct release *release, struct release_local *local, uint32_t i,
                    uint64_t now_ms)
{
    const struct snapshot_target *target = &release->targets[i];
    const struct endpoint *endpoint = target->endpoint;

    local->standings[i].standing =
        target->is_drained ? STANDING_DRAINED
                           : (uint8_t)__atomic_load_n(&endpoint->standing, __ATOMIC_RELAXED);
    local->notes[i] = 0;
    if (is_warming(release, endpoint, now_ms))
        local->notes[i] |= RELEASE_WARMING;
    if (__atomic_load_n(&endpoint->is_half_open, __ATOMIC_RELAXED))
        local->notes[i] |= RELEASE_HALF_OPEN;
}

void release_refresh(struct release *release, unsigned worker, uint64_t now_ms)
{
    const struct conf_health *health = &release->service->conf->health;
    bool is_waking = release->service->scale.state != SERVICE_AWAKE; // down means not up yet
    const struct tiers_rule rule = {.panic_ppm = is_waking ? 0 : health->panic_ppm,
                                    .spill_ppm = health->spill_ppm};
    struct release_local *local = &release->locals[worker];

    local->epoch = __atomic_load_n(&release->gate->epoch, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < release->count; i++)
        look_at(release, local, i, now_ms);
    local->mode =
        tiers_weigh(&rule, local->standings, release->count, local->tiers, release->tier_count);
    for (uint32_t i = 0; i < release->count; i++)
        local->targets[i].is_out = local->standings[i].is_out;
}
