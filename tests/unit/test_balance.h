/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets and a state for the tests of balance/.
 */
#ifndef TEST_BALANCE_H
#define TEST_BALANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/random.h"
#include "sluice/balancer.h"

struct group {
    const struct balancer *balancer;
    struct balancer_target *targets;
    uint32_t n;
    void *state;
};

static inline void group_start(struct group *group, uint64_t seed)
{
    free(group->state);
    group->state = calloc(1, group->balancer->state_size(group->n) + 1);
    assert_non_null(group->state);
    group->balancer->init(group->state, group->targets, group->n, seed);
}

/* Targets with ids from `first_id` on; weight 0 in `weights` ends them, NULL: all 1. */
static inline void group_init(struct group *group, const char *name, uint32_t n,
                              const uint32_t *weights)
{
    memset(group, 0, sizeof(*group));
    group->balancer = balancer_find((struct str){name, strlen(name)});
    assert_non_null(group->balancer);
    group->n = n;
    group->targets = calloc(n + 1, sizeof(*group->targets));
    assert_non_null(group->targets);
    for (uint32_t i = 0; i < n; i++)
        group->targets[i] = (struct balancer_target){.id_hash = random_mix(i + 1000),
                                                     .weight = weights ? weights[i] : 1};
    group_start(group, 1);
}

static inline void group_fini(struct group *group)
{
    free(group->state);
    free(group->targets);
}

static inline int group_pick(struct group *group, uint64_t key, uint64_t tried)
{
    return group->balancer->pick(group->state, group->targets, group->n, key, tried);
}

/* Pearson's chi-square of counts against shares by weight among those that are not out. */
static inline double chi_square(const struct group *group, const uint32_t *counts, uint32_t picks)
{
    double total = 0, sum = 0;

    for (uint32_t i = 0; i < group->n; i++)
        total += group->targets[i].is_out ? 0 : group->targets[i].weight;
    for (uint32_t i = 0; i < group->n; i++) {
        double expected = group->targets[i].is_out ? 0 : picks * (group->targets[i].weight / total);

        if (expected > 0)
            sum += (counts[i] - expected) * (counts[i] - expected) / expected;
        else
            assert_int_equal(counts[i], 0);
    }
    return sum;
}

/* Picks with keys in a row; counts[n]. */
static inline void count_picks(struct group *group, uint32_t picks, uint64_t tried,
                               uint32_t *counts)
{
    memset(counts, 0, group->n * sizeof(*counts));
    for (uint32_t i = 0; i < picks; i++) {
        int target = group_pick(group, i, tried);

        assert_in_range(target, 0, group->n - 1);
        counts[target]++;
    }
}

#endif
