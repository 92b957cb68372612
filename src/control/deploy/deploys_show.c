/* SPDX-License-Identifier: Apache-2.0
 *
 * A deploy as JSON: for the store, which gets it back, and for people.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/deploy/impl.h"
#include "control/deploy/record.h"

/* --- for the store */

static json_t *own_record(const struct deploy *deploy)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:O,s:O,s:O,s:I,s:o,s:o,s:[f,f,f,I,f],s:s,s:s}",
                     "service", deploy->service, "release", deploy->release, "old", deploy->old,
                     "key", deploy->key, "actor", deploy->actor, "targets", deploy->targets,
                     "old_file_targets", deploy->old_file_targets, "log", deploy->log, "hooks",
                     deploy->hooks, "created_ms", (json_int_t)deploy->created_ms, "plan",
                     record_plan(&deploy->plan), "state", record_state(&deploy->state), "rule",
                     deploy->rule.error_ratio, deploy->rule.error_margin,
                     deploy->rule.latency_ratio, (json_int_t)deploy->rule.minimum,
                     deploy->rule.latency_margin, "image", deploy->image, "staging",
                     deploy->staging);
}

json_t *deploy_record(const struct deploy *deploy)
{
    json_t *record = own_record(deploy);

    if (record)
        json_object_set_new(record, "evidence", evidence_json(deploy));
    if (record)
        json_object_set(record, "checks", deploy->criteria.plan);
    if (record)
        json_object_set(record, "probes", deploy->topup.plan);
    if (record && deploy->forecast)
        json_object_set(record, "forecast", deploy->forecast);
    return record;
}

static char *text_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));

    return text ? strdup(text) : NULL;
}

static void read_rule(struct deploy *deploy, const json_t *rule)
{
    deploy->rule = (struct verdict_rule){
        .error_ratio = json_number_value(json_array_get(rule, 0)),
        .error_margin = json_number_value(json_array_get(rule, 1)),
        .latency_ratio = json_number_value(json_array_get(rule, 2)),
        .minimum = (uint64_t)json_integer_value(json_array_get(rule, 3)),
        .latency_margin = json_number_value(json_array_get(rule, 4)),
    };
}

/* Whether all that a record has to have was there. */
static bool is_whole(const struct deploy *deploy)
{
    return deploy->managed && deploy->release && deploy->old && deploy->key && deploy->actor &&
           deploy->image && deploy->staging && json_is_array(deploy->targets) &&
           json_is_array(deploy->old_file_targets) && json_is_array(deploy->log) &&
           json_is_array(deploy->hooks);
}

struct deploy *deploy_of_record(struct deploys *deploys, const char *id, const json_t *record)
{
    struct deploy *deploy = calloc(1, sizeof(*deploy));

    if (!deploy)
        return NULL;
    snprintf(deploy->id, sizeof(deploy->id), "%s", id);
    deploy->service = text_of(record, "service");
    deploy->release = text_of(record, "release");
    deploy->old = text_of(record, "old");
    deploy->key = text_of(record, "key");
    deploy->actor = text_of(record, "actor");
    deploy->image = text_of(record, "image");
    deploy->staging = text_of(record, "staging");
    deploy->targets = json_incref(json_object_get(record, "targets"));
    deploy->old_file_targets = json_incref(json_object_get(record, "old_file_targets"));
    deploy->log = json_incref(json_object_get(record, "log"));
    deploy->hooks = json_incref(json_object_get(record, "hooks"));
    deploy->created_ms = json_integer_value(json_object_get(record, "created_ms"));
    read_rule(deploy, json_object_get(record, "rule"));
    deploy->hook_kind = -1;
    deploy->judged_step = UINT32_MAX;
    deploy->managed = deploy->service ? managed_find(deploys, deploy->service) : NULL;
    if (is_whole(deploy) && record_read_plan(json_object_get(record, "plan"), &deploy->plan) &&
        record_read_state(json_object_get(record, "state"), &deploy->state)) {
        evidence_read(deploy, json_object_get(record, "evidence"));
        deploy->criteria.plan = json_incref(json_object_get(record, "checks"));
        deploy->topup.plan = json_incref(json_object_get(record, "probes"));
        deploy->forecast = json_incref(json_object_get(record, "forecast"));
        return deploy;
    }
    deploy_free(&deploy);
    return NULL;
}

void deploy_free(struct deploy **deploy)
{
    struct deploy *gone = *deploy;

    *deploy = NULL;
    if (!gone)
        return;
    hooks_drop(gone);
    criteria_drop(gone);
    json_decref(gone->criteria.plan);
    topup_drop(gone);
    json_decref(gone->topup.plan);
    json_decref(gone->forecast);
    store_put_free(&gone->put);
    store_put_free(&gone->evidence.put);
    json_decref(gone->targets);
    json_decref(gone->old_file_targets);
    json_decref(gone->log);
    json_decref(gone->notes);
    json_decref(gone->hooks);
    free(gone->service);
    free(gone->image);
    free(gone->staging);
    free(gone->release);
    free(gone->old);
    free(gone->key);
    free(gone->actor);
    free(gone);
}

/* --- for people */

