/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/machine.h"

#include <stdio.h>
#include <string.h>

enum { RESTART_GRACE_MS = 30 * 1000 };

/* One look; the state is changed in place. */
struct look {
    const struct deploy_plan *plan;
    struct deploy_state *state;
    const struct deploy_seen *seen;
};

/* --- moving */

static void go(struct look *look, enum deploy_phase phase)
{
    look->state->phase = phase;
    look->state->since_ms = look->seen->now_ms;
    look->state->is_hook_begun = false;
}

static uint64_t elapsed(const struct look *look, int64_t since_ms)
{
    int64_t ms = look->seen->now_ms - since_ms;

    return ms > 0 ? (uint64_t)ms : 0; // a wall clock may be set back
}

static void say(struct look *look, const char *why)
{
    snprintf(look->state->why, sizeof(look->state->why), "%s", why);
}

static void say_actor(struct look *look)
{
    if (look->seen->actor)
        snprintf(look->state->actor, sizeof(look->state->actor), "%s", look->seen->actor);
}

static void get_stuck(struct look *look)
{
    look->state->stuck = look->state->phase;
    go(look, DEPLOY_STUCK);
}

/* The new release has had requests. */
static bool has_begun_shift(const struct deploy_state *state)
{
    return state->phase >= DEPLOY_SHIFT && state->phase <= DEPLOY_KEEP;
}

/* What comes first on the way back. */
static enum deploy_phase way_back(const struct deploy_plan *plan, const struct deploy_state *state)
{
    if (plan->manner == DEPLOY_STOPS_FIRST)
        return DEPLOY_UNDO;
    if (state->is_thinned)
        return DEPLOY_REFILL;
    return has_begun_shift(state) ? DEPLOY_BACK : DEPLOY_UNDO;
}

/* Back to where it was, in the way that is still open. */
static void turn_back(struct look *look, enum deploy_way way)
{
    struct deploy_state *state = look->state;

    if (state->is_switched && look->plan->is_breaking && state->has_migrated) {
        get_stuck(look);
        return;
    }
    if (state->is_switched && !look->plan->has_old) { // there is nothing to go back to
        get_stuck(look);
        return;
    }
    state->way = way;
    state->is_switched = false;
    if (state->step && state->phase <= DEPLOY_SMOKE)
        state->step--; // that it was to grow by was not given to it yet
    go(look, way_back(look->plan, state));
}

static void fail(struct look *look, const char *otherwise)
{
    say(look, look->seen->why ? look->seen->why : otherwise);
    turn_back(look, DEPLOY_FAILED);
}

/* --- hooks */

/* Whether the hook of this phase is over, well. What it is not known of is run again, but for a
 * migration. */
static bool hook_is_done(struct look *look)
{
    struct deploy_state *state = look->state;
    bool is_migration = state->phase == DEPLOY_MIGRATE;

    if (!look->plan->has_hook[deploy_hook_of(state->phase)])
        return true;
    switch (look->seen->hook) {
    case DEPLOY_GOOD:
        state->has_migrated |= is_migration;
        return true;
    case DEPLOY_BAD:
        fail(look, "a hook failed");
        return false;
    case DEPLOY_RUNS:
        state->is_hook_begun = true;
        return false;
    default:
        if (!is_migration || !state->is_hook_begun)
            return false;
        say(look, "it is not known how the migration ended");
        get_stuck(look);
        return false;
    }
}

/* --- steps */

static void begin_step(struct look *look, uint32_t step)
{
    look->state->step = step;
    look->state->extra_ms = 0;
    if (look->plan->steps[step].is_approval)
        go(look, DEPLOY_APPROVE);
    else if (look->plan->manner == DEPLOY_ROLLS && step)
        go(look, DEPLOY_START);
    else
        go(look, DEPLOY_SHIFT);
}

static void pass_step(struct look *look)
{
    if (look->state->step + 1 < look->plan->step_count)
        begin_step(look, look->state->step + 1);
    else
        go(look, DEPLOY_BAKE);
}

/* What ends a step badly, whatever its time. False: nothing. */
static bool is_failing(struct look *look)
{
    if (look->seen->is_ill)
        fail(look, "the new release does not answer as it should");
    else if (look->seen->verdict == DEPLOY_WORSE)
        fail(look, "the new release is worse than the old one");
    else
        return false;
    return true;
}

static void shift(struct look *look)
{
    struct deploy_state *state = look->state;

    if (is_failing(look) || !look->seen->is_live)
        return;
    state->is_switched = look->plan->steps[state->step].share == DEPLOY_WHOLE;
    state->step_ms = look->seen->now_ms;
    state->is_thinned |= look->plan->manner == DEPLOY_ROLLS && look->plan->has_old;
    go(look, DEPLOY_WATCH);
}

