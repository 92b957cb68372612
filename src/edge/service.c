/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CACHE_LINE = 64, PLACES_LOOKED_AT = 64 };

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

/* The file's targets less the removed, then the added and the found ones. */
static void collect(struct wishes *wishes)
{
    const struct snapshot_overlay *overlay = wishes->build->overlay;
    struct str name = wishes->conf->name.s;

    for (uint32_t i = 0; i < wishes->conf->target_count; i++) {
        struct snapshot_wish wish = {.target = wishes->conf->targets[i], .source = TARGET_FILE};

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

/* A target that says no region is as near as any. */
static uint16_t tier_of(const struct conf_target *target, struct str own)
{
    bool is_far = target->region.s.len && own.len && !same(target->region.s, own);

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

static struct endpoint *find_endpoint(const struct service *service, const struct wishes *wishes,
                                      const struct snapshot_wish *wish, struct diag *diag)
{
    const struct conf_health *health = &service->conf->health;
    struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
    struct registry_wish ask = {.service = service->conf->name.s,
                                .target = &wish->target,
                                .addresses = found,
                                .standing = health->is_on && !health->assume_up ? STANDING_UNKNOWN
                                                                                : STANDING_UP};
    const char *error;

    if (endpoint_resolve(&wish->target.address, found, &ask.count, &error))
        diag_warn(diag, wish->target.at, "target %.*s: %s", STR_FMT(wish->target.address.text.s),
                  error);
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

/* --- choosing */

/* One look of a request: what it must not get, as bits by place in the tier. */
struct look {
    struct service *service;
    struct service_local *local;
    const struct service_ask *ask;
    uint64_t passed_over; /* of the only tier, as bits: it was looked at already */
    uint32_t tier;
    bool saw_full;
};

static uint64_t bits_of(const struct look *look, const struct endpoint *const *list, unsigned count)
{
    const struct tier *tier = &look->local->tiers[look->tier];
    uint32_t n = tier->count < 64 ? tier->count : 64;
    uint64_t bits = 0;

    for (unsigned k = 0; k < count; k++)
        for (uint32_t i = 0; i < n; i++)
            if (look->service->targets[tier->first + i].endpoint == list[k])
                bits |= UINT64_C(1) << i;
    return bits;
}

static bool is_among(const struct endpoint *endpoint, const struct endpoint *const *list,
                     unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        if (list[k] == endpoint)
            return true;
    return false;
}

/* Whether one that is new to its work takes this request: a tenth of its share at first, all at the
 * end. */
static bool takes_its_share(const struct look *look, const struct endpoint *endpoint)
{
    uint64_t span = look->service->conf->slow_start_ms;
    uint64_t since = __atomic_load_n(&endpoint->up_since_ms, __ATOMIC_RELAXED);
    uint64_t age = look->ask->now_ms - since;
    uint64_t draw = random_next(&look->local->random) >> 32;

    if (!since || !span || age >= span)
        return true;
    if (age < span / 10)
        age = span / 10;
    return draw * span < age << 32;
}

/* A place under every cap there is. */
static bool take_place(const struct service *service, struct endpoint *endpoint)
{
    struct gate *gate = service->gate;

    if (!service->has_caps)
        return true;
    if (!gate_take(&gate->cap, &gate->in_use))
        return false;
    if (gate_take(&endpoint->cap, &endpoint->in_use))
        return true;
    gate_give(&gate->in_use);
    return false;
}

void service_release(struct gate *gate, struct endpoint *endpoint)
{
    gate_give(&endpoint->in_use);
    gate_give(&gate->in_use);
    gate_release(gate);
}

enum fit { FITS, FULL, UNFIT };

static enum fit try_target(struct look *look, uint32_t i, bool is_strict)
{
    struct endpoint *endpoint = look->service->targets[i].endpoint;
    uint8_t notes = look->local->notes[i];

    if (look->service->count > 64 && is_among(endpoint, look->ask->tried, look->ask->tried_count))
        return UNFIT;
    if (notes & SERVICE_WARMING && is_strict && !takes_its_share(look, endpoint))
        return UNFIT;
    if (!take_place(look->service, endpoint))
        return FULL;
    if (!(notes & SERVICE_HALF_OPEN) || endpoint_take_trial(endpoint))
        return FITS;
    if (look->service->has_caps)
        service_release(look->service->gate, endpoint);
    return UNFIT;
}

/* The balancer's choice of this tier that will do. */
static int choose_in_tier(struct look *look, uint64_t tried, bool is_strict)
{
    const struct tier *tier = &look->local->tiers[look->tier];

    for (unsigned looks = 0; looks < PLACES_LOOKED_AT; looks++) {
        int at = look->service->balancer->pick(look->local->states[look->tier],
                                               look->local->targets + tier->first, tier->count,
                                               look->ask->key, tried);
        enum fit fit =
            at == BALANCER_NONE ? UNFIT : try_target(look, tier->first + (uint32_t)at, is_strict);

        if (at == BALANCER_NONE)
            return BALANCER_NONE;
        if (fit == FITS)
            return (int)(tier->first + (uint32_t)at);
        look->saw_full |= fit == FULL;
        if (at >= 64 && tier->count > 64)
            continue; // drawn again, or another
        tried |= UINT64_C(1) << at;
    }
    return BALANCER_NONE;
}

/* One it has not been to; one that warms up only if nobody else is there. */
static int choose_other(struct look *look)
{
    const struct service_ask *ask = look->ask;
    uint64_t been = bits_of(look, ask->tried, ask->tried_count) |
                    bits_of(look, ask->shunned, ask->shunned_count);
    int index = choose_in_tier(look, been | look->passed_over, true);

    return index == BALANCER_NONE ? choose_in_tier(look, been, false) : index;
}

static int choose_again(struct look *look)
{
    const struct service_ask *ask = look->ask;

    return choose_in_tier(look, bits_of(look, ask->tried, ask->tried_count), false);
}

/* One that is ejected, where all others failed this very request. */
static int choose_ejected(struct look *look)
{
    const struct service *service = look->service;
    const struct service_ask *ask = look->ask;

    for (uint32_t i = 0; i < service->count; i++) {
        const struct endpoint *endpoint = service->targets[i].endpoint;

        if (look->local->standings[i].standing == STANDING_EJECTED &&
            !is_among(endpoint, ask->tried, ask->tried_count) &&
            !is_among(endpoint, ask->shunned, ask->shunned_count) &&
            try_target(look, i, false) == FITS)
            return (int)i;
    }
    return BALANCER_NONE;
}

/* The tier `first`, then the others in their order. */
static int choose_in_tiers(struct look *look, uint32_t first, int (*choose)(struct look *look))
{
    int index;

    look->tier = first;
    index = choose(look);
    for (uint32_t t = 0; index == BALANCER_NONE && t < look->service->tier_count; t++) {
        if (t == first)
            continue;
        look->tier = t;
        index = choose(look);
    }
    return index;
}

/* A tier by its share, else another; for one that has failed already also one that is ejected, and
 * last one that it has been to. */
static int choose_by_tier(struct look *look)
{
    struct service_local *local = look->local;
    uint32_t count = look->service->tier_count, first = 0;
    int index;

    if (count > 1) {
        uint64_t draw = look->ask->key ? random_mix(look->ask->key) : random_next(&local->random);

        first = tiers_pick(local->tiers, count, (uint32_t)(draw >> 32));
    }
    if (first >= count)
        first = 0;
    index = choose_in_tiers(look, first, choose_other);
    if (index == BALANCER_NONE && look->ask->tried_count + look->ask->shunned_count)
        index = choose_ejected(look);
    if (index == BALANCER_NONE && look->ask->shunned_count)
        index = choose_in_tiers(look, first, choose_again);
    return index;
}

/* The target it has been sent to before, while that is there and well. */
static int choose_sticky(struct look *look)
{
    const struct service *service = look->service;
    const struct service_ask *ask = look->ask;

    for (uint32_t i = 0; i < service->count; i++) {
        const struct endpoint *endpoint = service->targets[i].endpoint;

        if (look->local->targets[i].id_hash != ask->sticky)
            continue;
        if (look->local->targets[i].is_out || is_among(endpoint, ask->tried, ask->tried_count) ||
            is_among(endpoint, ask->shunned, ask->shunned_count) ||
            try_target(look, i, false) != FITS)
            return BALANCER_NONE;
        return (int)i;
    }
    return BALANCER_NONE;
}

/* Nothing was tried, nothing can be full, nobody warms up: what most requests are. */
static bool is_plain(const struct service *service, const struct service_ask *ask)
{
    return service->tier_count == 1 && !service->has_caps && !ask->sticky && !ask->tried_count &&
           !ask->shunned_count;
}

static int choose_plainly(struct look *look)
{
    const struct service *service = look->service;
    const struct service_local *local = look->local;
    int index = service->balancer->pick(local->states[0], local->targets, service->count,
                                        look->ask->key, 0);

    if (index != BALANCER_NONE &&
        (!local->notes[index] || try_target(look, (uint32_t)index, true) == FITS))
        return index;
    if (index >= 0 && index < 64)
        look->passed_over = UINT64_C(1) << index;
    return BALANCER_NONE;
}

int service_choose(struct service *service, unsigned worker, const struct service_ask *ask,
                   enum service_lack *lack)
{
    struct service_local *local = &service->locals[worker];
    struct look look = {.service = service, .local = local, .ask = ask};
    int index = BALANCER_NONE;

    *lack = SERVICE_LACKS_NOTHING;
    if (local->mode == TIERS_UNKNOWN || local->mode == TIERS_NONE || !service->count) {
        *lack = local->mode == TIERS_UNKNOWN && service->count ? SERVICE_LACKS_NEWS
                                                               : SERVICE_LACKS_TARGET;
        return BALANCER_NONE;
    }
    if (is_plain(service, ask))
        index = choose_plainly(&look);
    if (index != BALANCER_NONE)
        return index;
    if (ask->sticky)
        index = choose_sticky(&look);
    if (index == BALANCER_NONE)
        index = choose_by_tier(&look);
    if (index == BALANCER_NONE)
        *lack = look.saw_full ? SERVICE_LACKS_PLACE : SERVICE_LACKS_TARGET;
    return index;
}
