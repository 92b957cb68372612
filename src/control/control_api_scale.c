/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /api/v1/services/S/scale {"replicas": 3}, .../wake and .../sleep.
 */
#include <stdio.h>

#include "control/control_api_impl.h"
#include "control/scale/scaler.h"

static void on_told(struct deploys_waiter *waiter, json_t *service,
                    const struct deploys_problem *problem)
{
    struct control_call *call = CONTAINER_OF(waiter, struct control_call, job.deploy);

    if (problem && problem->status == 503)
        rest_field(&call->rest, "Retry-After", "1");
    if (problem)
        rest_problem(&call->rest, problem->status, problem->reason, "%s", problem->detail);
    else
        rest_reply_json(&call->rest, 200, service);
}

static void say(struct control_call *call, enum scaler_word word, uint32_t replicas)
{
    struct str service = arena_copy(&call->rest.arena, call->rest.parts[0]);
    struct str actor = arena_copy(&call->rest.arena, call->actor);
    struct scaler_ask ask = {.service = service.p ? service.p : "",
                             .actor = actor.p ? actor.p : "",
                             .word = word,
                             .replicas = replicas};

    call->job.deploy = (struct deploys_waiter){.done = on_told};
    scaler_ask(call->api->options.deploys, &ask, &call->job.deploy);
}

void control_api_scale(struct control_call *call)
{
    struct str text = {call->rest.body.p, call->rest.body.len};
    json_t *body = json_loadb(text.p ? text.p : "", text.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *replicas = json_object_get(body, "replicas");
    json_int_t number = json_integer_value(replicas);

    if (!json_is_integer(replicas) || json_object_size(body) != 1 || number < 0 ||
        number > CONF_SCALE_MAX)
        rest_problem(&call->rest, 422, "scale_invalid",
                     "The body is {\"replicas\": N}, with a number from 0 to %d.", CONF_SCALE_MAX);
    else
        say(call, SCALER_SETS, (uint32_t)number);
    json_decref(body);
}

void control_api_wake(struct control_call *call)
{
    say(call, SCALER_WAKES, 0);
}

void control_api_sleep(struct control_call *call)
{
    say(call, SCALER_SLEEPS, 0);
}
