/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of the deploy machine: plans, and what holds of a world of theirs at every moment.
 */
#ifndef TEST_DEPLOY_PLANS_H
#define TEST_DEPLOY_PLANS_H

#include "control/deploy/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, TICKS_MAX = 40000 };

static const struct deploy_plan canary = {
    .steps = {{.share = 50000, .for_ms = 5 * MINUTE, .is_judged = true},
              {.share = 250000, .for_ms = 5 * MINUTE, .is_judged = true},
              {.is_approval = true},
              {.share = DEPLOY_WHOLE}},
    .step_count = 4,
    .has_hook = {true, true, true, true, true},
    .has_old = true,
    .has_units = true,
    .start_ms = MINUTE,
    .healthy_ms = MINUTE,
    .judge_ms = 30 * MINUTE,
    .bake_ms = 5 * MINUTE,
    .drain_ms = 30 * SECOND,
    .keep_ms = 30 * MINUTE,
};

static inline struct deploy_plan bluegreen(void)
{
    struct deploy_plan plan = canary;

    plan.steps[0] = (struct deploy_step){.share = DEPLOY_WHOLE};
    plan.step_count = 1;
    return plan;
}

static inline struct deploy_plan rolling(void)
{
    struct deploy_plan plan = canary;

    plan.manner = DEPLOY_ROLLS;
    plan.step_count = 4;
    for (uint32_t i = 0; i < 4; i++)
        plan.steps[i] = (struct deploy_step){.share = DEPLOY_WHOLE / 4 * (i + 1)};
    memset(plan.has_hook, 0, sizeof(plan.has_hook));
    plan.has_hook[DEPLOY_HOOK_SMOKE] = true;
    return plan;
}

/* --- the world */

struct world {
    const struct deploy_plan *plan;
    struct deploy_state state;
    struct deploy_wants wants; /* the last ones */
    int64_t now_ms;
    unsigned live_in, units_in, hook_in; /* ticks until that is so */
    enum deploy_progress units, hook;
    int hook_of; /* which one runs or has run; -1: none */
    unsigned hooks[DEPLOY_HOOKS];
    uint64_t random;
    /* what it is like */
    bool fails_hook[DEPLOY_HOOKS], fails_start, never_up, old_dies;
    enum deploy_progress staging;
    enum deploy_verdict verdict;
    bool is_ill;   /* while it has requests */
    bool is_cured; /* by a restart */
    char path[2048];
};

static inline struct world world_of(const struct deploy_plan *plan)
{
    return (struct world){.plan = plan,
                          .state = deploy_begin(1),
                          .now_ms = 1,
                          .hook_of = -1,
                          .verdict = DEPLOY_SOUND,
                          .random = 1};
}

static inline bool is_same(const struct deploy_wants *a, const struct deploy_wants *b)
{
    return a->new_runs == b->new_runs && a->old_runs == b->old_runs &&
           a->new_share == b->new_share && a->is_new_stable == b->is_new_stable &&
           a->new_part == b->new_part && a->old_part == b->old_part;
}

/* What must hold of an old release, at every moment. */
static inline void check_old(const struct world *world)
{
    const struct deploy_wants *wants = &world->wants;
    enum deploy_manner manner = world->plan->manner;

    if (manner != DEPLOY_STOPS_FIRST && wants->new_share < DEPLOY_WHOLE)
        assert_true(wants->old_runs); /* whoever gets requests is there */
    if (manner == DEPLOY_ROLLS) {
        assert_true(wants->new_part >= wants->new_share); /* and there are enough of it */
        assert_true(wants->old_part >= DEPLOY_WHOLE - wants->new_share);
    }
    if (manner == DEPLOY_STOPS_FIRST)
        assert_true(!wants->old_part || !wants->new_part || !world->state.is_thinned);
}

/* And of the rest. */
static inline void check(const struct world *world)
{
    const struct deploy_wants *wants = &world->wants;
    const struct deploy_state *state = &world->state;

    if (world->plan->has_old)
        check_old(world);
    assert_true(wants->new_share <= DEPLOY_WHOLE);
    assert_true(!wants->new_share || wants->new_runs);
    if (wants->is_new_stable)
        assert_int_equal(wants->new_share, DEPLOY_WHOLE);
    if (state->phase == DEPLOY_UNDONE)
        assert_true(!wants->new_runs && !wants->new_share &&
                    wants->old_runs == world->plan->has_old);
    if (state->phase == DEPLOY_DONE)
        assert_true(wants->new_runs && wants->is_new_stable && !wants->old_runs);
    assert_true(!wants->is_judged || (wants->new_share && wants->new_share < DEPLOY_WHOLE));
    if (state->way)
        assert_true(state->why[0] != '\0');
}

#endif
