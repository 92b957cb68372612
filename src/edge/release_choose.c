/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing a target of a release for a request: its tier, the balancer's turn, and what stands
 * against that one: a cap, slow start, a breaker, tries before. A worker's own.
 */
#include "edge/service.h"

#include "base/random.h"

enum { PLACES_LOOKED_AT = 64 };

/* One look of a request: what it must not get, as bits by place in the tier. */
struct look {
    struct release *release;
    struct release_local *local;
    const struct release_ask *ask;
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
            if (look->release->targets[tier->first + i].endpoint == list[k])
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
    uint64_t span = look->release->service->conf->slow_start_ms;
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
static bool take_place(const struct release *release, struct endpoint *endpoint)
{
    struct gate *gate = release->gate;

    if (!release->service->has_caps)
        return true;
    if (!gate_take(&gate->whole->cap, &gate->whole->in_use))
        return false;
    if (gate_take(&endpoint->cap, &endpoint->in_use))
        return true;
    gate_give(&gate->whole->in_use);
    return false;
}

void release_give_place(struct gate *gate, struct endpoint *endpoint)
{
    gate_give(&endpoint->in_use);
    gate_give(&gate->whole->in_use);
    gate_release(gate);
}

enum fit { FITS, FULL, UNFIT };

static enum fit try_target(struct look *look, uint32_t i, bool is_strict)
{
    struct endpoint *endpoint = look->release->targets[i].endpoint;
    uint8_t notes = look->local->notes[i];

    if (look->release->count > 64 && is_among(endpoint, look->ask->tried, look->ask->tried_count))
        return UNFIT;
    if (notes & RELEASE_WARMING && is_strict && !takes_its_share(look, endpoint))
        return UNFIT;
    if (!take_place(look->release, endpoint))
        return FULL;
    if (!(notes & RELEASE_HALF_OPEN) || endpoint_take_trial(endpoint))
        return FITS;
    if (!is_strict && !look->saw_full)
        return FITS; // the last one there is
    if (look->release->service->has_caps)
        release_give_place(look->release->gate, endpoint);
    return UNFIT;
}

/* The balancer's choice of this tier that will do. */
static int choose_in_tier(struct look *look, uint64_t tried, bool is_strict)
{
    const struct tier *tier = &look->local->tiers[look->tier];

    for (unsigned looks = 0; looks < PLACES_LOOKED_AT; looks++) {
        int at = look->release->service->balancer->pick(look->local->states[look->tier],
                                                        look->local->targets + tier->first,
                                                        tier->count, look->ask->key, tried);
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
    const struct release_ask *ask = look->ask;
    uint64_t been = bits_of(look, ask->tried, ask->tried_count) |
                    bits_of(look, ask->shunned, ask->shunned_count);
    int index = choose_in_tier(look, been | look->passed_over, true);

    return index == BALANCER_NONE ? choose_in_tier(look, been, false) : index;
}

static int choose_again(struct look *look)
{
    const struct release_ask *ask = look->ask;

    return choose_in_tier(look, bits_of(look, ask->tried, ask->tried_count), false);
}

/* One that is ejected, where all others failed this very request. */
static int choose_ejected(struct look *look)
{
    const struct release *release = look->release;
    const struct release_ask *ask = look->ask;

    for (uint32_t i = 0; i < release->count; i++) {
        const struct endpoint *endpoint = release->targets[i].endpoint;

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
    for (uint32_t t = 0; index == BALANCER_NONE && t < look->release->tier_count; t++) {
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
    struct release_local *local = look->local;
    uint32_t count = look->release->tier_count, first = 0;
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
    const struct release *release = look->release;
    const struct release_ask *ask = look->ask;

    for (uint32_t i = 0; i < release->count; i++) {
        const struct endpoint *endpoint = release->targets[i].endpoint;

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
static bool is_plain(const struct release *release, const struct release_ask *ask)
{
    return release->tier_count == 1 && !release->service->has_caps && !ask->sticky &&
           !ask->tried_count && !ask->shunned_count;
}

static int choose_plain(struct look *look)
{
    struct release_local *local = look->local;
    int index = look->release->service->balancer->pick(local->states[0], local->targets,
                                                       look->release->count, look->ask->key, 0);

    if (index == BALANCER_NONE || !local->notes[index] ||
        try_target(look, (uint32_t)index, true) == FITS)
        return index;
    if (index < 64)
        look->passed_over = UINT64_C(1) << index;
    return BALANCER_NONE;
}

/* What stands against any of its targets. */
static enum release_lack lack_of_all(const struct release *release,
                                     const struct release_local *local)
{
    if (!release->count)
        return release->service->awaits_targets ? RELEASE_LACKS_NEWS : RELEASE_LACKS_TARGET;
    if (local->mode == TIERS_UNKNOWN)
        return RELEASE_LACKS_NEWS;
    return local->mode == TIERS_NONE ? RELEASE_LACKS_TARGET : RELEASE_LACKS_NOTHING;
}

int release_choose(struct release *release, unsigned worker, const struct release_ask *ask,
                   enum release_lack *lack)
{
    struct release_local *local = &release->locals[worker];
    struct look look = {.release = release, .local = local, .ask = ask};
    int index = BALANCER_NONE;

    *lack = lack_of_all(release, local);
    if (*lack)
        return BALANCER_NONE;
    if (is_plain(release, ask))
        index = choose_plain(&look);
    else if (ask->sticky)
        index = choose_sticky(&look);
    if (index == BALANCER_NONE)
        index = choose_by_tier(&look);
    if (index == BALANCER_NONE)
        *lack = look.saw_full ? RELEASE_LACKS_PLACE : RELEASE_LACKS_TARGET;
    return index;
}
