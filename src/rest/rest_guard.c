/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_guard.h"

#include "rest/token.h"

bool rest_guard_site(struct rest_call *call, const struct conf_admin *conf)
{
    struct str origin = head_value(&call->head, HDR_ORIGIN);
    struct str host = call->head.authority;
    struct rest_refused *refused = &call->server->refused;

    if (call->is_unix)
        return true;
    // A page that was led here by its own name cannot know a token.
    if (!token_host_is_ours(conf, host) &&
        !token_rights(conf, head_value(&call->head, HDR_AUTHORIZATION))) {
        refused->counts[REST_MISDIRECTED]++;
        rest_problem(call, 421, "misdirected",
                     "The admin port answers to an IP address, to localhost and to the name it is "
                     "bound to, not to \"%.*s\".",
                     STR_FMT(host));
        return false;
    }
    if (origin.p && !token_origin_is_same(origin, host)) {
        refused->counts[REST_CROSS_ORIGIN]++;
        rest_problem(call, 403, "cross_origin", "Calls from other sites are refused.");
        return false;
    }
    return true;
}

static void refuse_stranger(struct rest_call *call, enum rest_refusal why, const char *detail)
{
    call->server->refused.counts[why]++;
    rest_field(call, "WWW-Authenticate", "Bearer realm=\"sluice\"");
    rest_problem(call, 401, "unauthorized", "%s", detail);
}

bool rest_guard_identify(struct rest_call *call, const struct conf_admin *conf,
                         struct rest_asker *asker)
{
    struct str authorization = head_value(&call->head, HDR_AUTHORIZATION);

    *asker = (struct rest_asker){.can = 0};
    if (call->is_unix) {
        *asker = (struct rest_asker){UINT32_MAX, STR("socket")};
    } else if (authorization.p) {
        asker->can = token_rights(conf, authorization);
        asker->actor =
            arena_format(&call->arena, "token:%.*s", STR_FMT(token_name(conf, authorization)));
    } else if (call->is_loopback) {
        *asker = (struct rest_asker){1U << CONF_CAN_READ, STR("loopback")};
    }
    if (asker->can)
        return true;
    if (authorization.p)
        refuse_stranger(call, REST_TOKEN_UNKNOWN, "The token is not known.");
    else
        refuse_stranger(call, REST_TOKEN_MISSING,
                        "A token is needed: Authorization: Bearer TOKEN.");
    return false;
}

bool rest_guard_right(struct rest_call *call, const struct rest_asker *asker, enum conf_right right)
{
    static const char *const names[] = {"read", "operate", "deploy", "approve"};

    if (asker->can >> right & 1)
        return true;
    if (!head_find(&call->head, HDR_AUTHORIZATION)) {
        refuse_stranger(call, REST_TOKEN_MISSING,
                        "Without a token only reading is allowed over TCP; the unix socket of the "
                        "state directory needs none.");
        return false;
    }
    call->server->refused.counts[REST_FORBIDDEN]++;
    rest_problem(call, 403, "forbidden", "The token lacks the right \"%s\".", names[right]);
    return false;
}