static void lack_data(struct look *look)
{
    const char *words = look->seen->why ? look->seen->why : "there were too few requests to tell";

    switch (look->plan->on_no_data) {
    case DEPLOY_PASS:
        pass_step(look);
        break;
    case DEPLOY_FAIL:
        say(look, words);
        turn_back(look, DEPLOY_FAILED);
        break;
    default:
        say(look, words);
        go(look, DEPLOY_ASK_DATA);
    }
}

static void watch(struct look *look)
{
    const struct deploy_step *step = &look->plan->steps[look->state->step];
    uint64_t ms = elapsed(look, look->state->step_ms);

    if (is_failing(look) || ms < step->for_ms)
        return;
    if (!step->is_judged || look->seen->verdict == DEPLOY_SOUND)
        pass_step(look);
    else if (ms >= (uint64_t)look->plan->judge_ms + look->state->extra_ms)
        lack_data(look);
}

static void wait_for_data(struct look *look)
{
    if (!is_failing(look) && look->seen->verdict == DEPLOY_SOUND) {
        say(look, "");
        pass_step(look);
    }
}

/* --- after the switch */

/* Restarted once, then it is rolled back. True: it is being dealt with. */
static bool watchdog(struct look *look)
{
    struct deploy_state *state = look->state;

    if (!look->seen->is_ill)
        return false;
    if (look->plan->has_units && !state->restarted_ms) {
        state->restarted_ms = look->seen->now_ms;
        say(look, look->seen->why ? look->seen->why : "the new release does not answer");
        return true;
    }
    if (!state->restarted_ms || elapsed(look, state->restarted_ms) >= RESTART_GRACE_MS)
        fail(look, "the new release does not answer as it should");
    return true;
}

static bool has_warm(const struct deploy_plan *plan)
{
    return plan->has_old && plan->manner == DEPLOY_SIDE_BY_SIDE;
}

static void bake(struct look *look)
{
    if (!watchdog(look) && elapsed(look, look->state->since_ms) >= look->plan->bake_ms)
        go(look, has_warm(look->plan) ? DEPLOY_DRAIN : DEPLOY_POST);
}

static void keep(struct look *look)
{
    if (watchdog(look))
        return;
    if (!has_warm(look->plan))
        go(look, DEPLOY_DONE);
    else if (elapsed(look, look->state->since_ms) >= look->plan->keep_ms)
        go(look, DEPLOY_STOP);
}

/* --- phases */

static void stage(struct look *look)
{
    if (!look->plan->has_staging || look->seen->staging == DEPLOY_GOOD)
        go(look, DEPLOY_REGRESS);
    else if (look->seen->staging == DEPLOY_BAD)
        fail(look, "it failed on staging");
}

static void regress(struct look *look)
{
    if (hook_is_done(look))
        go(look, DEPLOY_PRE);
}

static void pre(struct look *look)
{
    if (hook_is_done(look))
        go(look, DEPLOY_MIGRATE);
}

static void migrate(struct look *look)
{
    if (!hook_is_done(look))
        return;
    look->state->is_thinned = look->plan->manner == DEPLOY_STOPS_FIRST && look->plan->has_old;
    go(look, look->state->is_thinned ? DEPLOY_EMPTY : DEPLOY_START);
}

static void empty(struct look *look)
{
    if (look->seen->is_live && look->seen->is_old_gone)
        go(look, DEPLOY_START);
}

static void begin_health(struct look *look)
{
    look->state->is_thinned |= look->plan->manner == DEPLOY_PLATFORM && look->plan->has_old;
    go(look, DEPLOY_HEALTHY);
}

/* An edge that is silent is waited for; one that refuses will go on to. */
static void give_up_start(struct look *look)
{
    char why[DEPLOY_WHY_MAX];

    if (look->seen->units != DEPLOY_GOOD) {
        fail(look, "the new release did not start in time");
    } else if (look->seen->refusal) {
        snprintf(why, sizeof(why), "an edge refuses it: %s", look->seen->refusal);
        say(look, why);
        turn_back(look, DEPLOY_FAILED);
    }
}

static void start(struct look *look)
{
    if (look->seen->units == DEPLOY_BAD)
        fail(look, "the new release could not be started");
    else if (look->seen->units == DEPLOY_GOOD && look->seen->is_live)
        begin_health(look);
    else if (elapsed(look, look->state->since_ms) >= look->plan->start_ms)
        give_up_start(look);
}

static void healthy(struct look *look)
{
    if (look->seen->is_ill || look->seen->units == DEPLOY_BAD)
        fail(look, "the new release ended while it was waited for");
    else if (look->seen->is_live && look->seen->is_new_up)
        go(look, look->state->step ? DEPLOY_SHIFT : DEPLOY_SMOKE);
    else if (elapsed(look, look->state->since_ms) >= look->plan->healthy_ms)
        fail(look, "the new release did not become healthy in time");
}

