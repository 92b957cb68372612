/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/services/S/split where there are several edges: answered when all that are waited for
 * have it in all their workers; else 202, with `lacking` to say which have not and why.
 */
#include <string.h>

#include "control/control_api_impl.h"

static void refuse(struct control_call *call, const struct deploys_problem *problem)
{
    if (problem->status == 503)
        rest_field(&call->rest, "Retry-After", "1");
    rest_problem(&call->rest, problem->status, problem->reason, "%s", problem->detail);
}

static void on_done(struct splits_change *change, const struct deploys_problem *problem,
                    json_t *answer, json_t *lacking)
{
    struct control_call *call = CONTAINER_OF(change, struct control_call, job.split);

    if (problem)
        refuse(call, problem);
    else
        control_api_reply_spread(call, 200, answer, lacking);
}

static const char *text(struct control_call *call, struct str s)
{
    struct str copy = arena_copy(&call->rest.arena, s);

    return copy.p ? copy.p : "";
}

static void change(struct control_call *call, bool is_reset)
{
    struct str stable = is_reset ? STR_NONE : rest_query(&call->rest, "stable", 0);

    if (!edges_are_fleet(call->api->options.edges)) {
        control_api_refuse_early(call);
        return;
    }
    call->job.split = (struct splits_change){.service = text(call, call->rest.parts[0]),
                                             .actor = text(call, call->actor),
                                             .stable = stable.len ? text(call, stable) : NULL,
                                             .is_reset = is_reset,
                                             .done = on_done};
    if (!is_reset)
        call->job.split.body = (struct str){call->rest.body.p, call->rest.body.len};
    splits_change(call->api->options.deploys, &call->job.split);
}

void control_api_split_put(struct control_call *call)
{
    change(call, false);
}

void control_api_split_reset(struct control_call *call)
{
    change(call, true);
}

void control_api_split(struct control_call *call)
{
    struct deploys_problem problem = {503, "memory_limit", "Out of memory."};
    json_t *json =
        splits_show(call->api->options.deploys, text(call, call->rest.parts[0]), &problem);

    if (json)
        rest_reply_json(&call->rest, 200, json);
    else
        refuse(call, &problem);
}
