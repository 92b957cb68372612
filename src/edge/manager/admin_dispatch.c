/* SPDX-License-Identifier: Apache-2.0
 *
 * Which endpoint a call is for, and whether it may be asked: the table of the API. Refusals come in
 * this order: wrong host or origin, nobody we know, no such path, no such method, not enough
 * rights.
 */
#include <string.h>

#include "edge/manager/api.h"
#include "edge/manager/token.h"

enum { OPEN = 32 }; /* no right is needed */

struct place {
    enum method method;
    const char *path; /* a star stands for one segment */
    unsigned right;   /* enum conf_right, or OPEN */
    uint32_t body_max;
    void (*run)(struct admin_call *call);
    bool is_metrics; /* also served by the port for metrics */
};

#define READ(path, run)                                                                            \
    {                                                                                              \
        METHOD_GET, path, CONF_CAN_READ, ADMIN_BODY_SMALL, run, false                              \
    }
#define ACT(method, path, run)                                                                     \
    {                                                                                              \
        method, path, CONF_CAN_OPERATE, ADMIN_BODY_SMALL, run, false                               \
    }
#define DEPLOY(method, path, run)                                                                  \
    {                                                                                              \
        method, path, CONF_CAN_DEPLOY, ADMIN_BODY_SMALL, run, false                                \
    }
#define SERVICE "/api/v1/services/*"
#define TARGETS SERVICE "/targets"

static const struct place places[] = {
    {METHOD_GET, "/healthz", OPEN, ADMIN_BODY_SMALL, api_health, true},
    {METHOD_GET, "/readyz", OPEN, ADMIN_BODY_SMALL, api_ready, false},
    {METHOD_GET, "/metrics", CONF_CAN_READ, ADMIN_BODY_SMALL, api_metrics, true},
    READ("/", api_page),
    READ("/api/v1/status", api_status),
    READ("/api/v1/routes", api_routes),
    READ("/api/v1/requests/*", api_request_get),
    READ("/api/v1/events", events_follow),
    READ("/api/v1/config", api_config_get),
    {METHOD_PUT, "/api/v1/config", CONF_CAN_OPERATE, ADMIN_BODY_CONFIG, api_config_put, false},
    ACT(METHOD_POST, "/api/v1/config/confirm", api_config_confirm),
    ACT(METHOD_POST, "/api/v1/reload", api_reload),
    ACT(METHOD_POST, "/api/v1/upgrade", api_upgrade),
    READ("/api/v1/certificates", api_certificates_get),
    DEPLOY(METHOD_PUT, "/api/v1/certificates/*", api_certificates_put),
    DEPLOY(METHOD_DELETE, "/api/v1/certificates/*", api_certificates_remove),
    DEPLOY(METHOD_PUT, "/api/v1/challenges/*", api_challenge_put),
    DEPLOY(METHOD_DELETE, "/api/v1/challenges/*", api_challenge_remove),
    READ("/api/v1/shield", api_shield_get),
    ACT(METHOD_POST, "/api/v1/shield", api_shield_set),
    READ("/api/v1/keys", api_keys_list),
    ACT(METHOD_POST, "/api/v1/keys", api_keys_add),
    ACT(METHOD_DELETE, "/api/v1/keys/*", api_keys_revoke),
    ACT(METHOD_POST, SERVICE "/pause", api_mode_pause),
    ACT(METHOD_POST, SERVICE "/resume", api_mode_resume),
    ACT(METHOD_POST, SERVICE "/maintenance", api_mode_maintenance),
    DEPLOY(METHOD_PUT, SERVICE "/split", api_split_put),
    DEPLOY(METHOD_DELETE, SERVICE "/split", api_split_reset),
    READ("/api/v1/counters", api_counters),
    ACT(METHOD_POST, TARGETS, api_target_add),
    ACT(METHOD_DELETE, TARGETS "/*", api_target_remove),
    ACT(METHOD_POST, TARGETS "/*/drain", api_target_drain),
    ACT(METHOD_POST, TARGETS "/*/enable", api_target_enable),
};

static const char *const method_names[] = {
    [METHOD_GET] = "GET, HEAD",
    [METHOD_PUT] = "PUT",
    [METHOD_POST] = "POST",
    [METHOD_DELETE] = "DELETE",
};

/* --- who asks */

/* False: it was refused. */
static bool check_site(struct admin_call *call, const struct conf_admin *conf)
{
    struct str origin = head_value(&call->head, HDR_ORIGIN);
    struct str host = call->head.authority;

    if (call->conn->is_unix || call->conn->kind == LISTENING_METRICS)
        return true;
    // A page that was led here by its own name cannot know a token.
    if (!token_host_is_ours(conf, host) &&
        !token_rights(conf, head_value(&call->head, HDR_AUTHORIZATION))) {
        admin_problem(call, 421, "misdirected",
                      "The admin port answers to an IP address, to localhost and to the name it is "
                      "bound to, not to \"%.*s\".",
                      STR_FMT(host));
        return false;
    }
    if (origin.p && !token_origin_is_same(origin, host)) {
        admin_problem(call, 403, "cross_origin", "Calls from other sites are refused.");
        return false;
    }
    return true;
}

