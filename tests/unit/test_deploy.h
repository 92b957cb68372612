/* SPDX-License-Identifier: Apache-2.0
 *
 * A small world of edges, units, hooks and people for the deploy machine.
 */
#ifndef TEST_DEPLOY_H
#define TEST_DEPLOY_H

#include "test_deploy_plans.h"

static inline void react_units(struct world *world, const struct deploy_wants *wants)
{
    if (wants->new_part > world->wants.new_part) {
        world->units = DEPLOY_RUNS;
        world->units_in = 3;
    }
    if (!wants->new_runs)
        world->units = DEPLOY_IDLE;
    if (wants->new_restarts && !world->wants.new_restarts && world->is_cured)
        world->is_ill = false;
}

/* The outside does what is wanted of it. */
static inline void react(struct world *world)
{
    struct deploy_wants wants = deploy_wants(world->plan, &world->state);

    if (!is_same(&wants, &world->wants))
        world->live_in = 2;
    react_units(world, &wants);
    if (wants.hook != world->hook_of) {
        world->hook_of = wants.hook;
        world->hook = wants.hook < 0 ? DEPLOY_IDLE : DEPLOY_RUNS;
        world->hook_in = 2;
        if (wants.hook >= 0)
            world->hooks[wants.hook]++;
    }
    world->wants = wants;
    check(world);
    if (world->live_in)
        world->live_in--;
    if (world->units == DEPLOY_RUNS && !world->units_in--)
        world->units = world->fails_start ? DEPLOY_BAD : DEPLOY_GOOD;
    if (world->hook == DEPLOY_RUNS && !world->hook_in--)
        world->hook = world->fails_hook[wants.hook] ? DEPLOY_BAD : DEPLOY_GOOD;
}

static inline struct deploy_seen see(const struct world *world, enum deploy_word word)
{
    return (struct deploy_seen){
        .now_ms = world->now_ms,
        .is_live = !world->live_in,
        .is_new_up = world->units == DEPLOY_GOOD && !world->never_up && !world->live_in,
        .is_old_up = world->wants.old_runs && !world->live_in,
        .is_old_whole =
            world->wants.old_part == DEPLOY_WHOLE && !world->live_in && !world->old_dies,
        .staging = world->staging,
        .is_new_gone = !world->wants.new_runs,
        .is_old_gone = !world->wants.old_runs,
        .units = world->units,
        .hook = world->hook,
        .verdict = world->wants.is_judged ? world->verdict : DEPLOY_UNSURE,
        .is_ill = world->is_ill && world->wants.new_share > 0,
        .word = word,
        .actor = "ann",
    };
}

static inline void tick(struct world *world, enum deploy_word word)
{
    struct deploy_seen seen;
    enum deploy_phase before = world->state.phase;

    react(world);
    seen = see(world, word);
    world->state = deploy_next(world->plan, &world->state, &seen);
    world->now_ms += SECOND;
    if (world->state.phase != before) {
        size_t len = strlen(world->path);

        snprintf(world->path + len, sizeof(world->path) - len, "%s%s", len ? ", " : "",
                 deploy_phase_name(world->state.phase));
    }
}

/* To its end, approving what asks for it. */
static inline void run(struct world *world)
{
    for (unsigned i = 0; i < TICKS_MAX && !deploy_is_over(&world->state); i++)
        tick(world,
             world->state.phase == DEPLOY_APPROVE ? DEPLOY_SAYS_APPROVE : DEPLOY_SAYS_NOTHING);
    react(world);
    assert_true(deploy_is_over(&world->state));
}

static inline void run_to(struct world *world, enum deploy_phase phase)
{
    for (unsigned i = 0; i < TICKS_MAX && world->state.phase != phase; i++)
        tick(world, DEPLOY_SAYS_NOTHING);
    assert_int_equal(world->state.phase, phase);
}

static inline void expect(const struct world *world, enum deploy_phase phase, enum deploy_way way)
{
    assert_int_equal(world->state.phase, phase);
    assert_int_equal(world->state.way, way);
}

#endif
