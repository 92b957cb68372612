/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit ends: told, waited for, and, if it is to leave no trace, destroyed, with all machines that
 * may have been made in its name.
 */
#include <stdio.h>
#include <string.h>

#include "control/provider/fly_impl.h"

enum {
    SLACK_MS = 30 * 1000, /* past its grace; Fly kills it then */
    GONE_MS = 60 * 1000,
    RETRY_MS = 500,
    ROUNDS_MAX = 8, /* machines of one unit */
};

static void look_again(struct fly_job *job);

/* --- destroying */

static void wait_gone(struct fly_job *job);

static void end_it(struct fly_job *job)
{
    job->after(job);
}

static void judge_ending(struct fly_job *job)
{
    char why[FLY_REASON_MAX];

    if (fly_machine_phase(job->machine) == FLY_GONE) {
        end_it(job);
    } else if (fly_now() < job->until_ms) {
        wait_gone(job);
    } else {
        snprintf(why, sizeof(why), "machine %s is %.40s still", job->handle,
                 fly_machine_text(job->machine, "state"));
        fly_finish_fault(job, PROVIDER_TRANSIENT, why);
    }
}

static void wait_gone(struct fly_job *job)
{
    fly_wait(job, "state=destroyed", judge_ending, end_it);
}

static void on_destroyed(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (reply->status == 404) {
        *job->nonce = '\0';
        job->after(job);
    } else if (reply->fault && (!reply->is_lost || fly_machine_is_cut(job->machine))) {
        fly_finish_reply(job, reply);
    } else {
        *job->nonce = '\0';
        job->until_ms = fly_now() + GONE_MS;
        wait_gone(job);
    }
}

static void destroy(struct fly_job *job)
{
    fly_send(job, &(struct fly_request){.action = FLY_DELETE,
                                        .query = "force=true",
                                        .is_once = fly_machine_is_cut(job->machine),
                                        .done = on_destroyed});
}

void fly_stop_destroy(struct fly_job *job, fly_step *then)
{
    job->after = then;
    if (fly_machine_is_cut(job->machine))
        destroy(job); // its host has no lease to give
    else
        fly_lease_take(job, destroy);
}

/* --- stopping */

static void wait_down(struct fly_job *job);

/* With what it holds in memory it is not down. */
static bool is_anew(const struct fly_job *job)
{
    return !job->may_freeze && !job->is_removed;
}

static bool is_down(const struct fly_job *job)
{
    enum fly_phase phase = fly_machine_phase(job->machine);

    if (is_anew(job) && fly_machine_is_suspended(job->machine))
        return false;
    return phase == FLY_DOWN || phase == FLY_BROKEN;
}

/* What came neither up nor down has nothing that it would be kept for. */
static bool is_lost_for_rest(const struct fly_job *job)
{
    return fly_machine_phase(job->machine) == FLY_GOING_UP || fly_machine_is_stuck(job->machine);
}

static void end(struct fly_job *job)
{
    char why[FLY_REASON_MAX];

    if (job->is_removed || is_lost_for_rest(job)) {
        fly_stop_destroy(job, look_again);
    } else if (is_down(job)) {
        fly_finish_unit(job);
    } else {
        snprintf(why, sizeof(why), "machine %s is %.40s still", job->handle,
                 fly_machine_text(job->machine, "state"));
        fly_finish_fault(job, PROVIDER_TRANSIENT, why);
    }
}

static void judge(struct fly_job *job)
{
    switch (fly_machine_phase(job->machine)) {
    case FLY_ENDING:
    case FLY_GONE:
        look_again(job);
        return;
    default:
        if (is_anew(job) && !job->is_told && fly_machine_is_suspended(job->machine))
            fly_stop_tell(job);
        else if (!is_down(job) && fly_now() < job->until_ms)
            fly_pause(job, RETRY_MS, wait_down);
        else
            end(job);
    }
}

static void wait_down(struct fly_job *job)
{
    char states[FLY_QUERY_SIZE - 16];

    snprintf(states, sizeof(states), "state=stopped&state=failed&state=destroyed%s&version=%.40s",
             is_anew(job) && job->is_told ? "" : "&state=suspended",
             fly_machine_text(job->machine, "instance_id"));
    fly_wait(job, states, judge, look_again);
}

static void on_told(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    // 404 and 412: it is gone or down already, which a look will say.
    if (reply->fault && !reply->is_lost && reply->status != 404 && reply->status != 412)
        fly_finish_reply(job, reply);
    else
        fly_lease_give(job, wait_down);
}

static void tell(struct fly_job *job)
{
    const json_t *stop = json_object_get(fly_machine_config(job->machine), "stop_config");
    const char *signal = fly_machine_text(stop, "signal");

    json_decref(job->body);
    job->body = json_pack("{s:s,s:o}", "signal", *signal ? signal : "SIGTERM", "timeout",
                          json_sprintf("%us", (job->grace_ms + 999) / 1000));
    job->is_told = true;
    job->until_ms = fly_now() + job->grace_ms + SLACK_MS;
    fly_send(job, &(struct fly_request){.action = FLY_STOP, .body = job->body, .done = on_told});
}

void fly_stop_tell(struct fly_job *job)
{
    fly_lease_take(job, tell);
}

/* --- which it is */

static void look(struct fly_job *job)
{
    json_t *machine = fly_machine_find(job->machines, job->fly->service, job->id, job->is_removed);
    enum fly_phase phase = machine ? fly_machine_phase(machine) : FLY_GONE;

    fly_take(job, machine);
    if (!machine) {
        fly_finish(job, &(struct provider_result){.fault = PROVIDER_OK});
    } else if (++job->tries > ROUNDS_MAX) {
        fly_finish_fault(job, PROVIDER_TRANSIENT, "its machines do not go away");
    } else if (phase == FLY_ENDING) {
        job->after = look_again;
        job->until_ms = fly_now() + GONE_MS;
        wait_gone(job);
    } else if (fly_suspend_is_due(job)) {
        fly_suspend(job);
    } else if (phase == FLY_UP || (phase == FLY_GOING_UP && !job->is_removed) ||
               (phase == FLY_DOWN && !job->is_removed && !is_down(job))) {
        fly_stop_tell(job);
    } else if (phase == FLY_GOING_DOWN) {
        job->until_ms = fly_now() + job->grace_ms + SLACK_MS;
        wait_down(job);
    } else {
        end(job);
    }
}

static void look_again(struct fly_job *job)
{
    fly_survey(job, look);
}

void fly_stop(struct fly_job *job)
{
    look_again(job);
}

/* --- one too many */

static void look_for_spare(struct fly_job *job)
{
    json_t *machine = fly_machine_spare(job->machines, job->fly->service, job->id);

    fly_take(job, machine);
    if (machine && ++job->tries <= ROUNDS_MAX)
        fly_stop_destroy(job, fly_stop_spare);
    else
        fly_finish(job, &(struct provider_result){.fault = PROVIDER_OK});
}

void fly_stop_spare(struct fly_job *job)
{
    fly_survey(job, look_for_spare);
}
