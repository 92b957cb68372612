/* SPDX-License-Identifier: Apache-2.0
 *
 * /api/v1/keys of a fleet: made and shown that once, listed, revoked. Answered when every edge that
 * is waited for has it; else 202, with `lacking` to say which have not and why.
 */
#include <string.h>

#include "base/clock.h"
#include "control/control_api_impl.h"

static void refuse_unknown(struct control_call *call)
{
    struct str id = call->rest.parts[0];

    rest_problem(&call->rest, 404, "key_not_found", "There is no key \"%.*s\".", STR_FMT(id));
}

static void refuse(struct control_call *call, enum status status)
{
    switch ((int)status) {
    case E_AGAIN:
        control_api_refuse_early(call);
        break;
    case E_NOT_FOUND:
        refuse_unknown(call);
        break;
    case E_FULL:
        rest_problem(&call->rest, 422, "too_many_keys",
                     "There are at most %d keys, with names of some 32 MiB in all.", API_KEY_MAX);
        break;
    case E_IO:
        control_api_fail(call, &call->job.key.put.job);
        break;
    default:
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    }
}

void control_api_refuse_early(struct control_call *call)
{
    rest_field(&call->rest, "Retry-After", "1");
    rest_problem(&call->rest, 503, "control_starting", "Control is starting: try again.");
}

void control_api_reply_spread(struct control_call *call, unsigned status, json_t *json,
                              json_t *lacking)
{
    if (json && lacking)
        json_object_set_new(json, "lacking", lacking);
    rest_reply_json(&call->rest, json && lacking ? 202 : status, json);
}

/* --- adding */

static void on_added(struct key_set_change *change, enum status status, json_t *lacking)
{
    struct control_call *call = CONTAINER_OF(change, struct control_call, job.key);

    if (status)
        refuse(call, status);
    else
        control_api_reply_spread(call, 201, key_entry_answer(&change->entry, call->key), lacking);
}

/* The texts of a wish end with its JSON. False: memory, or no randomness. */
static bool grant(struct control_call *call, const struct key_wish *said)
{
    struct key_wish wish = {arena_copy(&call->rest.arena, said->consumer),
                            said->tier.p ? arena_copy(&call->rest.arena, said->tier) : STR_NONE,
                            said->expires_in_ms};
    struct str actor = arena_copy(&call->rest.arena, call->actor);
    struct key_set_change *change = &call->job.key;

    *change = (struct key_set_change){.actor = actor.p, .done = on_added};
    if (!actor.p || !wish.consumer.p || (said->tier.p && !wish.tier.p) ||
        !key_wish_grant(&wish, clock_wall_ms(), call->key, &change->entry))
        return false;
    key_entry_id(&change->entry, change->id);
    return true;
}

void control_api_key_add(struct control_call *call)
{
    struct key_wish wish;
    json_t *json;
    const char *wrong =
        key_wish_read((struct str){call->rest.body.p, call->rest.body.len}, &json, &wish);

    if (wrong)
        rest_problem(&call->rest, json ? 422 : 400, "key_invalid", "%s", wrong);
    else if (grant(call, &wish))
        key_set_change(call->api->options.keys, &call->job.key);
    else
        refuse(call, E_NOMEM);
    json_decref(json);
}

/* --- listing, revoking */

void control_api_keys(struct control_call *call)
{
    json_t *list = key_set_json(call->api->options.keys);

    if (list)
        rest_reply_json(&call->rest, 200, json_pack("{s:o}", "keys", list));
    else
        control_api_refuse_early(call);
}

static void on_revoked(struct key_set_change *change, enum status status, json_t *lacking)
{
    struct control_call *call = CONTAINER_OF(change, struct control_call, job.key);

    if (status)
        refuse(call, status);
    else
        control_api_reply_spread(call, 200, json_pack("{s:s}", "id", change->id), lacking);
}

void control_api_key_revoke(struct control_call *call)
{
    struct str id = call->rest.parts[0], actor = arena_copy(&call->rest.arena, call->actor);
    struct key_set_change *change = &call->job.key;

    if (id.len != API_KEY_ID) {
        refuse_unknown(call);
        return;
    }
    if (!actor.p) {
        refuse(call, E_NOMEM);
        return;
    }
    *change = (struct key_set_change){.actor = actor.p, .is_revoked = true, .done = on_revoked};
    memcpy(change->id, id.p, API_KEY_ID);
    key_set_change(call->api->options.keys, change);
}
