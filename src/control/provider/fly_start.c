/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit gets up: as a new machine, or as the one that it had. The API has no key that makes a
 * create idempotent: what machines there are is looked at before each, also after one whose answer
 * was lost, and the name, which is the same each time, can be had once.
 */
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "control/provider/fly_impl.h"

enum {
    STARTED_MS = 60 * 1000, /* as long as one call waits; big images take longer, in several */
    RETRY_MS = 500,
    REFUSED_MAX = 20,        /* starts, while it is not quite down yet */
    PREPARED_MS = 20 * 1000, /* a machine that was made is not started by Fly any more */
    CREATES_MAX = 3,
    CREATE_MS = 60 * 1000,
    DISCARD_MS = 5 * 1000,
};

static void look(struct fly_job *job);

static void look_again(struct fly_job *job)
{
    fly_survey(job, look);
}

/* --- waiting until it has started */

static void wait(struct fly_job *job);
static void rouse(struct fly_job *job);

static void finish_lost(struct fly_job *job)
{
    char why[FLY_REASON_MAX];

    snprintf(why, sizeof(why), "machine %s was destroyed before it had started", job->handle);
    fly_finish_fault(job, PROVIDER_TRANSIENT, why);
}

static void wait_more(struct fly_job *job)
{
    char why[FLY_REASON_MAX];

    if (fly_now() < job->until_ms) {
        fly_pause(job, RETRY_MS, wait);
        return;
    }
    snprintf(why, sizeof(why), "machine %s is %.40s after %d seconds still", job->handle,
             fly_machine_text(job->machine, "state"), STARTED_MS / 1000);
    fly_finish_fault(job, PROVIDER_TRANSIENT, why);
}

static void replace(struct fly_job *job)
{
    job->is_roused = job->is_doubtful = false;
    fly_stop_destroy(job, look_again);
}

static void rouse_anew(struct fly_job *job)
{
    job->tries = 0;
    job->is_roused = true;
    fly_lease_take(job, rouse);
}

/* Fly starts what it has made, unless that went wrong on its way. */
static bool is_resting(const struct fly_job *job)
{
    return fly_machine_is_created(job->machine) && !job->is_roused &&
           (job->is_doubtful || fly_machine_still_ms(job->machine) > PREPARED_MS);
}

static bool is_stuck(const struct fly_job *job)
{
    return fly_machine_is_stuck(job->machine) &&
           (!fly_machine_is_created(job->machine) || (job->is_roused && job->is_doubtful));
}

static void go_up(struct fly_job *job, fly_step *otherwise)
{
    if (is_resting(job))
        rouse_anew(job);
    else if (is_stuck(job))
        replace(job);
    else
        otherwise(job);
}

static void judge(struct fly_job *job)
{
    switch (fly_machine_phase(job->machine)) {
    case FLY_UP:
    case FLY_BROKEN:
        fly_finish_unit(job);
        return;
    case FLY_DOWN:
        // It ended, unless that was before it was started now.
        if (fly_machine_ended_ms(job->machine) > job->ended_ms)
            fly_finish_unit(job);
        else
            wait_more(job);
        return;
    case FLY_ENDING:
    case FLY_GONE:
        finish_lost(job);
        return;
    default:
        go_up(job, wait_more);
    }
}

static void wait(struct fly_job *job)
{
    fly_wait(job, "state=started&state=stopped&state=failed&state=destroyed", judge, finish_lost);
}

/* --- one that rests */

static void on_roused(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (reply->status == 412 && ++job->tries < REFUSED_MAX)
        fly_pause(job, RETRY_MS, rouse); // "machine still active, refusing to start"
    else if (reply->fault && !reply->is_lost && reply->status != 412 && reply->status != 404)
        fly_finish_reply(job, reply);
    else if (reply->status == 412 && fly_machine_is_stuck(job->machine))
        fly_lease_give(job, replace);
    else
        fly_lease_give(job, wait);
}

static void rouse(struct fly_job *job)
{
    fly_send(job, &(struct fly_request){.action = FLY_START, .done = on_roused});
}

/* --- a new one */

