/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_guard.h"

#include <string.h>

#include "rest/rest_session.h"
#include "rest/token.h"

static bool begins(struct str text, struct str with)
{
    return text.len >= with.len && !memcmp(text.p, with.p, with.len);
}

/* Shows nothing to whoever has no token. */
static bool is_for_all(const struct rest_call *call)
{
    struct str path = call->head.path;

    return str_same(path, STR("/")) || begins(path, STR("/page/")) ||
           str_same(path, STR("/api/v1/session"));
}

/* Led here by whatever name, a page of somebody else's cannot know a token, nor has it a cookie of
 * that name. */
static bool proves_itself(struct rest_call *call, const struct conf_admin *conf)
{
    return token_rights(conf, head_value(&call->head, HDR_AUTHORIZATION)) ||
           rest_session_of(call, conf).can;
}

bool rest_guard_site(struct rest_call *call, const struct conf_admin *conf)
{
    struct str origin = head_value(&call->head, HDR_ORIGIN);
    struct str host = call->head.authority;
    struct rest_refused *refused = &call->server->refused;

    if (call->is_unix)
        return true;
    if (!token_host_is_ours(conf, host) && !is_for_all(call) && !proves_itself(call, conf)) {
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

void rest_guard_know(struct rest_call *call, const struct conf_admin *conf,
                     struct rest_asker *asker)
{
    struct str authorization = head_value(&call->head, HDR_AUTHORIZATION), name;

    *asker = (struct rest_asker){.can = 0};
    if (call->is_unix) {
        asker->can = UINT32_MAX;
        asker->actor = STR("socket");
        return;
    }
    if (authorization.p) {
        asker->can = token_rights(conf, authorization);
        name = token_name(conf, authorization);
    } else {
        asker->session = rest_session_of(call, conf);
        asker->can = asker->session.can;
        name = asker->session.name;
    }
    if (asker->can) {
        asker->actor = arena_format(&call->arena, "token:%.*s", STR_FMT(name));
    } else if (!authorization.p && call->is_loopback &&
               token_host_is_ours(conf, call->head.authority)) {
        asker->can = 1U << CONF_CAN_READ;
        asker->actor = STR("loopback");
    }
}

bool rest_guard_origin(struct rest_call *call)
{
    if (head_find(&call->head, HDR_ORIGIN))
        return true; // of this site, as rest_guard_site() has seen
    call->server->refused.counts[REST_CROSS_ORIGIN]++;
    rest_problem(call, 403, "cross_origin",
                 "By cookie only a page of this gateway may change something: it says so in "
                 "Origin.");
    return false;
}

bool rest_guard_identify(struct rest_call *call, const struct conf_admin *conf,
                         struct rest_asker *asker)
{
    enum method method = call->head.method;

    rest_guard_know(call, conf, asker);
    if (asker->session.can && method != METHOD_GET && method != METHOD_HEAD)
        return rest_guard_origin(call);
    if (asker->can)
        return true;
    if (head_find(&call->head, HDR_AUTHORIZATION))
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
    if (!begins(asker->actor, STR("token:"))) {
        refuse_stranger(call, REST_TOKEN_MISSING,
                        "Without a token only reading is allowed over TCP; the unix socket of the "
                        "state directory needs none.");
        return false;
    }
    call->server->refused.counts[REST_FORBIDDEN]++;
    rest_problem(call, 403, "forbidden", "The token lacks the right \"%s\".", names[right]);
    return false;
}
