/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/notes.h"

#include <stdio.h>
#include <string.h>

#include "control/journal.h"
#include "control/say.h"

/* One change of state. */
struct change {
    struct deploy *deploy;
    const struct deploy_state *before, *now;
    const struct deploy_seen *seen;
    const char *actor; /* NULL: nobody said a word */
};

static void note(struct deploy *deploy, const char *actor, const char *action, json_t *before,
                 json_t *after)
{
    struct journal_entry entry = {.actor = actor,
                                  .action = action,
                                  .service = deploy->service,
                                  .subject = deploy->id,
                                  .before = before,
                                  .after = after};

    if (!journal_add(&deploy->notes, &entry))
        say_line("out of memory: the ledger misses %s of deploy %s", action, deploy->id);
}

/* {"release": ID}; NULL: none. */
static json_t *release_json(const char *release)
{
    return *release ? json_pack("{s:s}", "release", release) : NULL;
}

/* A share of DEPLOY_WHOLE as people write it; the ledger has no fractions. */
static json_t *share_json(uint32_t share)
{
    return json_sprintf("%.4g%%", 100.0 * share / DEPLOY_WHOLE);
}

/* --- the beginning */

static json_t *steps_json(const struct deploy_plan *plan)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < plan->step_count; i++)
        json_array_append_new(list, plan->steps[i].is_approval ? json_string("approval")
                                                               : share_json(plan->steps[i].share));
    return list;
}

void notes_begin(struct deploy *deploy)
{
    json_t *after =
        json_pack("{s:s,s:o}", "release", deploy->release, "steps", steps_json(&deploy->plan));

    if (deploy->plan.is_breaking)
        json_object_set_new(after, "breaking", json_true());
    note(deploy, deploy->actor, "deploy.begin", release_json(deploy->old), after);
}

/* --- what it came to */

static json_t *counts_json(uint64_t requests, uint64_t failures)
{
    return json_pack("{s:I,s:I}", "requests", (json_int_t)requests, "failures",
                     (json_int_t)failures);
}

/* NULL: it was not compared, or nobody asked what came of it. */
static const char *outcome(const struct change *change)
{
    struct deploy_wants wants = deploy_wants(&change->deploy->plan, change->before);

    if (!wants.is_judged || change->actor || change->before->phase == change->now->phase)
        return NULL;
    if (change->now->phase == DEPLOY_ASK_DATA)
        return "not enough data";
    if (change->now->way == DEPLOY_FAILED)
        return change->seen->verdict == DEPLOY_WORSE || change->seen->is_ill ? "fail"
                                                                             : "not enough data";
    return change->seen->verdict == DEPLOY_SOUND ? "pass" : "not enough data";
}

static void note_verdict(const struct change *change)
{
    struct deploy *deploy = change->deploy;
    const char *word = outcome(change);
    json_t *after;

    if (!word)
        return;
    after = json_pack("{s:s,s:I,s:s,s:o,s:s,s:o}", "verdict", word, "step",
                      (json_int_t)change->before->step + 1, "release", deploy->release, "new",
                      counts_json(deploy->canary_requests, deploy->canary_failures), "old_release",
                      deploy->old, "old",
                      counts_json(deploy->stable_requests, deploy->stable_failures));
    if (*change->now->why)
        json_object_set_new(after, "why", json_string(change->now->why));
    note(deploy, NULL, "deploy.verdict", NULL, after);
}

static void note_word(const struct change *change)
{
    static const char *const actions[] = {
        [DEPLOY_SAYS_APPROVE] = "deploy.approve",
        [DEPLOY_SAYS_PROMOTE] = "deploy.promote",
        [DEPLOY_SAYS_RETRY] = "deploy.retry",
    };
    enum deploy_word word = change->seen->word;

    if (deploy_refusal(&change->deploy->plan, change->before, word))
        return;
    // Who had it taken back is said where it is.
    if (word < ARRAY_LEN(actions) && actions[word])
        note(change->deploy, change->actor, actions[word], NULL,
             json_pack("{s:s}", "phase", deploy_phase_name(change->before->phase)));
}

