/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "control/provider/railway_impl.h"
#include "process/unit_wire.h"

static const char deploy_prefix[] = "SLUICE_DEPLOY_";

/* Of what was looked at, while nothing is under way. */
static const uint32_t fresh_ms[] = {
    [CONF_PLAN_FREE] = 150000, [CONF_PLAN_HOBBY] = 15000, [CONF_PLAN_PRO] = 2000};

static const struct pace paces[] = {
    [CONF_PLAN_FREE] = {.per_hour = 100, .per_second = 5},
    [CONF_PLAN_HOBBY] = {.per_hour = 1000, .per_second = 10},
    [CONF_PLAN_PRO] = {.per_hour = 10000, .per_second = 50},
};

static void on_timer(uv_timer_t *timer)
{
    railway_advance(timer->data);
}

/* NULL: no memory, and the call has ended. It goes on from the loop. */
static struct railway_job *begin(struct railway *railway, enum railway_kind kind, const char *unit,
                                 struct provider_call call)
{
    struct railway_job *job = calloc(1, sizeof(*job)), **link = &railway->jobs;

    if (!job) {
        call.done(call.owner, &(struct provider_result){.fault = PROVIDER_TRANSIENT,
                                                        .reason = "out of memory"});
        return NULL;
    }
    *job = (struct railway_job){.railway = railway,
                                .call = call,
                                .kind = kind,
                                .pause_ms = RAILWAY_PAUSE_MS};
    job->need = railway->looks + 1;
    snprintf(job->unit, sizeof(job->unit), "%s", unit ? unit : "");
    job->goal = (struct railway_goal){.unit = job->unit, .begun_ms = railway_now()};
    while (*link)
        link = &(*link)->next;
    *link = job;
    uv_timer_start(&railway->timer, on_timer, 0, 0);
    return job;
}

static void refuse(struct railway_job *job, enum provider_fault fault, const char *why)
{
    job->refusal = fault;
    job->refusal_reason = why;
}

static bool is_id(const char *text)
{
    return unit_is_id(text, UNIT_ID_SIZE);
}

/* False: a name is not for deploys, or no memory. */
static bool keep_env(struct railway_job *job, const struct provider_spec *spec)
{
    job->env = json_object();
    for (uint32_t i = 0; i < spec->env_count; i++) {
        const struct provider_word *word = &spec->env[i];

        if (strncmp(word->name, deploy_prefix, sizeof(deploy_prefix) - 1) != 0 ||
            json_object_set_new(job->env, word->name, json_string(word->value)))
            return false;
    }
    return job->env != NULL;
}

static void start(void *self, const struct provider_spec *spec, struct provider_call call)
{
    struct railway *railway = self;
    struct railway_job *job = begin(railway, RAILWAY_START, spec->id, call);

    if (!job)
        return;
    if (spec->region)
        refuse(job, PROVIDER_UNSUPPORTED, "where replicas run is said in `regions`");
    else if (!is_id(spec->id) || !is_id(spec->release))
        refuse(job, PROVIDER_PERMANENT,
               "ids and releases are 1 to 63 letters, digits, \"_\", \"-\" and \".\"");
    else if (!railway_image(railway->conf, spec->release, spec->image, job->image))
        refuse(job, PROVIDER_PERMANENT,
               "no image is named: say --image, or write `image` in the configuration");
    else if (!keep_env(job, spec))
        refuse(job, PROVIDER_UNSUPPORTED,
               "a deploy sets variables whose names begin with SLUICE_DEPLOY_");
    snprintf(job->release, sizeof(job->release), "%s", spec->release);
    job->goal.release = job->release;
    job->goal.image = job->image;
}

static void stop(void *self, const struct provider_stop *stop, struct provider_call call)
{
    struct railway_job *job = begin(self, RAILWAY_STOP, stop->id, call);

    if (!job)
        return;
    job->goal.is_removed = stop->is_removed;
    if (!is_id(stop->id))
        refuse(job, PROVIDER_PERMANENT, "this is no id of a unit");
}

/* What was seen a moment ago is so still: requests are few. */
static void list(void *self, struct provider_call call)
{
    struct railway *railway = self;
    struct railway_job *job = begin(railway, RAILWAY_LIST, NULL, call);
    bool is_fresh = railway->looks && !railway->is_dirty &&
                    railway_now() - railway->looked_ms < (int64_t)fresh_ms[railway->conf->plan];

    if (job && is_fresh)
        job->need = railway->looks;
}

static void get_log(void *self, const char *id, struct provider_call call)
{
    struct railway_job *job = begin(self, RAILWAY_LOG, id, call);

    if (job && !is_id(id))
        refuse(job, PROVIDER_PERMANENT, "this is no id of a unit");
}

static void plan(void *self, const struct provider_intent *intent, struct provider_call call)
{
    struct railway_job *job = begin(self, RAILWAY_PLAN, NULL, call);

    if (!job)
        return;
    job->intent = *intent;
    job->intent.old = NULL;
    snprintf(job->release, sizeof(job->release), "%s", intent->release);
    if (intent->image && strlen(intent->image) >= sizeof(job->image))
        refuse(job, PROVIDER_PERMANENT, "the image's name is too long");
    snprintf(job->image, sizeof(job->image), "%s", intent->image ? intent->image : "");
    job->intent.release = job->release;
    job->intent.image = intent->image ? job->image : NULL;
}

static enum status open_railway(const struct provider_env *env, const struct conf_service *service,
                                void **self)
{
    const struct conf_railway *conf = &service->provider.railway;
    struct railway *railway;
    uint64_t key = 0;

    *self = NULL;
    if (!conf->is_set || !env->outbound || !conf->services.count)
        return E_INVALID;
    railway = calloc(1, sizeof(*railway));
    if (!railway)
        return E_NOMEM;
    for (size_t i = 0; i < conf->token.s.len; i++)
        key = random_mix(key ^ (unsigned char)conf->token.s.p[i]);
    railway->env = *env;
    railway->service = service;
    railway->conf = conf;
    railway->pace = outbound_pace(env->outbound, key, &paces[conf->plan]);
    if (!railway->pace || railway_api_init(&railway->api, env->outbound, conf)) {
        free(railway);
        return E_NOMEM;
    }
    uv_timer_init(outbound_loop(env->outbound), &railway->timer);
    railway->timer.data = railway;
    *self = railway;
    return OK;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_railway(void **self)
{
    struct railway *railway = *self;

    *self = NULL;
    if (!railway)
        return;
    outbound_cancel(&railway->http);
    while (railway->jobs)
        railway_fail(railway->jobs,
                     &(struct railway_answer){
                         .fault = PROVIDER_TRANSIENT,
                         .reason = "what is configured is read again, or control is ending"});
    railway_api_fini(&railway->api);
    railway_state_free(&railway->state);
    uv_close((uv_handle_t *)&railway->timer, on_closed);
}

const struct provider provider_railway = {
    .name = "railway",
    .abilities = PROVIDER_IMAGES | PROVIDER_SIDE_BY_SIDE | PROVIDER_REPLACES,
    .open = open_railway,
    .start = start,
    .stop = stop,
    .list = list,
    .log = get_log,
    .plan = plan,
    .close = close_railway,
};
