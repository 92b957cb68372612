/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit goes to sleep with what it holds in memory, where Fly can do that: suspended, and waited
 * for. Where Fly refuses, or the machine comes to another state, it is stopped instead, and why is
 * what listings warn of until one has been suspended.
 */
#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "control/provider/fly_impl.h"

enum {
    SUSPENDED_MS = 60 * 1000, /* for as long it is waited for */
    RETRY_MS = 500,
    MEMORY_MAX_MB = 2048, /* Fly's documents say 4 GB elsewhere */
};

static json_int_t number_of(const json_t *config, const char *map, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(config, map), key));
}

bool fly_suspend_refuses(const json_t *config, char why[FLY_CLONE_WHY_SIZE])
{
    const json_t *guest = json_object_get(config, "guest");
    json_int_t memory = number_of(config, "guest", "memory_mb");

    if (memory > MEMORY_MAX_MB)
        snprintf(why, FLY_CLONE_WHY_SIZE, "it has %lld MB of memory, and Fly suspends up to %d",
                 (long long)memory, MEMORY_MAX_MB);
    else if (number_of(config, "init", "swap_size_mb") > 0)
        snprintf(why, FLY_CLONE_WHY_SIZE, "it has swap");
    else if (*fly_machine_text(guest, "gpu_kind") || number_of(config, "guest", "gpus") > 0)
        snprintf(why, FLY_CLONE_WHY_SIZE, "it has a GPU");
    else if (*fly_machine_text(config, "schedule"))
        snprintf(why, FLY_CLONE_WHY_SIZE, "it runs on a schedule");
    else
        return false;
    return true;
}

bool fly_suspend_is_due(const struct fly_job *job)
{
    char why[FLY_CLONE_WHY_SIZE];

    return job->may_freeze && !job->is_removed && !job->is_stopped &&
           job->fly->conf->rest == CONF_FLY_SUSPEND && fly_machine_phase(job->machine) == FLY_UP &&
           !fly_suspend_refuses(fly_machine_config(job->machine), why);
}

/* --- when it comes to nothing */

/* The first is kept, so that it is said once, however many follow. */
static void note(struct fly_job *job, const char *why)
{
    char *trouble = job->fly->trouble;

    job->is_stopped = true;
    if (!*trouble)
        snprintf(trouble, FLY_REASON_MAX,
                 "machine %s could not be suspended, and is stopped: %.200s", job->handle, why);
}

static void fall_back(struct fly_job *job, const char *why)
{
    note(job, why);
    fly_lease_give(job, fly_stop_tell);
}

static void fall_back_as_it_is(struct fly_job *job)
{
    char why[80];

    snprintf(why, sizeof(why), "it stays %.40s", fly_machine_text(job->machine, "state"));
    fall_back(job, why);
}

/* --- waiting */

static void wait_suspended(struct fly_job *job);

static void judge_down(struct fly_job *job)
{
    if (fly_machine_is_suspended(job->machine))
        *job->fly->trouble = '\0';
    else
        note(job, "it ended on its way");
    fly_finish_unit(job);
}

static void judge(struct fly_job *job)
{
    switch (fly_machine_phase(job->machine)) {
    case FLY_DOWN:
    case FLY_BROKEN:
        judge_down(job);
        return;
    case FLY_ENDING:
    case FLY_GONE:
        fly_stop(job);
        return;
    case FLY_UP:
        if (job->is_doubtful) {
            fall_back_as_it_is(job);
            return;
        }
        break;
    default:
        break;
    }
    if (fly_now() < job->until_ms)
        fly_pause(job, RETRY_MS, wait_suspended);
    else
        fall_back_as_it_is(job);
}

static void look(struct fly_job *job)
{
    fly_look(job, judge, fly_stop);
}

static void wait_suspended(struct fly_job *job)
{
    fly_wait(job, "state=suspended&state=stopped&state=failed&state=destroyed", judge, fly_stop);
}

/* --- telling */

static void on_told(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (reply->fault == PROVIDER_PERMANENT && reply->status != 404) {
        fall_back(job, reply->reason);
    } else if (reply->status == 412) { // not in its state: that of one that is told twice, too
        job->is_doubtful = true;
        fly_lease_give(job, look);
    } else if (reply->fault && !reply->is_lost && reply->status != 404) {
        fly_finish_reply(job, reply);
    } else {
        fly_lease_give(job, wait_suspended);
    }
}

static void tell(struct fly_job *job)
{
    job->until_ms = fly_now() + SUSPENDED_MS;
    fly_send(job, &(struct fly_request){.action = FLY_SUSPEND, .done = on_told});
}

void fly_suspend(struct fly_job *job)
{
    fly_lease_take(job, tell);
}
