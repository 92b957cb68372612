/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of the contract, each on its way: decided by the last look, one step at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/provider/railway_impl.h"
#include "control/provider/railway_plan.h"

enum { TRIES = 5, MARKS_MAX = 4, BACKOFF_MS = 500, LOG_MAX = 64 * 1024, STEPS_MAX = 512 };

/* Between looks at what takes its time: twice as long each time, up to this. */
static const uint32_t poll_ms[] = {
    [CONF_PLAN_FREE] = 20000, [CONF_PLAN_HOBBY] = 3000, [CONF_PLAN_PRO] = 500};

/* --- ends */

static void finish(struct railway_job *job, const struct provider_result *result)
{
    struct railway_job **link = &job->railway->jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    for (struct railway_job *other = job->railway->jobs; other; other = other->next)
        if (other->due_ms == INT64_MAX) // it may have waited for this one
            other->due_ms = 0;
    job->call.done(job->call.owner, result);
    json_decref(job->env);
    free(job);
}

void railway_fail(struct railway_job *job, const struct railway_answer *answer)
{
    finish(job, &(struct provider_result){.fault = answer->fault,
                                          .reason = answer->reason,
                                          .retry_ms = answer->retry_ms});
}

static void finish_unit(struct railway_job *job, const struct railway_step *step)
{
    struct railway *railway = job->railway;
    struct railway_place place = railway_find(&railway->state, job->unit);
    struct provider_result result = {.fault = step->fault};
    struct railway_shown shown;
    char reason[sizeof(step->reason) + sizeof(job->why) + 4];

    if (place.service) {
        railway_show(&shown, place, railway->service);
        if (*job->why)
            shown.unit.reason = job->why;
        result.units = &shown.unit;
        result.unit_count = 1;
    }
    snprintf(reason, sizeof(reason), "%s%s%s", step->reason, *job->why ? ": " : "", job->why);
    if (step->fault)
        result.reason = reason;
    finish(job, &result);
}

/* It was marked, and is about to be deployed. */
static bool is_being_started(const struct railway *railway, const struct provider_unit *unit)
{
    for (const struct railway_job *job = railway->jobs; job; job = job->next)
        if (job->kind == RAILWAY_START && !unit->handle && !strcmp(job->unit, unit->id))
            return true;
    return false;
}

static bool finish_list(struct railway_job *job)
{
    struct railway *railway = job->railway;
    struct railway_shown shown[CONF_RAILWAY_SERVICES * RAILWAY_HOLDS];
    struct provider_unit units[CONF_RAILWAY_SERVICES * RAILWAY_HOLDS];
    struct provider_result result = {.units = units};
    char warning[256];

    for (uint32_t i = 0; i < railway->state.count; i++) {
        const struct railway_service *service = &railway->state.services[i];

        for (uint32_t k = 0; k < service->hold_count; k++) {
            struct railway_shown *next = &shown[result.unit_count];

            railway_show(next, (struct railway_place){service, k}, railway->service);
            if (is_being_started(railway, &next->unit))
                next->unit.state = PROVIDER_STARTING;
            units[result.unit_count++] = next->unit;
        }
    }
    railway_warning(&railway->state, warning, sizeof(warning));
    result.warning = *warning ? warning : NULL;
    finish(job, &result);
    return true;
}

static bool finish_plan(struct railway_job *job)
{
    struct railway *railway = job->railway;
    struct railway_plan plan;

    if (!json_object_get(railway->state.data, "regions")) { // that look was not for a plan
        job->need = railway->looks + 1;
        return false;
    }
    railway_plan(&railway->state, railway->conf, &job->intent, &plan);
    finish(job, &(struct provider_result){.fault = plan.fault,
                                          .reason = plan.fault ? plan.reason : NULL,
                                          .log = {plan.notes, strlen(plan.notes)}});
    return true;
}

/* --- the log */

static bool serve_log(struct railway_job *job)
{
    struct railway_place place = railway_find(&job->railway->state, job->unit);
    const struct railway_deployment *deployment = place.service ? railway_current(place) : NULL;

    if (deployment) {
        railway_act(job, RAILWAY_ASK_LOG, json_pack("{s:s}", "id", deployment->id));
        return false;
    }
    if (place.service)
        finish(job, &(struct provider_result){.log = STR("")});
    else
        finish(job, &(struct provider_result){.fault = PROVIDER_PERMANENT,
                                              .reason = "there is no such unit"});
    return true;
}

