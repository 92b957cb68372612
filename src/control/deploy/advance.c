/* SPDX-License-Identifier: Apache-2.0
 *
 * A deploy goes on: what is seen of it is put together, its state follows, and is written before
 * anything is done about it. While that cannot be written nothing new is begun, but what is bad
 * goes back.
 */
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/notes.h"
#include "control/say.h"

/* --- what is seen */

static void gather(struct deploy *deploy, struct deploy_seen *seen)
{
    struct deploy_wants wants = deploy_wants(&deploy->plan, &deploy->state);

    *seen = (struct deploy_seen){
        .now_ms = (int64_t)clock_wall_ms(),
        .units = DEPLOY_GOOD, // their targets are only listed
        .is_new_gone = !wants.new_runs,
        .is_old_gone = !wants.old_runs,
        .hook = deploy->hook_progress,
        .word = deploy->word,
        .actor = *deploy->word_actor ? deploy->word_actor : NULL,
    };
    watch_see(deploy->managed, seen);
    units_see(deploy, seen);
    seen->is_ill = seen->is_ill && wants.new_share && !scaler_is_waking(deploy->managed);
    if (seen->is_ill)
        seen->why = "at an edge none of its targets is up";
    judge_look(deploy, seen);
    staging_see(deploy, seen);
    criteria_see(deploy, seen);
    if (seen->hook == DEPLOY_BAD)
        seen->why = deploy->hook_why;
}

/* --- what follows */

static void log_change(struct deploy *deploy, const struct deploy_state *before)
{
    const struct deploy_state *now = &deploy->state;
    struct deploy_wants wants = deploy_wants(&deploy->plan, now);
    int hook = deploy_hook_of(now->phase);

    if (*now->why && strcmp(now->why, before->why) != 0)
        deploy_log(deploy, "%s", now->why);
    if (now->phase == before->phase && now->step == before->step)
        return;
    if (hook >= 0 && !deploy->plan.has_hook[hook])
        return; // nothing is done there
    if (now->phase == DEPLOY_SHIFT)
        deploy_log(deploy, "step %u of %u: %.4g%% to release %s", now->step + 1,
                   deploy->plan.step_count, 100.0 * wants.new_share / DEPLOY_WHOLE,
                   deploy->release);
    else if (now->phase == DEPLOY_KEEP)
        deploy_log(deploy, "release %s is live in all workers of all edges; %s stays warm",
                   deploy->release, *deploy->old ? deploy->old : "nothing");
    else if (now->phase == DEPLOY_DONE)
        deploy_log(deploy, "done: release %s serves", deploy->release);
    else if (now->phase == DEPLOY_UNDONE)
        deploy_log(deploy, "release %s is gone; %s serves", deploy->release,
                   *deploy->old ? deploy->old : "nothing");
    else
        deploy_log(deploy, "%s", deploy_phase_name(now->phase));
}

/* What follows from a state that the store has. */
static void act(struct deploy *deploy, int64_t now_ms)
{
    hooks_tick(deploy, deploy_wants(&deploy->plan, &deploy->state).hook);
    criteria_tick(deploy, now_ms);
    topup_tick(deploy, now_ms);
}

/* What is bad goes back also when the disk is full, and before it is written: a control that is
 * killed in between sees the same once more. */
static void tell_way_back(struct deploy *deploy)
{
    if (!watch_compose(deploy->managed))
        say_line("out of memory: the edges are not told that deploy %s goes back", deploy->id);
}

/* Its new release is live, or the old one serves as before. */
static void count_end(const struct deploy *deploy, const struct deploy_state *before)
{
    static const enum managed_end ends[] = {[DEPLOY_ON] = MANAGED_FAILED,
                                            [DEPLOY_FAILED] = MANAGED_FAILED,
                                            [DEPLOY_ABORTED] = MANAGED_ABORTED,
                                            [DEPLOY_ROLLED_BACK] = MANAGED_ROLLED_BACK};
    const struct deploy_state *now = &deploy->state;

    if (now->phase == DEPLOY_UNDONE)
        deploy->managed->ended[ends[now->way]]++;
    else if (deploy_is_told(now) && !deploy_is_told(before))
        deploy->managed->ended[MANAGED_PROMOTED]++;
}

/* Of what is over: what is known of the service now, for good. */
static void settle(struct deploy *deploy)
{
    struct managed *managed = deploy->managed;

    if (deploy->state.phase == DEPLOY_UNDONE) {
        managed_forget(managed, deploy->release);
    } else {
        managed_forget(managed, deploy->old);
        json_object_del(managed->record, "split"); // all is on the new one
        json_object_set_new(managed->record, "stable", json_string(deploy->release));
        json_array_extend(json_object_get(managed->record, "removed"), deploy->old_file_targets);
    }
    managed->deploy = NULL;
}

/* It is in another state now, which the store is to have. */
static void enter(struct deploy *deploy, const struct deploy_state *next,
                  const struct deploy_state *before, const struct deploy_seen *seen)
{
    deploy->state = *next;
    deploy->word = DEPLOY_SAYS_NOTHING;
    count_end(deploy, before);
    log_change(deploy, before);
    notes_change(deploy, before, seen);
    if (deploy_is_over(next))
        settle(deploy);
    deploy_save(deploy);
    if (next->phase == DEPLOY_BACK && before->phase != DEPLOY_BACK)
        tell_way_back(deploy);
}

/* While the store fails the edges have what it had last: that is judged on, and what comes out bad
 * goes back, as does what a person takes back. All else waits. */
static void watch_held(struct deploy *deploy, int64_t now_ms)
{
    struct deploy_state held = deploy->state, stored = deploy->stored, next;
    struct deploy_seen seen;

    if (held.way != DEPLOY_ON || !deploy_wants(&deploy->plan, &stored).new_share)
        return;
    deploy->state = stored;
    criteria_tick(deploy, now_ms);
    gather(deploy, &seen);
    if (!deploy_goes_back(seen.word))
        seen.word = DEPLOY_SAYS_NOTHING;
    next = deploy_next(&deploy->plan, &stored, &seen);
    if (next.phase == DEPLOY_BACK && stored.phase != DEPLOY_BACK)
        enter(deploy, &next, &stored, &seen);
    else
        deploy->state = held;
}

void advance_deploy(struct deploy *deploy, int64_t now_ms)
{
    struct deploy_state next, before = deploy->state;
    struct deploy_seen seen;

    deploy_save_again(deploy, now_ms);
    if (deploy->is_held)
        watch_held(deploy, now_ms);
    if (deploy->is_unsaved || deploy->is_saving)
        return;
    act(deploy, now_ms);
    if (units_adopt(deploy->managed) || deploy->managed->is_dirty) {
        deploy_save(deploy);
        return;
    }
    gather(deploy, &seen);
    next = deploy_next(&deploy->plan, &deploy->state, &seen);
    if (memcmp(&next, &deploy->state, sizeof(next)) != 0) {
        enter(deploy, &next, &before, &seen);
        return;
    }
    deploy->word = DEPLOY_SAYS_NOTHING;
    evidence_tick(deploy, now_ms);
    deploy_tell_waiters(deploy, NULL);
}
