/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/deploys: beginning one, saying a word to it, looking at it.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "control/control_api_impl.h"

static void on_told(struct deploys_waiter *waiter, json_t *deploy,
                    const struct deploys_problem *problem)
{
    struct control_call *call = CONTAINER_OF(waiter, struct control_call, job.deploy);

    if (problem)
        rest_problem(&call->rest, problem->status, problem->reason, "%s", problem->detail);
    else
        rest_reply_json(&call->rest,
                        call->run == control_api_deploy_begin && !call->is_dry ? 201 : 200, deploy);
}

static const char *text(struct control_call *call, struct str s)
{
    struct str copy = arena_copy(&call->rest.arena, s);

    return copy.p ? copy.p : "";
}

/* The same key again gives the same deploy. False: it is no text that can be kept, and the call was
 * refused. */
static bool read_key(struct control_call *call, const char **key)
{
    struct str s = head_value_name(&call->rest.head, STR("idempotency-key"));

    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < ' ' || s.p[i] > '~') {
            rest_problem(&call->rest, 400, "idempotency_key_invalid",
                         "An Idempotency-Key has printable ASCII alone.");
            return false;
        }
    *key = s.p ? text(call, s) : "";
    return true;
}

/* False: nothing is known yet, and the call was refused. */
static bool is_ready(struct control_call *call)
{
    if (deploys_are_read(call->api->options.deploys))
        return true;
    rest_field(&call->rest, "Retry-After", "1");
    rest_problem(&call->rest, 503, "control_starting", "Control is starting: try again.");
    return false;
}

void control_api_deploy_begin(struct control_call *call)
{
    json_t *body = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    struct str dry_run = rest_query(&call->rest, "dry_run", 0);
    bool is_dry = str_same(dry_run, STR("true"));
    struct deploys_request request = {.body = body,
                                      .is_dry = is_dry,
                                      .actor = text(call, call->actor)};

    call->is_dry = is_dry;
    if (dry_run.p && !is_dry && !str_same(dry_run, STR("false"))) {
        rest_problem(&call->rest, 400, "query_invalid", "dry_run is true or false");
    } else if (!json_is_object(body)) {
        rest_problem(&call->rest, 400, "deploy_invalid", "The body is a JSON object.");
    } else if (read_key(call, &request.key)) {
        call->job.deploy = (struct deploys_waiter){.done = on_told};
        deploys_begin(call->api->options.deploys, &request, &call->job.deploy);
    }
    json_decref(body);
}

void control_api_deploys(struct control_call *call)
{
    if (!is_ready(call))
        return;
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:o}", "deploys", deploys_list(call->api->options.deploys)));
}

void control_api_deploy(struct control_call *call)
{
    const char *id = text(call, call->rest.parts[0]);
    json_t *deploy;

    if (!is_ready(call))
        return;
    deploy = deploys_show(call->api->options.deploys, id);
    if (deploy)
        rest_reply_json(&call->rest, 200, deploy);
    else
        rest_problem(&call->rest, 404, "deploy_not_found", "There is no deploy \"%s\".", id);
}

static void say(struct control_call *call, const char *id, enum deploy_word word)
{
    char actor[DEPLOY_ACTOR_MAX];
    struct deploys_word said = {.id = id,
                                .word = word,
                                .actor = actor,
                                .may_approve = call->can >> CONF_CAN_APPROVE & 1};

    text_clean(actor, sizeof(actor), call->actor); // it is copied, and not cut within a character

    if (!is_ready(call))
        return;
    call->job.deploy = (struct deploys_waiter){.done = on_told};
    deploys_say(call->api->options.deploys, &said, &call->job.deploy);
}

void control_api_deploy_promote(struct control_call *call)
{
    say(call, text(call, call->rest.parts[0]), DEPLOY_SAYS_PROMOTE);
}

void control_api_deploy_approve(struct control_call *call)
{
    say(call, text(call, call->rest.parts[0]), DEPLOY_SAYS_APPROVE);
}

void control_api_deploy_abort(struct control_call *call)
{
    say(call, text(call, call->rest.parts[0]), DEPLOY_SAYS_ABORT);
}

void control_api_deploy_retry(struct control_call *call)
{
    say(call, text(call, call->rest.parts[0]), DEPLOY_SAYS_RETRY);
}

void control_api_rollback(struct control_call *call)
{
    json_t *body = call->rest.body.len ? json_loadb(call->rest.body.p, call->rest.body.len, 0, NULL)
                                       : json_object();
    const json_t *release = json_object_get(body, "release");
    struct deploys_return to = {
        .service = text(call, call->rest.parts[0]),
        .release = json_string_value(release),
        .actor = text(call, call->actor),
    };

    if (!json_is_object(body) || (release && !to.release)) {
        rest_problem(&call->rest, 400, "deploy_invalid",
                     "The body is empty, or a JSON object with \"release\" as text.");
    } else if (is_ready(call) && read_key(call, &to.key)) {
        call->job.deploy = (struct deploys_waiter){.done = on_told};
        deploys_return(call->api->options.deploys, &to, &call->job.deploy);
    }
    json_decref(body);
}
