/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/conf.h"
#include "control/provider/fly_impl.h"

enum { LOG_SIZE = 8192 };

int64_t fly_now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- jobs */

static void free_job(struct fly_job *job)
{
    json_decref(job->machines);
    json_decref(job->machine);
    json_decref(job->env);
    json_decref(job->body);
    json_decref(job->model);
    free(job->release);
    free(job->image);
    free(job->region);
    free(job->old);
    free(job);
}

static bool is_behind_another(const struct fly_job *job)
{
    for (const struct fly_job *other = job->fly->jobs; other != job; other = other->next)
        if (*job->id && !strcmp(other->id, job->id))
            return true;
    return false;
}

/* Begins what waited for an older job on the same unit. */
static void begin_next(struct fly *fly, const char *id)
{
    struct fly_job *job = fly->jobs;

    while (job && (job->has_begun || strcmp(job->id, id) != 0))
        job = job->next;
    if (!job || is_behind_another(job))
        return;
    job->has_begun = true;
    job->begin(job);
}

void fly_finish(struct fly_job *job, const struct provider_result *result)
{
    struct fly *fly = job->fly;
    struct fly_job **link = &fly->jobs;

    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    fly_api_cancel(&job->ask);
    if (!job->is_answered)
        job->call.done(job->call.owner, result);
    if (*job->id)
        begin_next(fly, job->id);
    free_job(job);
}

static void go(struct fly_job *job)
{
    fly_finish(job, NULL);
}

/* A lease that is held would be in the way of the next job: it goes back, which nobody but that job
 * waits for. */
static void finish_badly(struct fly_job *job, const struct provider_result *result)
{
    struct provider_call call = job->call;

    if (!*job->nonce) {
        fly_finish(job, result);
        return;
    }
    job->is_answered = true;
    fly_lease_give(job, go);
    call.done(call.owner, result);
}

void fly_finish_fault(struct fly_job *job, enum provider_fault fault, const char *reason)
{
    finish_badly(job, &(struct provider_result){.fault = fault, .reason = reason});
}

void fly_finish_reply(struct fly_job *job, const struct fly_reply *reply)
{
    finish_badly(job, &(struct provider_result){.fault = reply->fault,
                                                .reason = reply->reason,
                                                .retry_ms = reply->retry_ms});
}

void fly_finish_unit(struct fly_job *job)
{
    struct fly_view view;

    fly_machine_view(job->machine, job->fly->conf->port, &view);
    fly_finish(job, &(struct provider_result){.fault = view.unit.fault,
                                              .reason = view.unit.fault ? view.unit.reason : NULL,
                                              .warning = job->is_stopped ? job->fly->trouble : NULL,
                                              .units = &view.unit,
                                              .unit_count = 1});
}

void fly_take(struct fly_job *job, json_t *machine)
{
    json_t *old = job->machine;

    job->machine = json_incref(machine);
    json_decref(old);
    if (machine)
        snprintf(job->handle, sizeof(job->handle), "%s", fly_machine_text(machine, "id"));
}

void fly_send(struct fly_job *job, struct fly_request *request)
{
    request->owner = job;
    request->machine = job->handle;
    request->nonce = job->nonce;
    fly_api_send(&job->fly->api, &job->ask, request);
}

static void on_paused(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    (void)reply;
    job->then(job);
}

void fly_pause(struct fly_job *job, uint32_t ms, fly_step *then)
{
    job->then = then;
    fly_api_send(
        &job->fly->api, &job->ask,
        &(struct fly_request){.action = FLY_PAUSE, .ms = ms, .done = on_paused, .owner = job});
}

/* --- the contract */

/* NULL: no memory, and the call has ended. */
static struct fly_job *add(struct fly *fly, const char *id, struct provider_call call)
{
    struct fly_job *job = calloc(1, sizeof(*job)), **link = &fly->jobs;

    if (!job) {
        call.done(call.owner, &(struct provider_result){.fault = PROVIDER_TRANSIENT,
                                                        .reason = "out of memory"});
        return NULL;
    }
    *job = (struct fly_job){.fly = fly, .call = call};
    snprintf(job->id, sizeof(job->id), "%s", id ? id : "");
    while (*link)
        link = &(*link)->next;
    *link = job;
    return job;
}

static void refuse_id(struct fly_job *job)
{
    fly_finish_fault(job, PROVIDER_PERMANENT,
                     "ids and releases are 1 to 63 letters, digits, \"_\", \"-\" and \".\"");
}

static void refuse_memory(struct fly_job *job)
{
    fly_finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
}

/* Nothing is done from within a call. */
static void begin(struct fly_job *job, fly_step *how)
{
    job->begin = how;
    job->has_begun = !is_behind_another(job);
    if (job->has_begun)
        fly_pause(job, 0, how);
}

static void refuse(struct fly_job *job, fly_step *how)
{
    *job->id = '\0';
    begin(job, how);
}

static bool is_id(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool is_letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

        if (!is_letter && ((c != '-' && c != '.') || !i))
            return false;
    }
    return len > 0 && len <= PROVIDER_ID_MAX;
}

static bool copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

static bool copy_env(struct fly_job *job, const struct provider_spec *spec)
{
    job->env = json_object();
    for (uint32_t i = 0; job->env && i < spec->env_count; i++)
        if (json_object_set_new(job->env, spec->env[i].name, json_string(spec->env[i].value)))
            return false;
    return job->env != NULL;
}

