/* SPDX-License-Identifier: Apache-2.0
 *
 * What a deploy would meet: whether the app is there and the token may, whether what is live can be
 * cloned, whether Fly Proxy will keep its hands off it, and what a new machine will have that the
 * live one has not.
 */
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "control/provider/fly_impl.h"

enum { LINES_SIZE = 8192 };

static bool listens(const json_t *machine, uint16_t port)
{
    const json_t *services = json_object_get(fly_machine_config(machine), "services"), *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        if (json_integer_value(json_object_get(service, "internal_port")) == port)
            return true;
    }
    return !json_array_size(services);
}

/* The first that Fly Proxy may stop, of the group. NULL: none. */
static const json_t *find_automatic(const struct fly_job *job)
{
    const json_t *machine;
    size_t i;

    json_array_foreach(job->machines, i, machine)
    {
        if (fly_machine_phase(machine) < FLY_ENDING && fly_machine_is_automatic(machine) &&
            fly_clone_is_of_group(machine, job->fly->conf))
            return machine;
    }
    return NULL;
}

static size_t write_lines(const struct fly_job *job, const json_t *model, const json_t *config,
                          char text[LINES_SIZE])
{
    int len = snprintf(text, LINES_SIZE, "new machines are cloned from machine %s of app %s\n",
                       fly_machine_text(model, "id"), job->fly->conf->app.s.p);
    size_t used = len > 0 ? (size_t)len : 0;
    char why[FLY_CLONE_WHY_SIZE];

    if (!job->image)
        used += (size_t)snprintf(text + used, LINES_SIZE - used,
                                 "no image is named: they run that of machine %s\n",
                                 fly_machine_text(model, "id"));
    if (!listens(model, job->fly->conf->port))
        used += (size_t)snprintf(text + used, LINES_SIZE - used,
                                 "no service of machine %s is on port %u, where units are looked "
                                 "for: see `port` of the provider\n",
                                 fly_machine_text(model, "id"), job->fly->conf->port);
    if (job->fly->conf->rest == CONF_FLY_SUSPEND && fly_suspend_refuses(config, why))
        used += (size_t)snprintf(text + used, LINES_SIZE - used,
                                 "what goes to sleep is stopped, not suspended: %s\n", why);
    return used + fly_clone_differences(model, config, text + used, LINES_SIZE - used);
}

static void show(struct fly_job *job, const json_t *model)
{
    json_t *config = fly_clone_config(model, &job->clone);
    char text[LINES_SIZE];
    size_t len = config ? write_lines(job, model, config, text) : 0;

    json_decref(config);
    if (len)
        fly_finish(job, &(struct provider_result){.log = {text, len}});
    else
        fly_finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
}

static void look(struct fly_job *job)
{
    const json_t *model = fly_clone_pick(job->machines, job->fly->conf, &job->clone);
    const json_t *automatic = find_automatic(job);
    enum provider_fault fault = PROVIDER_PERMANENT;
    char why[FLY_CLONE_WHY_SIZE] = "";

    if (!model)
        snprintf(why, sizeof(why),
                 "app %s has no machine of group %s to be cloned: deploy it once with fly",
                 job->fly->conf->app.s.p, job->fly->conf->group.s.p);
    else if (automatic)
        snprintf(why, sizeof(why),
                 "machine %s has autostop or autostart on: Fly Proxy sees none of the traffic over "
                 "6PN and would stop it under load; set auto_stop_machines = \"off\" and "
                 "auto_start_machines = false",
                 fly_machine_text(automatic, "id"));
    else
        fault = fly_clone_check(model, &job->clone, why);
    if (fault)
        fly_finish_fault(job, fault, why);
    else
        show(job, model);
}

static void on_app(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;
    char why[FLY_REASON_MAX];

    if (reply->status == 404) {
        snprintf(why, sizeof(why),
                 "Fly.io knows no app %s, or the token is not of its organization",
                 job->fly->conf->app.s.p);
        fly_finish_fault(job, PROVIDER_PERMANENT, why);
    } else if (reply->fault) {
        fly_finish_reply(job, reply);
    } else {
        fly_survey(job, look);
    }
}

void fly_plan(struct fly_job *job)
{
    fly_api_send(&job->fly->api, &job->ask,
                 &(struct fly_request){.action = FLY_APP, .done = on_app, .owner = job});
}