/* Edges that have not said yet that they have it, with why. */
static json_t *waiting(const struct managed *managed)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if ((managed->body && watch_has_it(watch)) ||
            !edges_is_waited_for(managed->deploys->options.edges, watch->index))
            continue;
        json_array_append_new(list,
                              json_pack("{s:s,s:b,s:s}", "edge",
                                        edges_name(managed->deploys->options.edges, watch->index),
                                        "silent", (int)watch->is_silent, "error", watch->error));
    }
    return list;
}

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *verdict_json(const struct deploy *deploy)
{
    static const char *const outcomes[] = {
        [VERDICT_UNSURE] = "unsure", [VERDICT_GOOD] = "good", [VERDICT_BAD] = "bad"};
    struct verdict_answer answer = verdict_look(&deploy->verdict, &deploy->rule);
    json_t *latency = json_array();

    for (unsigned i = 0; i < VERDICT_QUANTILES; i++)
        json_array_append_new(latency, json_pack("{s:f,s:o,s:o}", "quantile", verdict_quantiles[i],
                                                 "old", real(answer.latency[i].stable), "new",
                                                 real(answer.latency[i].canary)));
    return json_pack("{s:s,s:{s:I,s:I,s:I},s:{s:I,s:I,s:I},s:o,s:o,s:o}", "outcome",
                     outcomes[answer.outcome], "old", "requests",
                     (json_int_t)deploy->stable_requests, "failures",
                     (json_int_t)deploy->stable_failures, "probes",
                     (json_int_t)deploy->stable_probes, "new", "requests",
                     (json_int_t)deploy->canary_requests, "failures",
                     (json_int_t)deploy->canary_failures, "probes",
                     (json_int_t)deploy->canary_probes, "ratio", real(answer.errors.ratio),
                     "wanting", real(answer.wanting), "latency", latency);
}

/* In a word: what whoever waits is to make of it. */
static const char *outcome(const struct deploy *deploy)
{
    const struct deploy_state *state = &deploy->state;

    if (state->phase == DEPLOY_UNDONE)
        return state->way == DEPLOY_ROLLED_BACK ? "rolled_back"
               : state->way == DEPLOY_ABORTED   ? "aborted"
                                                : "failed";
    if (deploy_is_told(state))
        return "live";
    if (state->phase == DEPLOY_STUCK)
        return state->is_switched || state->stuck == DEPLOY_REFILL ? "needs_a_person" : "asks";
    if (deploy_is_asking(state))
        return "asks";
    return watch_is_held_up(deploy->managed) ? "waits_for_edge" : "runs";
}

/* That it would take now. */
static json_t *words_json(const struct deploy *deploy)
{
    static const struct {
        enum deploy_word word;
        const char *name;
    } words[] = {{DEPLOY_SAYS_RETRY, "retry"},
                 {DEPLOY_SAYS_APPROVE, "approve"},
                 {DEPLOY_SAYS_PROMOTE, "promote"},
                 {DEPLOY_SAYS_ABORT, "abort"},
                 {DEPLOY_SAYS_ROLLBACK, "rollback"}};
    json_t *list = json_array();

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!deploy_refusal(&deploy->plan, &deploy->state, words[i].word))
            json_array_append_new(list, json_string(words[i].name));
    return list;
}

json_t *deploy_json(const struct deploy *deploy)
{
    struct deploy_wants wants = deploy_wants(&deploy->plan, &deploy->state);
    json_t *json =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:f,s:b,s:s,s:I,s:I,s:O}", "id", deploy->id,
                  "service", deploy->service, "release", deploy->release, "old", deploy->old,
                  "actor", deploy->actor, "phase", deploy_phase_name(deploy->state.phase),
                  "outcome", outcome(deploy), "step", (int)deploy->state.step + 1, "steps",
                  (int)deploy->plan.step_count, "percent", 100.0 * wants.new_share / DEPLOY_WHOLE,
                  "over", (int)deploy_is_over(&deploy->state), "why", deploy->state.why,
                  "created_ms", (json_int_t)deploy->created_ms, "since_ms",
                  (json_int_t)deploy->state.since_ms, "log", deploy->log);

    json_object_set_new(json, "words", words_json(deploy));
    if (deploy->managed->deploy == deploy)
        json_object_set_new(json, "waiting_for", waiting(deploy->managed));
    if (deploy->judged_step != UINT32_MAX)
        json_object_set_new(json, "verdict", verdict_json(deploy));
    if (deploy->forecast)
        json_object_set(json, "forecast", deploy->forecast);
    if (deploy->criteria.items)
        json_object_set_new(json, "checks", criteria_json(deploy));
    return json;
}

static const struct deploy *find(const struct deploys *deploys, const char *id)
{
    const struct deploy *deploy = deploys->all;

    while (deploy && strcmp(deploy->id, id) != 0)
        deploy = deploy->next;
    return deploy;
}

json_t *deploys_show(const struct deploys *deploys, const char *id)
{
    const struct deploy *deploy = find(deploys, id);

    return deploy ? deploy_json(deploy) : NULL;
}

json_t *deploys_list(const struct deploys *deploys)
{
    json_t *list = json_array();

    for (const struct deploy *deploy = deploys->all; deploy; deploy = deploy->next) {
        json_t *json = deploy_json(deploy);

        json_object_del(json, "log");
        json_array_append_new(list, json);
    }
    return list;
}
