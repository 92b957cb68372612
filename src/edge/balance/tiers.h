/* SPDX-License-Identifier: Apache-2.0
 *
 * Which targets of a service may be chosen, and in which shares over its tiers (failover
 * priorities, near and far regions): the first tier takes all it can, what is too much for it
 * spills to the next, after Envoy's priority levels (Envoy's documentation, "Priority levels" and
 * "Panic threshold"). Pure; one thread.
 */
#ifndef EDGE_BALANCE_TIERS_H
#define EDGE_BALANCE_TIERS_H

#include "sluice/balancer.h"

/* What is known of a target, by checks and by its answers. */
enum standing {
    STANDING_UP,
    STANDING_EJECTED, /* by its answers */
    STANDING_DOWN,    /* by its checks */
    STANDING_UNKNOWN, /* not checked yet */
    STANDING_DRAINED, /* by hand: out, and counted nowhere */
};

struct tiers_rule {
    uint32_t panic_ppm; /* with less of every tier up, what is known is not believed; 0: off */
    uint32_t spill_ppm; /* a tier with this much of it in takes all; with less, its part. 0: one
                           target is enough */
};

struct tiers_target {
    uint32_t weight; /* 1..1000 */
    uint16_t tier;   /* smaller is first; numbers may be left out */
    uint8_t standing;
    bool is_out; /* result: must not be chosen */
};

/* Targets `first` to `first + count - 1`. */
struct tier {
    uint32_t first, count;
    uint64_t upto; /* result: shares of this and all tiers before it, in parts of 2^32 */
};

enum tiers_mode {
    TIERS_NORMAL,
    TIERS_EJECTED_USED, /* nothing is up: those are in */
    TIERS_PANIC,        /* all that are known are in, whatever is said of them */
    TIERS_UNKNOWN,      /* nothing can be had, but some are not checked yet: wait */
    TIERS_NONE,
};

/* Fills `first` and `count` of the tiers of targets[n], n <= BALANCER_TARGETS_MAX, which are sorted
 * by tier. How many tiers there are; never more than n. */
uint32_t tiers_split(const struct tiers_target *targets, uint32_t n, struct tier *tiers);

/* Fills `is_out` of targets[n] and `upto` of their tiers.
 * Panic: there is a target that is up, ejected or down (that is: known), and no tier has panic_ppm
 * of the weight of its known ones up. Then all known ones are in, and each tier's share is by
 * weight. A tier that is well by itself prevents this: failover is the better answer. Otherwise
 * those that are up are in, or, when there is none, the ejected ones. A tier can take (weight that
 * is in) / (weight of the tier) / spill, at most all; the first takes that much, each next one what
 * is left. If it does not come to all together, all shares grow alike. The weight of a tier holds
 * its unknown targets only if one is known: a tier that is all new takes nothing from the others,
 * and one that grows by new targets does not take more than those it has can bear. In TIERS_UNKNOWN
 * and TIERS_NONE every target is out and no tier has a share. */
enum tiers_mode tiers_weigh(const struct tiers_rule *rule, struct tiers_target *targets, uint32_t n,
                            struct tier *tiers, uint32_t tier_count);

/* Index of the tier for 32 random bits; tier_count if none has a share. */
uint32_t tiers_pick(const struct tier *tiers, uint32_t tier_count, uint32_t random);

#endif