static void set_clone(struct fly_job *job)
{
    job->clone = (struct fly_clone){.service = job->fly->service,
                                    .unit = job->id,
                                    .release = job->release,
                                    .image = job->image,
                                    .env = job->env,
                                    .grace_ms = job->fly->conf->grace_ms};
}

static void start(void *self, const struct provider_spec *spec, struct provider_call call)
{
    struct fly_job *job = add(self, spec->id, call);

    if (!job)
        return;
    if (!is_id(spec->id) || !is_id(spec->release)) {
        refuse(job, refuse_id);
    } else if (!copy(&job->release, spec->release) || !copy(&job->image, spec->image) ||
               !copy(&job->region, spec->region) || !copy_env(job, spec)) {
        refuse(job, refuse_memory);
    } else {
        set_clone(job);
        begin(job, fly_start);
    }
}

static void stop(void *self, const struct provider_stop *stop, struct provider_call call)
{
    struct fly *fly = self;
    struct fly_job *job = add(fly, stop->id, call);

    if (!job)
        return;
    job->grace_ms = stop->grace_ms ? stop->grace_ms : fly->conf->grace_ms;
    job->is_removed = stop->is_removed;
    job->may_freeze = stop->may_freeze;
    if (is_id(stop->id))
        begin(job, fly_stop);
    else
        refuse(job, refuse_id);
}

static void survey_to_list(struct fly_job *job)
{
    fly_survey(job, fly_survey_list);
}

static void list(void *self, struct provider_call call)
{
    struct fly_job *job = add(self, NULL, call);

    if (job)
        begin(job, survey_to_list);
}

static void forget(void *owner, const struct provider_result *result)
{
    (void)owner;
    (void)result;
}

void fly_spare(struct fly *fly, const char *unit)
{
    struct fly_job *job = fly->jobs;

    while (job && strcmp(job->id, unit) != 0)
        job = job->next;
    if (!job && (job = add(fly, unit, (struct provider_call){.done = forget})))
        begin(job, fly_stop_spare);
}

static void show_log(struct fly_job *job)
{
    char text[LOG_SIZE];
    json_t *machine = fly_machine_find(job->machines, job->fly->service, job->release, true);
    size_t len;

    if (!machine) {
        fly_finish_fault(job, PROVIDER_PERMANENT, "there is no such unit");
        return;
    }
    len = fly_machine_log(machine, text, sizeof(text));
    fly_finish(job, &(struct provider_result){.log = {text, len}});
}

static void survey_to_log(struct fly_job *job)
{
    fly_survey(job, show_log);
}

/* It waits for no other job of the unit, so it is none of the unit's. */
static void get_log(void *self, const char *id, struct provider_call call)
{
    struct fly_job *job = add(self, NULL, call);

    if (!job)
        return;
    if (!is_id(id))
        refuse(job, refuse_id);
    else if (!copy(&job->release, id))
        refuse(job, refuse_memory);
    else
        begin(job, survey_to_log);
}

static void plan(void *self, const struct provider_intent *intent, struct provider_call call)
{
    struct fly_job *job = add(self, NULL, call);

    if (!job)
        return;
    if (!copy(&job->release, intent->release) || !copy(&job->image, intent->image) ||
        !copy(&job->old, intent->old)) {
        refuse(job, refuse_memory);
        return;
    }
    job->intent = *intent;
    set_clone(job);
    begin(job, fly_plan);
}

static enum status open_fly(const struct provider_env *env, const struct conf_service *service,
                            void **self)
{
    struct fly *fly;

    *self = NULL;
    if (!service->provider.fly.is_set || !env->outbound)
        return E_INVALID;
    fly = calloc(1, sizeof(*fly));
    if (!fly)
        return E_NOMEM;
    fly->conf = &service->provider.fly;
    fly->service = strndup(service->name.s.p, service->name.s.len);
    if (!fly->service || fly_api_open(&fly->api, env->outbound, fly->conf)) {
        free(fly->service);
        free(fly);
        return E_NOMEM;
    }
    *self = fly;
    return OK;
}

static void free_fly(void *owner)
{
    free(owner);
}

static void close_fly(void **self)
{
    const struct provider_result ending = {.fault = PROVIDER_TRANSIENT,
                                           .reason = "control is ending"};
    struct fly *fly = *self;

    *self = NULL;
    if (!fly)
        return;
    fly_api_cancel(&fly->survey);
    for (struct fly_job *job = fly->jobs; job; job = job->next) {
        fly_api_cancel(&job->ask);
        *job->id = '\0'; // none begins any more
    }
    while (fly->jobs)
        fly_finish(fly->jobs, &ending);
    json_decref(fly->found);
    free(fly->service);
    fly_api_close(&fly->api, free_fly, fly);
}

const struct provider provider_fly = {
    .name = "fly",
    .abilities = PROVIDER_IMAGES | PROVIDER_REGIONS | PROVIDER_RESTS | PROVIDER_SIDE_BY_SIDE,
    .open = open_fly,
    .start = start,
    .stop = stop,
    .list = list,
    .log = get_log,
    .plan = plan,
    .close = close_fly,
};
