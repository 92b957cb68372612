/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease of a machine, held around each change and no longer: should control die with it, it is
 * in nobody's way for long.
 */
#include <stdio.h>

#include "control/provider/fly_impl.h"

enum { TTL_S = 20, PATIENCE_MS = 45 * 1000, PAUSE_MS = 2000 };

static void ask(struct fly_job *job);

static void ask_later(struct fly_job *job, const struct fly_reply *reply)
{
    int64_t left_ms = job->lease_ms - fly_now();
    uint32_t pause_ms = reply->retry_ms ? reply->retry_ms : PAUSE_MS;
    char why[FLY_REASON_MAX];

    if (left_ms > 0) {
        fly_pause(job, pause_ms < left_ms ? pause_ms : (uint32_t)left_ms, ask);
        return;
    }
    snprintf(why, sizeof(why), "machine %s is held by another: %.200s", job->handle,
             fly_api_error(reply->body) ? fly_api_error(reply->body) : "its lease");
    fly_finish_fault(job, PROVIDER_TRANSIENT, why);
}

static void on_lease(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;
    const json_t *data = json_object_get(reply->body, "data");

    // The envelope is not in every version of the API.
    snprintf(job->nonce, sizeof(job->nonce), "%s",
             fly_machine_text(data ? data : reply->body, "nonce"));
    if (reply->status == 409)
        ask_later(job, reply);
    else if (reply->fault && reply->status != 404) // what is gone needs none
        fly_finish_reply(job, reply);
    else
        job->onward(job);
}

static void ask(struct fly_job *job)
{
    json_decref(job->body);
    job->body = json_pack("{s:i,s:s}", "ttl", TTL_S, "description", "sluice");
    *job->nonce = '\0';
    fly_send(job, &(struct fly_request){.action = FLY_LEASE, .body = job->body, .done = on_lease});
}

void fly_lease_take(struct fly_job *job, fly_step *onward)
{
    job->onward = onward;
    job->lease_ms = fly_now() + PATIENCE_MS;
    ask(job);
}

static void on_given(void *owner, const struct fly_reply *reply)
{
    struct fly_job *job = owner;

    (void)reply;
    *job->nonce = '\0';
    job->then(job);
}

void fly_lease_give(struct fly_job *job, fly_step *then)
{
    job->then = then;
    if (*job->nonce)
        fly_send(job, &(struct fly_request){.action = FLY_UNLEASE, .done = on_given});
    else
        fly_pause(job, 0, then);
}