/* Lines as they came, the last of them. */
static void take_log(struct railway_job *job, const json_t *data)
{
    const json_t *lines = json_object_get(data, "deploymentLogs"), *line;
    char *text = malloc(LOG_MAX);
    size_t i, len = 0;

    if (!text) {
        finish(job,
               &(struct provider_result){.fault = PROVIDER_TRANSIENT, .reason = "out of memory"});
        return;
    }
    json_array_foreach(lines, i, line)
    {
        const char *message = json_string_value(json_object_get(line, "message"));
        size_t size = message ? strlen(message) + 1 : 0;

        if (!size || size > LOG_MAX)
            continue;
        if (len + size > LOG_MAX)
            len = 0;
        memcpy(text + len, message, size);
        len += size;
        text[len - 1] = '\n';
    }
    finish(job, &(struct provider_result){.log = {text, len}});
    free(text);
}

/* --- steps of a start and of a stop */

static json_t *mark_variables(const struct railway_job *job, const struct railway_step *step)
{
    const struct conf_railway *conf = job->railway->conf;
    char *holds = railway_mark_text(step->holds, step->hold_count), port[8];
    json_t *variables = json_pack("{s:s?}", railway_mark, holds);

    free(holds);
    if (variables && job->kind == RAILWAY_START && step->hold_count &&
        !strcmp(step->holds[0].unit, job->unit)) {
        snprintf(port, sizeof(port), "%u", (unsigned)conf->port);
        json_object_update(variables, job->env);
        json_object_set_new(variables, "PORT", json_string(port));
        json_object_set_new(variables, "SLUICE_SERVICE",
                            json_string(job->railway->service->name.s.p));
        json_object_set_new(variables, "SLUICE_RELEASE", json_string(job->release));
        json_object_set_new(variables, "SLUICE_UNIT", json_string(job->unit));
    }
    return json_pack("{s:{s:s,s:s,s:s,s:o,s:b}}", "input", "projectId", conf->project.s.p,
                     "environmentId", conf->environment.s.p, "serviceId", step->service->id,
                     "variables", variables, "skipDeploys", 1);
}

static bool mark(struct railway_job *job, const struct railway_step *step)
{
    if (job->marks >= MARKS_MAX) {
        finish(job, &(struct provider_result){.fault = PROVIDER_PERMANENT,
                                              .reason = "Railway does not keep the variable "
                                                        "SLUICE_HOLDS of the service"});
        return true;
    }
    if (railway_act(job, RAILWAY_ASK_MARK, mark_variables(job, step))) {
        job->goal.is_marked = true;
        job->marks++;
    }
    return false;
}

static void configure(struct railway_job *job, const struct railway_step *step)
{
    const struct conf_railway *conf = job->railway->conf;

    railway_act(job, RAILWAY_ASK_CONFIGURE,
                json_pack("{s:s,s:s,s:o}", "s", step->service->id, "e", conf->environment.s.p,
                          "input", railway_settings(conf, step->service, job->image)));
}

static void deploy(struct railway_job *job, const struct railway_step *step)
{
    json_t *where =
        json_pack("{s:s,s:s}", "s", step->service->id, "e", job->railway->conf->environment.s.p);

    if (!railway_act(job, RAILWAY_ASK_DEPLOY, where))
        return;
    job->goal.deployed_ms = railway_now();
    job->goal.is_deployed = false;
}

static void end_deployment(struct railway_job *job, const struct railway_step *step)
{
    enum railway_query query =
        step->verb == RAILWAY_CANCEL ? RAILWAY_ASK_CANCEL : RAILWAY_ASK_REMOVE;

    if (railway_act(job, query, json_pack("{s:s}", "id", step->deployment->id)))
        job->goal.ended_ms = railway_now();
}

/* A deployment that failed says in its events where. False: there is nothing to be asked. */
static bool ask_why(struct railway_job *job)
{
    struct railway_place place = railway_find(&job->railway->state, job->unit);
    const struct railway_deployment *deployment = place.service ? railway_current(place) : NULL;

    if (job->kind != RAILWAY_START || job->is_explained || !deployment ||
        deployment->life != RAILWAY_FAILED)
        return false;
    railway_act(job, RAILWAY_ASK_EVENTS, json_pack("{s:s}", "id", deployment->id));
    return true;
}