static void smoke(struct look *look)
{
    if (look->seen->is_ill)
        fail(look, "the new release does not answer as it should");
    else if (hook_is_done(look))
        begin_step(look, 0);
}

static void approve(struct look *look)
{
    is_failing(look);
}

static void drain(struct look *look)
{
    if (watchdog(look))
        return;
    if ((look->seen->is_live && !look->seen->old_in_flight) ||
        elapsed(look, look->state->since_ms) >= look->plan->drain_ms)
        go(look, DEPLOY_POST);
}

/* The new release serves, whatever this hook says. */
static void post(struct look *look)
{
    if (look->plan->has_hook[DEPLOY_HOOK_POST] && look->seen->hook == DEPLOY_BAD)
        say(look, look->seen->why ? look->seen->why : "the last hook failed");
    else if (!hook_is_done(look))
        return;
    go(look, DEPLOY_KEEP);
}

static void stop(struct look *look)
{
    if (look->seen->is_live && look->seen->is_old_gone)
        go(look, DEPLOY_DONE);
}

static void refill(struct look *look)
{
    const struct deploy_plan *plan = look->plan;
    bool is_late = elapsed(look, look->state->since_ms) >= plan->start_ms + plan->healthy_ms;

    if (look->seen->is_live && (look->seen->is_old_whole || (is_late && look->seen->is_old_up))) {
        go(look, plan->manner == DEPLOY_STOPS_FIRST ? DEPLOY_UNDONE : DEPLOY_BACK);
    } else if (is_late) {
        say(look, "the old release does not come up again");
        get_stuck(look);
    }
}

static void back(struct look *look)
{
    if (look->seen->is_live)
        go(look, DEPLOY_EBB);
}

static void ebb(struct look *look)
{
    if ((look->seen->is_live && !look->seen->new_in_flight) ||
        elapsed(look, look->state->since_ms) >= look->plan->drain_ms)
        go(look, DEPLOY_UNDO);
}

static void undo(struct look *look)
{
    bool is_refilled = look->plan->manner != DEPLOY_STOPS_FIRST || !look->state->is_thinned;

    if (look->seen->is_live && look->seen->is_new_gone)
        go(look, is_refilled ? DEPLOY_UNDONE : DEPLOY_REFILL);
}

static const struct {
    const char *name;
    void (*look)(struct look *look); /* NULL: only a word moves it, or nothing */
} phases[DEPLOY_PHASES] = {
    [DEPLOY_STAGE] = {"deploying to staging", stage},
    [DEPLOY_REGRESS] = {"regression test", regress},
    [DEPLOY_PRE] = {"pre", pre},
    [DEPLOY_MIGRATE] = {"migrating", migrate},
    [DEPLOY_EMPTY] = {"stopping the old release", empty},
    [DEPLOY_START] = {"starting", start},
    [DEPLOY_HEALTHY] = {"waiting for health", healthy},
    [DEPLOY_SMOKE] = {"smoke test", smoke},
    [DEPLOY_SHIFT] = {"shifting", shift},
    [DEPLOY_WATCH] = {"watching", watch},
    [DEPLOY_APPROVE] = {"waiting for approval", approve},
    [DEPLOY_ASK_DATA] = {"not enough data", wait_for_data},
    [DEPLOY_BAKE] = {"baking", bake},
    [DEPLOY_DRAIN] = {"draining the old release", drain},
    [DEPLOY_POST] = {"post", post},
    [DEPLOY_KEEP] = {"live", keep},
    [DEPLOY_STOP] = {"stopping the old release", stop},
    [DEPLOY_REFILL] = {"starting the old release again", refill},
    [DEPLOY_BACK] = {"rolling back", back},
    [DEPLOY_EBB] = {"draining the new release", ebb},
    [DEPLOY_UNDO] = {"removing the new release", undo},
    [DEPLOY_STUCK] = {"waiting for a person", NULL},
    [DEPLOY_DONE] = {"done", NULL},
    [DEPLOY_UNDONE] = {"undone", NULL},
};

const char *deploy_phase_name(enum deploy_phase phase)
{
    return phases[phase].name;
}

/* --- words */

static bool is_turning_back(const struct deploy_state *state)
{
    return state->phase >= DEPLOY_REFILL && state->phase <= DEPLOY_UNDO;
}

bool deploy_goes_back(enum deploy_word word)
{
    return word == DEPLOY_SAYS_ABORT || word == DEPLOY_SAYS_ROLLBACK;
}

