/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/balance/tiers.h"

enum { MILLION = 1000000 };

static const uint64_t whole = UINT64_C(1) << 32;

// By standing: together some 4 million, so that 32-bit shares of them fit in 64 bits.
struct weights {
    uint64_t of[STANDING_DRAINED + 1];
};

uint32_t tiers_split(const struct tiers_target *targets, uint32_t n, struct tier *tiers)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (!i || targets[i].tier != targets[i - 1].tier)
            tiers[count++] = (struct tier){.first = i};
        tiers[count - 1].count++;
    }
    return count;
}

static struct weights weights_of(const struct tiers_target *targets, const struct tier *tier)
{
    struct weights weights = {0};

    for (uint32_t i = tier->first; i < tier->first + tier->count; i++)
        weights.of[targets[i].standing] += targets[i].weight;
    return weights;
}

static uint64_t known(const struct weights *weights)
{
    return weights->of[STANDING_UP] + weights->of[STANDING_EJECTED] + weights->of[STANDING_DOWN];
}

static bool is_well(const struct tiers_rule *rule, const struct weights *weights)
{
    return known(weights) && weights->of[STANDING_UP] * MILLION >= known(weights) * rule->panic_ppm;
}

static enum tiers_mode mode_of(const struct tiers_rule *rule, const struct tiers_target *targets,
                               const struct tier *tiers, uint32_t tier_count)
{
    struct weights all = {0};
    bool some_well = false;

    for (uint32_t i = 0; i < tier_count; i++) {
        struct weights weights = weights_of(targets, &tiers[i]);

        some_well |= is_well(rule, &weights);
        for (unsigned standing = 0; standing < ARRAY_LEN(all.of); standing++)
            all.of[standing] += weights.of[standing];
    }
    if (rule->panic_ppm && known(&all) && !some_well)
        return TIERS_PANIC;
    if (all.of[STANDING_UP])
        return TIERS_NORMAL;
    if (all.of[STANDING_EJECTED])
        return TIERS_EJECTED_USED;
    return all.of[STANDING_UNKNOWN] ? TIERS_UNKNOWN : TIERS_NONE;
}

static bool is_in(enum tiers_mode mode, uint8_t standing)
{
    switch (mode) {
    case TIERS_NORMAL:
        return standing == STANDING_UP;
    case TIERS_EJECTED_USED:
        return standing == STANDING_EJECTED;
    case TIERS_PANIC:
        return standing <= STANDING_DOWN;
    case TIERS_UNKNOWN:
    case TIERS_NONE:
        break;
    }
    return false;
}

// In parts of 2^32; something if anything is in. What is in is known, so unknown ones count here.
static uint64_t capacity(const struct tiers_rule *rule, const struct weights *weights, uint64_t in)
{
    uint64_t enough = (known(weights) + weights->of[STANDING_UNKNOWN]) * rule->spill_ppm;

    if (!in || in * MILLION >= enough)
        return in ? whole : 0;
    in = (uint64_t)((unsigned __int128)in * MILLION * whole / enough);
    return in ? in : 1;
}

// What a tier takes of what is left. In a panic there is no telling what a tier can take.
static uint64_t take(const struct tiers_rule *rule, const struct weights *weights,
                     enum tiers_mode mode, uint64_t left)
{
    uint64_t part, in = 0;

    for (uint8_t standing = 0; standing < ARRAY_LEN(weights->of); standing++)
        in += is_in(mode, standing) ? weights->of[standing] : 0;
    if (mode == TIERS_PANIC)
        return in;
    part = capacity(rule, weights, in);
    return part < left ? part : left;
}

enum tiers_mode tiers_weigh(const struct tiers_rule *rule, struct tiers_target *targets, uint32_t n,
                            struct tier *tiers, uint32_t tier_count)
{
    enum tiers_mode mode = mode_of(rule, targets, tiers, tier_count);
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++)
        targets[i].is_out = !is_in(mode, targets[i].standing);
    for (uint32_t i = 0; i < tier_count; i++) {
        struct weights weights = weights_of(targets, &tiers[i]);

        sum += take(rule, &weights, mode, whole - sum);
        tiers[i].upto = sum;
    }
    for (uint32_t i = 0; sum && i < tier_count; i++)
        tiers[i].upto = (uint64_t)((unsigned __int128)tiers[i].upto * whole / sum);
    return mode;
}

uint32_t tiers_pick(const struct tier *tiers, uint32_t tier_count, uint32_t random)
{
    uint32_t i = 0;

    while (i < tier_count && random >= tiers[i].upto)
        i++;
    return i;
}
