/* SPDX-License-Identifier: Apache-2.0
 *
 * What machines the app has. The API may give them page by page; one listing serves all that asked
 * for one before it was begun.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/provider/fly_impl.h"

enum { MACHINES_MAX = 4096, PAGES_MAX = 64 };

static void on_page(void *owner, const struct fly_reply *reply);

static void ask_page(struct fly *fly, const char *query)
{
    fly_api_send(
        &fly->api, &fly->survey,
        &(struct fly_request){.action = FLY_LIST, .query = query, .done = on_page, .owner = fly});
}

static struct fly_job *job_of(const struct fly *fly, enum fly_survey_need need)
{
    struct fly_job *job = fly->jobs;

    while (job && job->need != need)
        job = job->next;
    return job;
}

void fly_survey_next(struct fly *fly)
{
    struct fly_job *job;

    if (fly->survey.api || !job_of(fly, FLY_SURVEY_NEXT))
        return;
    while ((job = job_of(fly, FLY_SURVEY_NEXT)))
        job->need = FLY_SURVEY_THIS;
    fly->found = json_array();
    *fly->next = '\0';
    fly->pages = 0;
    ask_page(fly, NULL);
}

void fly_survey(struct fly_job *job, fly_step *onward)
{
    job->onward = onward;
    job->need = FLY_SURVEY_NEXT;
    fly_survey_next(job->fly);
}

/* Each may end, and begin others, which wait for the next one. */
static void tell(struct fly *fly, json_t *machines, const struct fly_reply *reply)
{
    struct fly_job *job;

    while ((job = job_of(fly, FLY_SURVEY_THIS))) {
        job->need = FLY_SURVEY_NONE;
        if (reply->fault) {
            fly_finish_reply(job, reply);
            continue;
        }
        json_decref(job->machines);
        job->machines = json_incref(machines);
        job->onward(job);
    }
}

/* "cursor=" and the text, percent-encoded (RFC 3986). False: it is too long. */
static bool write_query(struct str cursor, char query[FLY_NEXT_SIZE])
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t used = (size_t)snprintf(query, FLY_NEXT_SIZE, "cursor=");

    for (size_t i = 0; i < cursor.len; i++) {
        bool is_plain = memchr(plain, cursor.p[i], sizeof(plain) - 1) != NULL;

        if (used + 4 > FLY_NEXT_SIZE)
            return false;
        used += (size_t)snprintf(query + used, 4, is_plain ? "%c" : "%%%02X",
                                 (unsigned char)cursor.p[i]);
    }
    return true;
}

/* Whether the page after this one can be asked for: `fly->next` has its query. */
static bool can_follow(struct fly *fly, struct str cursor)
{
    char query[FLY_NEXT_SIZE];

    if (++fly->pages >= PAGES_MAX || json_array_size(fly->found) > MACHINES_MAX ||
        !write_query(cursor, query) || !strcmp(query, fly->next))
        return false;
    memcpy(fly->next, query, strlen(query) + 1);
    return true;
}

static void on_page(void *owner, const struct fly_reply *reply)
{
    struct fly *fly = owner;
    struct fly_reply result = *reply;
    json_t *found;

    if (!result.fault &&
        (!json_is_array(reply->body) || json_array_extend(fly->found, reply->body)))
        result = (struct fly_reply){.fault = PROVIDER_TRANSIENT,
                                    .reason = "Fly.io's answer is no list of machines"};
    if (!result.fault && reply->cursor.len && can_follow(fly, reply->cursor)) {
        ask_page(fly, fly->next);
        return;
    }
    if (!result.fault && reply->cursor.len)
        result = (struct fly_reply){.fault = PROVIDER_TRANSIENT,
                                    .reason = "Fly.io's list of machines does not end"};
    if (reply->status == 404)
        result.reason = "Fly.io knows no such app, or the token is not of its organization";
    found = fly->found;
    fly->found = NULL;
    tell(fly, found, &result);
    json_decref(found);
    fly_survey_next(fly);
}

/* --- units */

/* The last that there is. NULL: none. */
static const json_t *end_spares(const struct fly_job *job)
{
    const json_t *machine, *spare = NULL;
    size_t i;

    json_array_foreach(job->machines, i, machine)
    {
        const char *unit = fly_machine_metadata(machine, FLY_MACHINE_UNIT);

        if (!fly_machine_is_ours(machine, job->fly->service) || strlen(unit) > PROVIDER_ID_MAX ||
            fly_machine_spare(job->machines, job->fly->service, unit) != machine)
            continue;
        fly_spare(job->fly, unit);
        spare = machine;
    }
    return spare;
}

/* Fly sees no traffic over 6PN, and stops what it may under load. */
static const char *warn(const struct fly_job *job, const json_t *spare, char *text, size_t size)
{
    const json_t *machine;
    size_t i;

    if (spare) {
        snprintf(text, size, "machine %s is one too many of unit %s, and is destroyed",
                 fly_machine_text(spare, "id"), fly_machine_metadata(spare, FLY_MACHINE_UNIT));
        return text;
    }
    json_array_foreach(job->machines, i, machine)
    {
        if (!fly_machine_is_ours(machine, job->fly->service) ||
            fly_machine_phase(machine) != FLY_UP || !fly_machine_is_automatic(machine))
            continue;
        snprintf(text, size,
                 "machine %s has autostop or autostart on again: Fly Proxy sees none of its "
                 "traffic, and will stop it under load",
                 fly_machine_text(machine, "id"));
        return text;
    }
    return *job->fly->trouble ? job->fly->trouble : NULL;
}

static uint32_t view_all(const struct fly_job *job, struct fly_view *views,
                         struct provider_unit *units)
{
    uint32_t count = 0;
    json_t *machine;
    size_t i;

    json_array_foreach(job->machines, i, machine)
    {
        const char *unit = fly_machine_metadata(machine, FLY_MACHINE_UNIT);

        if (!fly_machine_is_ours(machine, job->fly->service) ||
            fly_machine_find(job->machines, job->fly->service, unit, true) != machine)
            continue;
        fly_machine_view(machine, job->fly->conf->port, &views[count]);
        units[count] = views[count].unit;
        count++;
    }
    return count;
}

void fly_survey_list(struct fly_job *job)
{
    size_t room = json_array_size(job->machines) + 1;
    struct fly_view *views = calloc(room, sizeof(*views));
    struct provider_unit *units = calloc(room, sizeof(*units));
    const json_t *spare = end_spares(job);
    char text[256];

    if (views && units)
        fly_finish(job, &(struct provider_result){.warning = warn(job, spare, text, sizeof(text)),
                                                  .units = units,
                                                  .unit_count = view_all(job, views, units)});
    else
        fly_finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
    free(views);
    free(units);
}
