/* SPDX-License-Identifier: Apache-2.0
 *
 * What people ask of a scaled service: so many units, to wake, to sleep. What its bounds do not
 * allow is refused in words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/scale/policy.h"
#include "control/scale/scaler.h"
#include "control/scale/scaler_impl.h"

static bool is_configured(const struct deploys *deploys, const char *service)
{
    struct str name = {service, strlen(service)};

    for (uint32_t i = 0; deploys->conf && i < deploys->conf->service_count; i++)
        if (str_same(deploys->conf->services[i].name.s, name))
            return true;
    return false;
}

/* NULL: it was refused. */
static struct managed *find(const struct deploys *deploys, const char *service,
                            struct deploys_problem *problem)
{
    struct managed *managed = managed_find(deploys, service);
    const json_t *releases = managed ? json_object_get(managed->record, "releases") : NULL;

    if (!deploys->is_read)
        deploys_refuse(problem, 503, "control_starting", "Control is starting: try again.");
    else if (!is_configured(deploys, service))
        deploys_refuse(problem, 404, "service_not_found", "There is no service \"%s\".", service);
    else if (!json_object_size(releases))
        deploys_refuse(problem, 409, "nothing_runs", "No release of \"%s\" was deployed yet.",
                       service);
    else if (!managed->scaled)
        deploys_refuse(problem, 409, "not_scaled",
                       "Service \"%s\" has no `scale` in the configuration.", service);
    else
        return managed;
    return NULL;
}

static bool allows(const struct managed *managed, uint32_t replicas,
                   struct deploys_problem *problem)
{
    static const char *const names[] = {
        [SCALE_BY_MAX] = "`max`",
        [SCALE_BY_WINDOW] = "`max` of the schedule",
        [SCALE_BY_CEILING] = "`ceiling`",
        [SCALE_BY_HOUR] = "the budget of an hour",
        [SCALE_BY_DAY] = "the budget of the day",
    };
    struct scale_window windows[CONF_WINDOWS_MAX];
    struct scale_policy policy = policy_of(&managed_conf(managed)->scale, windows);
    struct scale_bounds bounds = scale_bounds_at(&policy.limits, (double)clock_wall_ms() / 1000,
                                                 managed->scaled->purse.spent);

    if (replicas < bounds.min)
        return deploys_refuse(problem, 422, "scale_out_of_bounds",
                              "`min`%s allows no fewer than %u units of \"%s\".",
                              bounds.is_window ? " of the schedule" : "", bounds.min,
                              managed->name);
    if (replicas > bounds.grow && replicas > managed->scaled->state.wanted)
        return deploys_refuse(problem, 422, "scale_out_of_bounds",
                              "%s allows no more than %u units of \"%s\".", names[bounds.by],
                              bounds.grow, managed->name);
    return true;
}

/* --- doing */

static bool set(struct managed *managed, uint32_t replicas, struct deploys_problem *problem)
{
    int64_t now_ms = (int64_t)clock_wall_ms();

    if (!allows(managed, replicas, problem))
        return false;
    if (managed->deploy && !deploy_is_told(&managed->deploy->state) &&
        replicas < managed->scaled->state.wanted)
        return deploys_refuse(
            problem, 409, "deploy_runs",
            "Deploy %s of \"%s\" is under way: none of its units goes until it is over.",
            managed->deploy->id, managed->name);
    if (replicas)
        scaled_set(managed->scaled, replicas, now_ms);
    else
        scaled_sleep(managed->scaled, now_ms);
    return true;
}

static bool run(struct managed *managed, const struct scaler_ask *ask,
                struct deploys_problem *problem)
{
    struct scaled *scaled = managed->scaled;
    enum life_mode mode = scaled->life.mode;

    if (ask->word == SCALER_SETS)
        return set(managed, ask->replicas, problem);
    if (ask->word == SCALER_SLEEPS)
        return mode == LIFE_ASLEEP || set(managed, 0, problem);
    scaled->is_asked |= mode == LIFE_ASLEEP || mode == LIFE_BROKEN;
    return true;
}

static json_t *show(const struct managed *managed)
{
    json_t *json = scaled_json(managed->scaled, (int64_t)clock_wall_ms());

    json_object_set_new(json, "service", json_string(managed->name));
    return json;
}

void scaler_ask(struct deploys *deploys, const struct scaler_ask *ask,
                struct deploys_waiter *waiter)
{
    struct deploys_problem problem = {0};
    struct managed *managed = find(deploys, ask->service, &problem);
    struct scaler_mark before;

    if (!managed) {
        waiter->done(waiter, NULL, &problem);
        return;
    }
    before = scaler_mark(managed);
    if (!run(managed, ask, &problem)) {
        waiter->done(waiter, NULL, &problem);
        return;
    }
    scaler_note_change(managed, before, (struct scaler_cause){ask->actor, "somebody said so"});
    waiter->next = managed->scale_waiters;
    managed->scale_waiters = waiter;
}

void scaler_answer(struct managed *managed)
{
    const struct deploy *deploy = managed->deploy;

    if (managed->is_dirty || managed->is_saving || managed->scaled->is_asked ||
        (deploy && (deploy->is_saving || deploy->is_unsaved)))
        return;
    while (managed->scale_waiters) {
        struct deploys_waiter *waiter = managed->scale_waiters;

        managed->scale_waiters = waiter->next;
        waiter->done(waiter, show(managed), NULL);
    }
}

void scaler_drop(struct managed *managed)
{
    struct deploys_problem problem;

    deploys_refuse(&problem, 409, "not_scaled", "Service \"%s\" is not scaled any more.",
                   managed->name);
    while (managed->scale_waiters) {
        struct deploys_waiter *waiter = managed->scale_waiters;

        managed->scale_waiters = waiter->next;
        waiter->done(waiter, NULL, &problem);
    }
    free(managed->scaled);
    managed->scaled = NULL;
}

json_t *scaler_json(const struct deploys *deploys)
{
    json_t *list = json_array();

    for (const struct managed *managed = deploys->managed; managed; managed = managed->next)
        if (managed->scaled)
            json_array_append_new(list, show(managed));
    return list;
}