static void refuse_stranger(struct admin_call *call, const char *detail)
{
    admin_field(call, "WWW-Authenticate", "Bearer realm=\"sluice\"");
    admin_problem(call, 401, "unauthorized", "%s", detail);
}

/* Fills call->can. False: it was refused. */
static bool identify(struct admin_call *call, const struct conf_admin *conf)
{
    struct str authorization = head_value(&call->head, HDR_AUTHORIZATION);

    if (call->conn->is_unix) {
        call->can = UINT32_MAX;
    } else if (call->conn->kind == LISTENING_METRICS) {
        call->can = 1U << CONF_CAN_READ;
    } else if (authorization.p) {
        call->can = token_rights(conf, authorization);
    } else if (call->conn->is_loopback) {
        call->can = 1U << CONF_CAN_READ;
    }
    if (call->can)
        return true;
    refuse_stranger(call, authorization.p ? "The token is not known."
                                          : "A token is needed: Authorization: Bearer TOKEN.");
    return false;
}

static bool check_right(struct admin_call *call, const struct place *place)
{
    static const char *const names[] = {"read", "operate", "deploy", "approve"};

    if (call->can >> place->right & 1)
        return true;
    if (head_find(&call->head, HDR_AUTHORIZATION))
        admin_problem(call, 403, "forbidden", "The token lacks the right \"%s\".",
                      names[place->right]);
    else
        refuse_stranger(call, "Without a token only reading is allowed over TCP; the unix socket "
                              "of the state directory needs none.");
    return false;
}

/* --- what is asked */

/* Up to the next slash, which is left out. */
static struct str next_segment(struct str *path)
{
    const char *slash;
    struct str segment;

    path->p++;
    path->len--;
    slash = path->len ? memchr(path->p, '/', path->len) : NULL;
    segment = (struct str){path->p, slash ? (size_t)(slash - path->p) : path->len};
    path->p += segment.len;
    path->len -= segment.len;
    return segment;
}

static bool fits(const char *pattern, struct str path, struct str parts[ADMIN_PARTS])
{
    struct str left = {pattern, strlen(pattern)};
    unsigned stars = 0;

    while (left.len && path.len) {
        struct str want = next_segment(&left), have = next_segment(&path);

        if (want.len == 1 && *want.p == '*' && have.len)
            parts[stars++] = have;
        else if (want.len != have.len || (want.len && memcmp(want.p, have.p, want.len)))
            return false;
    }
    return !left.len && !path.len;
}

static bool fits_method(const struct place *place, enum method method)
{
    return place->method == method || (place->method == METHOD_GET && method == METHOD_HEAD);
}

/* The endpoint; NULL: it was refused. */
static const struct place *find(struct admin_call *call)
{
    struct str allowed = STR_NONE;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const struct place *at = &places[i];

        if (call->conn->kind == LISTENING_METRICS && !at->is_metrics)
            continue;
        if (call->head.form == TARGET_ASTERISK || !fits(at->path, call->head.path, call->parts))
            continue;
        if (fits_method(at, call->head.method))
            return at;
        allowed = arena_format(&call->arena, "%.*s%s%s", STR_FMT(allowed), allowed.len ? ", " : "",
                               method_names[at->method]);
    }
    if (allowed.len) {
        admin_field(call, "Allow", "%.*s", STR_FMT(allowed));
        admin_problem(call, 405, "method_not_allowed", "This path takes %.*s.", STR_FMT(allowed));
    } else {
        admin_problem(call, 404, "not_found", "There is no %.*s here.", STR_FMT(call->head.path));
    }
    return NULL;
}

/* An edge that drains changes nothing any more: a newer one has its files. */
static bool check_draining(struct admin_call *call, const struct place *place)
{
    if (!call->admin->manager->is_draining || place->method == METHOD_GET)
        return true;
    admin_problem(call, 503, "draining", "The gateway is shutting down.");
    return false;
}

bool admin_dispatch(struct admin_call *call)
{
    const struct conf_admin *conf = &manager_conf(call->admin->manager)->admin;
    const struct place *place;
    bool is_open = false;

    if (!check_site(call, conf))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        is_open |= places[i].right == OPEN && fits(places[i].path, call->head.path, call->parts);
    if (!is_open && !identify(call, conf))
        return false;
    place = find(call);
    if (!place || (place->right != OPEN && !check_right(call, place)) ||
        !check_draining(call, place))
        return false;
    for (unsigned i = 0; i < ADMIN_PARTS; i++)
        call->parts[i] = admin_decode(call, call->parts[i], false);
    call->body_max = place->body_max;
    call->run = place->run;
    return true;
}