static void pause_job(struct railway_job *job)
{
    const struct railway *railway = job->railway;
    bool is_too_little =
        job->kind == RAILWAY_START && !job->goal.is_seen && !railway->state.is_full;

    job->need = railway->looks + 1;
    job->due_ms = railway_now();
    if (is_too_little)
        return;
    job->due_ms += job->pause_ms;
    if (job->pause_ms < poll_ms[railway->conf->plan])
        job->pause_ms *= 2;
}

/* Starts choose their service one after the other: until its deployment is seen, what was chosen
 * may look free. */
static bool has_to_queue(const struct railway_job *job)
{
    for (const struct railway_job *older = job->railway->jobs; older != job; older = older->next)
        if (job->kind == RAILWAY_START && older->kind == RAILWAY_START && !older->refusal &&
            !older->goal.is_seen)
            return true;
    return false;
}

static bool serve_unit(struct railway_job *job)
{
    struct railway_step step;

    if (has_to_queue(job)) {
        job->need = job->railway->looks + 1;
        job->due_ms = INT64_MAX; // the older one looks
        return false;
    }
    railway_decide(&job->railway->state, job->railway->conf, &job->goal, railway_now(), &step);
    switch (step.verb) {
    case RAILWAY_END:
        if (step.fault && ask_why(job))
            return false;
        finish_unit(job, &step);
        return true;
    case RAILWAY_PAUSE:
        pause_job(job);
        return false;
    case RAILWAY_MARK:
        return mark(job, &step);
    case RAILWAY_CONFIGURE:
        configure(job, &step);
        return false;
    case RAILWAY_DEPLOY:
        deploy(job, &step);
        return false;
    default:
        end_deployment(job, &step);
        return false;
    }
}

bool railway_serve(struct railway_job *job)
{
    if (job->refusal) {
        finish(job,
               &(struct provider_result){.fault = job->refusal, .reason = job->refusal_reason});
        return true;
    }
    if (job->need > job->railway->looks)
        return false;
    if (job->kind == RAILWAY_LIST)
        return finish_list(job);
    if (job->kind == RAILWAY_PLAN)
        return finish_plan(job);
    if (job->kind != RAILWAY_LOG)
        return serve_unit(job);
    return serve_log(job);
}

/* --- answers */

/* The last step that failed, and what it said. */
static void take_events(struct railway_job *job, const json_t *data)
{
    const json_t *edges = json_object_get(json_object_get(data, "deploymentEvents"), "edges");
    const json_t *edge;
    size_t i;

    job->is_explained = true;
    json_array_foreach(edges, i, edge)
    {
        const json_t *node = json_object_get(edge, "node");
        const json_t *payload = json_object_get(node, "payload");
        const char *step = json_string_value(json_object_get(node, "step"));
        const char *error = json_string_value(json_object_get(payload, "error"));

        if (step && error)
            snprintf(job->why, sizeof(job->why), "%s: %s", step, error);
    }
}

/* What was asked for was not done, or nobody knows: the next look says. */
static void take_trouble(struct railway_job *job, const struct railway_answer *answer)
{
    enum railway_query query = job->railway->asked;
    bool is_end = query == RAILWAY_ASK_CANCEL || query == RAILWAY_ASK_REMOVE;
    bool is_refused = is_end && answer->fault == PROVIDER_PERMANENT;

    if ((answer->fault != PROVIDER_TRANSIENT && !is_refused) || ++job->troubles >= TRIES) {
        railway_fail(job, answer);
        return;
    }
    job->goal.refusals += is_refused;
    if (is_end && !answer->is_unsure)
        job->goal.ended_ms = 0;
    if (query == RAILWAY_ASK_DEPLOY && !answer->is_unsure)
        job->goal.deployed_ms = 0;
    job->due_ms = railway_now() + (BACKOFF_MS << job->troubles);
}

void railway_take(struct railway_job *job, const struct railway_answer *answer)
{
    enum railway_query query = job->railway->asked;

    if (query == RAILWAY_ASK_LOG && !answer->fault) {
        take_log(job, answer->data);
        return;
    }
    if (query == RAILWAY_ASK_LOG) {
        railway_fail(job, answer);
        return;
    }
    if (query == RAILWAY_ASK_EVENTS) { // without them it is as failed
        take_events(job, answer->data);
        return;
    }
    job->railway->is_dirty = true;
    job->need = job->railway->looks + 1;
    job->due_ms = 0;
    if (answer->fault)
        take_trouble(job, answer);
    else if (query == RAILWAY_ASK_CONFIGURE)
        job->goal.is_configured = true;
    else if (query == RAILWAY_ASK_DEPLOY)
        job->goal.is_deployed = true;
}