/* --- where it is now */

static json_t *why_json(const struct change *change)
{
    return json_pack("{s:s,s:s}", "release", change->deploy->release, "why", change->now->why);
}

static void note_back(const struct change *change)
{
    static const char *const actions[] = {[DEPLOY_FAILED] = "deploy.fail",
                                          [DEPLOY_ABORTED] = "deploy.abort",
                                          [DEPLOY_ROLLED_BACK] = "deploy.rollback"};
    struct deploy *deploy = change->deploy;
    struct deploy_wants wants = deploy_wants(&deploy->plan, change->before);
    json_t *before;

    if (change->before->way != DEPLOY_ON)
        return;
    before = release_json(deploy->release);
    if (wants.new_share)
        json_object_set_new(before, "share", share_json(wants.new_share));
    note(deploy, change->actor, actions[change->now->way], before,
         json_pack("{s:s,s:s}", "release", deploy->old, "why", change->now->why));
}

/* Every edge has it. */
static void note_shift(const struct change *change)
{
    struct deploy *deploy = change->deploy;
    struct deploy_wants wants = deploy_wants(&deploy->plan, change->now);

    if (change->before->phase == DEPLOY_SHIFT)
        note(deploy, NULL, "deploy.shift", NULL,
             json_pack("{s:s,s:o,s:I,s:I}", "release", deploy->release, "share",
                       share_json(wants.new_share), "step", (json_int_t)change->now->step + 1, "of",
                       (json_int_t)deploy->plan.step_count));
}

static void note_live(const struct change *change)
{
    note(change->deploy, NULL, "deploy.live", release_json(change->deploy->old),
         release_json(change->deploy->release));
}

static void note_done(const struct change *change)
{
    note(change->deploy, NULL, "deploy.done", NULL, release_json(change->deploy->release));
}

static void note_undone(const struct change *change)
{
    note(change->deploy, NULL, "deploy.undone", release_json(change->deploy->release),
         release_json(change->deploy->old));
}

static void note_ask(const struct change *change)
{
    struct deploy_wants wants = deploy_wants(&change->deploy->plan, change->now);
    json_t *after = why_json(change);

    json_object_set_new(after, "phase", json_string(deploy_phase_name(change->now->phase)));
    json_object_set_new(after, "share", share_json(wants.new_share));
    note(change->deploy, NULL, "deploy.ask", release_json(change->deploy->old), after);
}

static void (*const phases[DEPLOY_PHASES])(const struct change *change) = {
    [DEPLOY_WATCH] = note_shift,   [DEPLOY_APPROVE] = note_ask, [DEPLOY_ASK_DATA] = note_ask,
    [DEPLOY_STUCK] = note_ask,     [DEPLOY_KEEP] = note_live,   [DEPLOY_REFILL] = note_back,
    [DEPLOY_BACK] = note_back,     [DEPLOY_UNDO] = note_back,   [DEPLOY_DONE] = note_done,
    [DEPLOY_UNDONE] = note_undone,
};

void notes_change(struct deploy *deploy, const struct deploy_state *before,
                  const struct deploy_seen *seen)
{
    struct change change = {.deploy = deploy,
                            .before = before,
                            .now = &deploy->state,
                            .seen = seen,
                            .actor = seen->word ? seen->actor : NULL};

    note_word(&change);
    note_verdict(&change);
    if (deploy->state.restarted_ms && !before->restarted_ms)
        note(deploy, NULL, "deploy.restart", NULL, why_json(&change));
    if (deploy->state.phase != before->phase && phases[deploy->state.phase])
        phases[deploy->state.phase](&change);
}

/* --- on the way to the store */

void notes_give(struct deploy *deploy, struct store_put *put)
{
    put->entries = deploy->notes;
    deploy->notes = NULL;
}

void notes_take_back(struct deploy *deploy, struct store_put *put)
{
    if (!put->entries)
        return;
    json_array_extend(put->entries, deploy->notes);
    json_decref(deploy->notes);
    deploy->notes = put->entries;
    put->entries = NULL;
}
