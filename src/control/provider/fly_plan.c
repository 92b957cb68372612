/* SPDX-License-Identifier: Apache-2.0
 *
 * What a deploy would meet: whether the app is there and the token may, whether what is live can be
 * cloned, whether Fly Proxy will keep its hands off it, and what a new machine will have that the
 * live one has not.
 */
#include <stdarg.h>
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

struct lines {
    char text[LINES_SIZE];
    size_t used;
};

static void add(struct lines *lines, const char *format, ...) PRINTF(2, 3);

static void add(struct lines *lines, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(lines->text + lines->used, LINES_SIZE - lines->used, format, args);
    va_end(args);
    if (len > 0 && (size_t)len < LINES_SIZE - lines->used)
        lines->used += (size_t)len;
}

/* What flyctl would make of a fly.toml and the gateway does not. */
static void write_file(struct lines *lines, const struct fly_job *job, const json_t *model)
{
    const char *file = fly_machine_text(model, "file"), *app = fly_machine_text(model, "app");

    if (*file && *app && strcmp(app, job->fly->conf->app.s.p) != 0)
        add(lines, "%.80s is that of app %.80s\n", file, app);
    if (*fly_machine_text(model, "release_command"))
        add(lines, "release_command of %.80s is not run: see `hooks` of the service's deploy\n",
            file);
}

static void write_lines(struct lines *lines, const struct fly_job *job, const json_t *model,
                        const json_t *config)
{
    const json_t *live = fly_clone_pick(job->machines, job->fly->conf, &job->clone);
    char source[FLY_CLONE_SOURCE_SIZE], base[FLY_CLONE_SOURCE_SIZE], why[FLY_CLONE_WHY_SIZE];

    fly_clone_source(model, source);
    add(lines, "new machines are cloned from %s of app %s\n", source, job->fly->conf->app.s.p);
    write_file(lines, job, model);
    if (!job->image)
        add(lines, "no image is named: they run that of %s\n", source);
    if (!listens(model, job->fly->conf->port))
        add(lines,
            "no service of %s is on port %u, where units are looked for: see `port` of the "
            "provider\n",
            source, job->fly->conf->port);
    if (job->fly->conf->rest == CONF_FLY_SUSPEND && fly_suspend_refuses(config, why))
        add(lines, "what goes to sleep is stopped, not suspended: %s\n", why);
    if (live && live != model) {
        fly_clone_source(live, base);
        add(lines, "what differs from %s:\n", base);
    }
    lines->used +=
        fly_clone_differences(live, config, lines->text + lines->used, LINES_SIZE - lines->used);
}

static void show(struct fly_job *job, const json_t *model)
{
    json_t *config = fly_clone_config(model, &job->clone);
    struct lines lines = {.used = 0};

    if (config) {
        write_lines(&lines, job, model, config);
        fly_finish(job, &(struct provider_result){.log = {lines.text, lines.used}});
    } else {
        fly_finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
    }
    json_decref(config);
}

static void look(struct fly_job *job)
{
    const json_t *automatic = find_automatic(job), *model = NULL;
    enum provider_fault fault = PROVIDER_PERMANENT;
    char why[FLY_CLONE_WHY_SIZE] = "";

    if (automatic)
        snprintf(why, sizeof(why),
                 "machine %s has autostop or autostart on: Fly Proxy sees none of the traffic over "
                 "6PN and would stop it under load; set auto_stop_machines = \"off\" and "
                 "auto_start_machines = false",
                 fly_machine_text(automatic, "id"));
    else
        model = fly_model_find(job, &fault, why);
    if (model)
        show(job, model);
    else
        fly_finish_fault(job, fault, why);
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