static const char *refuse_back(const struct deploy_plan *plan, const struct deploy_state *state)
{
    if (state->phase == DEPLOY_STOP)
        return "the old release is being stopped: deploy it again";
    if (state->phase == DEPLOY_STUCK && state->stuck == DEPLOY_REFILL)
        return "it is being taken back already: retry once the old release can run";
    if (!state->is_switched)
        return NULL;
    if (plan->is_breaking && state->has_migrated)
        return "its migration is declared breaking: the old release cannot work with what it left";
    return plan->has_old ? NULL : "there was no release before this one";
}

const char *deploy_refusal(const struct deploy_plan *plan, const struct deploy_state *state,
                           enum deploy_word word)
{
    if (deploy_is_over(state))
        return "the deploy is over";
    if (is_turning_back(state))
        return "it is being taken back already";
    switch (word) {
    case DEPLOY_SAYS_APPROVE:
        return deploy_is_asking(state) && (state->phase != DEPLOY_STUCK || state->is_switched)
                   ? NULL
                   : "nothing waits for approval";
    case DEPLOY_SAYS_PROMOTE:
        return state->phase == DEPLOY_WATCH || state->phase == DEPLOY_APPROVE ||
                       state->phase == DEPLOY_ASK_DATA || state->phase == DEPLOY_BAKE ||
                       state->phase == DEPLOY_KEEP
                   ? NULL
                   : "there is no step that it could go on from now";
    case DEPLOY_SAYS_RETRY:
        return state->phase == DEPLOY_STUCK || state->phase == DEPLOY_ASK_DATA
                   ? NULL
                   : "nothing has to be tried again";
    case DEPLOY_SAYS_ABORT:
    case DEPLOY_SAYS_ROLLBACK:
        return refuse_back(plan, state);
    default:
        return NULL;
    }
}

static void go_on(struct look *look)
{
    struct deploy_state *state = look->state;

    say(look, "");
    switch (state->phase) {
    case DEPLOY_BAKE:
        state->since_ms = look->seen->now_ms - (int64_t)look->plan->bake_ms;
        break;
    case DEPLOY_KEEP:
        state->since_ms = look->seen->now_ms - (int64_t)look->plan->keep_ms;
        break;
    case DEPLOY_STUCK: // after the switch: it stays as it is, however it does
        go(look, DEPLOY_STOP);
        break;
    default:
        pass_step(look);
    }
}

static void try_again(struct look *look)
{
    struct deploy_state *state = look->state;

    say(look, "");
    if (state->phase == DEPLOY_STUCK) {
        state->restarted_ms = 0;
        go(look, state->stuck);
        return;
    }
    state->extra_ms = (uint32_t)elapsed(look, state->step_ms);
    go(look, DEPLOY_WATCH);
}

static void take_word(struct look *look)
{
    enum deploy_word word = look->seen->word;
    struct deploy_state *state = look->state;

    if (!word || deploy_refusal(look->plan, state, word))
        return;
    say_actor(look);
    if (word == DEPLOY_SAYS_APPROVE || word == DEPLOY_SAYS_PROMOTE) {
        go_on(look);
        return;
    }
    if (word == DEPLOY_SAYS_RETRY) {
        try_again(look);
        return;
    }
    if (state->phase == DEPLOY_STUCK)
        state->phase = state->stuck;
    say(look, word == DEPLOY_SAYS_ABORT ? "it was aborted" : "it was rolled back");
    turn_back(look, word == DEPLOY_SAYS_ABORT ? DEPLOY_ABORTED : DEPLOY_ROLLED_BACK);
}

/* --- the whole */

struct deploy_state deploy_begin(int64_t now_ms)
{
    return (struct deploy_state){.phase = DEPLOY_STAGE, .since_ms = now_ms};
}

struct deploy_state deploy_resume(const struct deploy_state *state, int64_t now_ms)
{
    struct deploy_state next = *state;

    if (state->phase == DEPLOY_START || state->phase == DEPLOY_HEALTHY ||
        state->phase == DEPLOY_REFILL || state->phase == DEPLOY_BAKE)
        next.since_ms = now_ms;
    return next;
}

struct deploy_state deploy_next(const struct deploy_plan *plan, const struct deploy_state *state,
                                const struct deploy_seen *seen)
{
    struct deploy_state next = *state;
    struct look look = {plan, &next, seen};

    take_word(&look);
    if (next.phase == state->phase && phases[next.phase].look)
        phases[next.phase].look(&look);
    return next;
}

bool deploy_is_over(const struct deploy_state *state)
{
    return state->phase == DEPLOY_DONE || state->phase == DEPLOY_UNDONE;
}

bool deploy_is_told(const struct deploy_state *state)
{
    return deploy_is_over(state) || state->phase == DEPLOY_KEEP || state->phase == DEPLOY_STOP;
}

bool deploy_is_asking(const struct deploy_state *state)
{
    return state->phase == DEPLOY_APPROVE || state->phase == DEPLOY_ASK_DATA ||
           state->phase == DEPLOY_STUCK;
}