/* NULL: wherever Fly likes. */
static const char *region_of(const struct fly_job *job, const json_t *model)
{
    const struct conf_texts *regions = &job->fly->conf->regions;
    uint32_t first = 0;

    if (job->region)
        return job->region;
    if (!regions->count)
        return json_string_value(json_object_get(model, "region"));
    for (const char *c = job->id; *c; c++) // their numbers follow each other
        first = first * 10 + (uint32_t)(unsigned char)*c;
    return regions->items[(first + job->region_at) % regions->count].s.p;
}

static bool has_other_region(const struct fly_job *job)
{
    return !job->region && job->region_at + 1 < job->fly->conf->regions.count;
}

static bool is_name_taken(const struct fly_reply *reply)
{
    const char *text = fly_api_error(reply->body);

    return !strcmp(fly_machine_text(reply->body, "status"), "name_taken") ||
           (reply->status == 409 && text && strstr(text, "name"));
}

static void on_created(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (!reply->fault && *fly_machine_text(reply->body, "id")) {
        fly_take(job, reply->body);
        wait(job);
    } else if ((!reply->fault || reply->is_lost || is_name_taken(reply)) &&
               ++job->tries < CREATES_MAX) {
        fly_pause(job, RETRY_MS, look_again);
    } else if (reply->fault == PROVIDER_CAPACITY && has_other_region(job)) {
        job->region_at++;
        fly_pause(job, RETRY_MS, look_again);
    } else {
        fly_finish_reply(job, reply);
    }
}

static bool write_body(struct fly_job *job, const json_t *model)
{
    char name[FLY_CLONE_NAME_SIZE];

    fly_clone_name(job->machines, &job->clone, name);
    json_decref(job->body);
    job->body =
        json_pack("{s:s,s:s*,s:b,s:o}", "name", name, "region", region_of(job, model),
                  "skip_service_registration", 1, "config", fly_clone_config(model, &job->clone));
    return job->body != NULL;
}

static void create(struct fly_job *job)
{
    enum provider_fault fault;
    char why[FLY_CLONE_WHY_SIZE];
    const json_t *model = fly_model_find(job, &fault, why);

    if (!model) {
        fly_finish_fault(job, fault, why);
    } else if (!write_body(job, model)) {
        fly_finish_fault(job, PROVIDER_TRANSIENT, "out of memory");
    } else {
        *job->handle = '\0';
        fly_send(job, &(struct fly_request){.action = FLY_CREATE,
                                            .body = job->body,
                                            .ms = CREATE_MS,
                                            .done = on_created});
    }
}

/* --- which it is */

static void on_discarded(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (reply->fault == PROVIDER_UNAUTHORIZED)
        fly_finish_reply(job, reply);
    else
        create(job);
}

/* Its host may do nothing of what it is told: the new one is made beside it. Should it come back, a
 * listing sees that it is one too many. */
static void discard(struct fly_job *job)
{
    fly_send(job, &(struct fly_request){.action = FLY_DELETE,
                                        .query = "force=true",
                                        .ms = DISCARD_MS,
                                        .is_once = true,
                                        .done = on_discarded});
}

static void go_down(struct fly_job *job)
{
    if (fly_machine_is_stuck(job->machine))
        replace(job);
    else
        fly_finish_fault(job, PROVIDER_TRANSIENT, "its machine is stopping");
}

static void go_on(struct fly_job *job)
{
    job->ended_ms = fly_machine_ended_ms(job->machine);
    switch (fly_machine_phase(job->machine)) {
    case FLY_UP:
        fly_finish_unit(job);
        return;
    case FLY_DOWN:
        rouse_anew(job);
        return;
    case FLY_BROKEN:
        if (fly_machine_is_cut(job->machine))
            discard(job);
        else
            replace(job);
        return;
    case FLY_GOING_DOWN:
        go_down(job);
        return;
    default:
        go_up(job, wait);
    }
}

static void look(struct fly_job *job)
{
    json_t *machine = fly_machine_find(job->machines, job->fly->service, job->id, false);

    fly_take(job, machine);
    if (!machine) {
        create(job);
    } else if (strcmp(fly_machine_metadata(machine, FLY_MACHINE_RELEASE), job->release) != 0) {
        fly_finish_fault(job, PROVIDER_PERMANENT, "this id is that of another release's unit");
    } else {
        go_on(job);
    }
}

void fly_start(struct fly_job *job)
{
    job->until_ms = fly_now() + STARTED_MS;
    look_again(job);
}
