/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting until a machine has come to one of some states. Whatever a wait ends with, the machine
 * itself says how it stands.
 */
#include <stdio.h>

#include "control/provider/fly_impl.h"

enum { WAIT_S = 20, ANSWER_S = 10 };

static void on_seen(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    if (reply->status == 404) {
        job->lost(job);
    } else if (reply->fault) {
        fly_finish_reply(job, reply);
    } else {
        fly_take(job, reply->body);
        job->judge(job);
    }
}

static void look(struct fly_job *job)
{
    fly_send(job, &(struct fly_request){.action = FLY_GET, .done = on_seen});
}

void fly_look(struct fly_job *job, fly_step *judge, fly_step *lost)
{
    job->judge = judge;
    job->lost = lost;
    look(job);
}

static void on_waited(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    job->is_doubtful = reply->status == 408;
    if (reply->fault == PROVIDER_UNAUTHORIZED)
        fly_finish_reply(job, reply);
    else
        look(job);
}

void fly_wait(struct fly_job *job, const char *states, fly_step *judge, fly_step *lost)
{
    job->judge = judge;
    job->lost = lost;
    snprintf(job->query, sizeof(job->query), "%s&timeout=%d", states, WAIT_S);
    fly_send(job, &(struct fly_request){.action = FLY_WAIT,
                                        .query = job->query,
                                        .ms = (WAIT_S + ANSWER_S) * 1000,
                                        .done = on_waited});
}
