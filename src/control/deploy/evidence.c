/* SPDX-License-Identifier: Apache-2.0
 *
 * What was compared, in the store: it goes with each change of the deploy's state, and by itself
 * every few seconds while there is news. A control that comes after goes on from there; what edges
 * counted in between is not seen, and the time in between does not count. What a deploy may spend
 * of false alarms is so spent once, however often control is killed.
 */
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/say.h"
#include "control/verdict_record.h"

enum { KEEP_MS = 2000 };

/* --- writing */

json_t *evidence_json(const struct deploy *deploy)
{
    if (deploy->judged_step == UINT32_MAX)
        return json_null();
    return json_pack("{s:I,s:I,s:[I,I,I,I,I,I],s:o}", "step", (json_int_t)deploy->judged_step,
                     "at_ms", (json_int_t)clock_wall_ms(), "counts",
                     (json_int_t)deploy->stable_requests, (json_int_t)deploy->stable_failures,
                     (json_int_t)deploy->canary_requests, (json_int_t)deploy->canary_failures,
                     (json_int_t)deploy->stable_probes, (json_int_t)deploy->canary_probes,
                     "verdict", verdict_record(&deploy->verdict));
}

static void on_kept(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct evidence *evidence = CONTAINER_OF(put, struct evidence, put);

    evidence->is_saving = false;
    store_put_free(put);
    if (status && status != E_CLOSED)
        say_line("what a deploy has shown so far is not in the store: %s", job->error);
}

void evidence_tick(struct deploy *deploy, int64_t now_ms)
{
    struct evidence *evidence = &deploy->evidence;
    uint64_t requests = deploy->stable_requests + deploy->canary_requests;
    json_t *record;
    bool is_good;

    if (evidence->is_saving || now_ms < evidence->next_ms || requests == evidence->requests)
        return;
    evidence->next_ms = now_ms + KEEP_MS;
    record = deploy_record(deploy);
    evidence->put = (struct store_put){.job = {.done = on_kept}};
    is_good = record && store_put_add(&evidence->put, deploy_kind, deploy->id, record);
    json_decref(record);
    if (!is_good) {
        store_put_free(&evidence->put);
        return;
    }
    evidence->requests = requests;
    evidence->is_saving = true;
    store_put(deploy->managed->deploys->options.store, &evidence->put);
}

/* --- reading */

static bool read_counts(struct deploy *deploy, const json_t *counts)
{
    uint64_t *const into[] = {&deploy->stable_requests, &deploy->stable_failures,
                              &deploy->canary_requests, &deploy->canary_failures,
                              &deploy->stable_probes,   &deploy->canary_probes};

    if (json_array_size(counts) != ARRAY_LEN(into))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(into); i++) {
        const json_t *count = json_array_get(counts, i);

        if (!json_is_integer(count) || json_integer_value(count) < 0)
            return false;
        *into[i] = (uint64_t)json_integer_value(count);
    }
    return true;
}

void evidence_read(struct deploy *deploy, const json_t *json)
{
    const json_t *step = json_object_get(json, "step");
    json_int_t at_ms = json_integer_value(json_object_get(json, "at_ms"));

    if (json_is_integer(step) && json_integer_value(step) >= 0 &&
        json_integer_value(step) < (json_int_t)deploy->plan.step_count && at_ms > 0 &&
        read_counts(deploy, json_object_get(json, "counts")) &&
        verdict_read(json_object_get(json, "verdict"), &deploy->verdict)) {
        deploy->judged_step = (uint32_t)json_integer_value(step);
        deploy->evidence.at_ms = at_ms;
        return;
    }
    deploy->evidence.is_damaged = json && !json_is_null(json);
    deploy->stable_requests = deploy->stable_failures = 0;
    deploy->canary_requests = deploy->canary_failures = 0;
    deploy->stable_probes = deploy->canary_probes = 0;
}

void evidence_resume(struct deploy *deploy)
{
    struct deploy_state *state = &deploy->state;
    int64_t now_ms = (int64_t)clock_wall_ms(), missed_ms = now_ms - deploy->evidence.at_ms;

    if (deploy->evidence.is_damaged)
        deploy_log(deploy, "what was compared cannot be read from the store: it begins anew");
    if (state->phase != DEPLOY_WATCH)
        return;
    if (deploy->judged_step != state->step) {
        state->step_ms = now_ms;
        return;
    }
    if (missed_ms > 0)
        state->step_ms += missed_ms;
    if (state->step_ms > now_ms)
        state->step_ms = now_ms;
    deploy_log(deploy, "%llu and %llu requests were compared so far, and count on",
               (unsigned long long)deploy->canary_requests,
               (unsigned long long)deploy->stable_requests);
}
