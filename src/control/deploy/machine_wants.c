/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from the state of a deploy: which units run, what edges are told, who gets what.
 */
#include "control/deploy/machine.h"

int deploy_hook_of(enum deploy_phase phase)
{
    switch (phase) {
    case DEPLOY_REGRESS:
        return DEPLOY_HOOK_REGRESSION;
    case DEPLOY_PRE:
        return DEPLOY_HOOK_PRE;
    case DEPLOY_MIGRATE:
        return DEPLOY_HOOK_MIGRATE;
    case DEPLOY_SMOKE:
        return DEPLOY_HOOK_SMOKE;
    case DEPLOY_POST:
        return DEPLOY_HOOK_POST;
    default:
        return -1;
    }
}

/* Of the last step that gave one, up to this one. */
static uint32_t share_of(const struct deploy_plan *plan, uint32_t step)
{
    for (uint32_t i = step + 1; i-- > 0;)
        if (!plan->steps[i].is_approval)
            return plan->steps[i].share;
    return 0;
}

static bool is_before(enum deploy_phase phase)
{
    return phase < DEPLOY_SHIFT;
}

static bool is_going_back(enum deploy_phase phase)
{
    return (phase >= DEPLOY_REFILL && phase <= DEPLOY_UNDO) || phase == DEPLOY_UNDONE;
}

/* Of a rollout unit by unit: while it grows the old ones that it replaces run on. */
static uint32_t rolled_part(const struct deploy_plan *plan, const struct deploy_state *state,
                            enum deploy_phase phase)
{
    if (phase <= DEPLOY_SHIFT)
        return DEPLOY_WHOLE - (state->step ? share_of(plan, state->step - 1) : 0);
    if (phase <= DEPLOY_ASK_DATA)
        return DEPLOY_WHOLE - share_of(plan, state->step);
    return is_going_back(phase) ? DEPLOY_WHOLE : 0;
}

static uint32_t old_part(const struct deploy_plan *plan, const struct deploy_state *state,
                         enum deploy_phase phase)
{
    bool is_side_by_side = plan->manner == DEPLOY_SIDE_BY_SIDE;

    if (!plan->has_old || phase == DEPLOY_STOP || phase == DEPLOY_DONE)
        return 0;
    if (plan->manner == DEPLOY_ROLLS)
        return rolled_part(plan, state, phase);
    if (plan->manner == DEPLOY_STOPS_FIRST && phase == DEPLOY_UNDO && state->is_thinned)
        return 0; // not before the new one is gone
    if (is_side_by_side || is_going_back(phase) || phase < DEPLOY_EMPTY)
        return DEPLOY_WHOLE;
    return plan->manner == DEPLOY_PLATFORM && phase <= DEPLOY_SHIFT ? DEPLOY_WHOLE : 0;
}

static enum deploy_units old_units(const struct deploy_plan *plan, enum deploy_phase phase,
                                   uint32_t part)
{
    if (plan->manner == DEPLOY_PLATFORM && phase >= DEPLOY_START && phase <= DEPLOY_SHIFT)
        return DEPLOY_UNITS_LEAVE; // it ends when the new one is there
    return part ? DEPLOY_UNITS_RUN : DEPLOY_UNITS_STOP;
}

static bool new_runs(const struct deploy_plan *plan, enum deploy_phase phase)
{
    if (plan->manner == DEPLOY_STOPS_FIRST && phase == DEPLOY_REFILL)
        return false;
    return phase >= DEPLOY_START && phase != DEPLOY_UNDO && phase != DEPLOY_UNDONE;
}

static enum deploy_units new_units(const struct deploy_plan *plan, enum deploy_phase phase)
{
    if (!new_runs(plan, phase))
        return DEPLOY_UNITS_STOP;
    if (plan->manner == DEPLOY_PLATFORM && is_going_back(phase))
        return DEPLOY_UNITS_LEAVE; // it ends when the old one is there
    return DEPLOY_UNITS_RUN;
}

static uint32_t new_part(const struct deploy_plan *plan, const struct deploy_state *state,
                         enum deploy_phase phase)
{
    if (!new_runs(plan, phase))
        return 0;
    if (plan->manner != DEPLOY_ROLLS || (phase >= DEPLOY_BAKE && phase <= DEPLOY_STOP) ||
        phase == DEPLOY_DONE)
        return DEPLOY_WHOLE;
    return share_of(plan, state->step);
}

static uint32_t new_share(const struct deploy_plan *plan, const struct deploy_state *state,
                          enum deploy_phase phase)
{
    if (is_before(phase))
        return state->step ? share_of(plan, state->step - 1) : 0;
    if (phase <= DEPLOY_ASK_DATA || (phase == DEPLOY_REFILL && plan->manner != DEPLOY_STOPS_FIRST))
        return share_of(plan, state->step);
    return is_going_back(phase) ? 0 : DEPLOY_WHOLE;
}

struct deploy_wants deploy_wants(const struct deploy_plan *plan, const struct deploy_state *state)
{
    enum deploy_phase phase = state->phase == DEPLOY_STUCK ? state->stuck : state->phase;
    struct deploy_wants wants = {
        .new_runs = new_runs(plan, phase),
        .new_units = new_units(plan, phase),
        .new_part = new_part(plan, state, phase),
        .old_part = old_part(plan, state, phase),
        .new_share = new_share(plan, state, phase),
        .is_new_stable = state->is_switched,
        .new_restarts = state->restarted_ms != 0 && new_runs(plan, phase),
        .hook = state->phase == DEPLOY_STUCK ? -1 : deploy_hook_of(phase),
    };

    wants.old_runs = wants.old_part > 0;
    wants.old_units = old_units(plan, phase, wants.old_part);
    if (wants.hook >= 0 && !plan->has_hook[wants.hook])
        wants.hook = -1;
    wants.is_judged = phase >= DEPLOY_WATCH && phase <= DEPLOY_ASK_DATA && wants.new_share &&
                      wants.new_share < DEPLOY_WHOLE;
    return wants;
}
