/* SPDX-License-Identifier: Apache-2.0
 *
 * Which endpoint a call is for, and whether it may be asked: the table of the API. Refusals come in
 * this order: wrong host or origin, nobody we know, no such path, no such method, not enough
 * rights.
 */
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"
#include "edge/manager/api_keys.h"
#include "edge/manager/api_wakes.h"
#include "rest/rest_guard.h"

enum { OPEN = 32 }; /* no right is needed */

struct place {
    struct rest_place at;
    unsigned right; /* enum conf_right, or OPEN */
    uint32_t body_max;
    void (*run)(struct admin_call *call);
};

#define BOTH (1U << LISTENING_ADMIN | 1U << LISTENING_METRICS)
#define READ(path, run)                                                                            \
    {                                                                                              \
        {METHOD_GET, path, 1U << LISTENING_ADMIN}, CONF_CAN_READ, ADMIN_BODY_SMALL, run            \
    }
#define ACT(method, path, run)                                                                     \
    {                                                                                              \
        {method, path, 1U << LISTENING_ADMIN}, CONF_CAN_OPERATE, ADMIN_BODY_SMALL, run             \
    }
#define DEPLOY(method, path, run)                                                                  \
    {                                                                                              \
        {method, path, 1U << LISTENING_ADMIN}, CONF_CAN_DEPLOY, ADMIN_BODY_SMALL, run              \
    }
#define SESSION(method, run)                                                                       \
    {                                                                                              \
        {METHOD_##method, "/api/v1/session", 1U << LISTENING_ADMIN}, OPEN, ADMIN_BODY_SMALL, run   \
    }
#define SERVICE "/api/v1/services/*"
#define TARGETS SERVICE "/targets"

#define CONTROL(method, path, right, run)                                                          \
    {{METHOD_##method, path, 1U << LISTENING_ADMIN}, CONF_CAN_##right, ADMIN_BODY_SMALL, api_pass},

#define FLEET(method, path, right, control, edge)                                                  \
    {{METHOD_##method, path, 1U << LISTENING_ADMIN}, CONF_CAN_##right, ADMIN_BODY_SMALL, edge},

static const struct place places[] = {
    {{METHOD_GET, "/healthz", BOTH}, OPEN, ADMIN_BODY_SMALL, api_health},
    {{METHOD_GET, "/readyz", 1U << LISTENING_ADMIN}, OPEN, ADMIN_BODY_SMALL, api_ready},
    {{METHOD_GET, "/metrics", BOTH}, CONF_CAN_READ, ADMIN_BODY_SMALL, api_metrics},
    {{METHOD_GET, "/metrics/control", 1U << LISTENING_METRICS},
     CONF_CAN_READ,
     ADMIN_BODY_SMALL,
     api_pass},
    {{METHOD_GET, "/", 1U << LISTENING_ADMIN}, OPEN, ADMIN_BODY_SMALL, api_page},
    {{METHOD_GET, "/page/*", 1U << LISTENING_ADMIN}, OPEN, ADMIN_BODY_SMALL, api_page},
    SESSION(GET, api_session_get),
    SESSION(POST, api_session_begin),
    SESSION(DELETE, api_session_end),
    READ("/api/v1/status", api_status),
    READ("/api/v1/routes", api_routes),
    READ("/api/v1/requests/*", api_request_get),
    READ("/api/v1/events", events_follow),
    DEPLOY(METHOD_GET, "/api/v1/changes", api_changes_get),
    DEPLOY(METHOD_GET, "/api/v1/wakes", api_wakes_get),
    DEPLOY(METHOD_GET, "/api/v1/spans", api_spans_get),
    READ("/api/v1/config", api_config_get),
    {{METHOD_PUT, "/api/v1/config", 1U << LISTENING_ADMIN},
     CONF_CAN_OPERATE,
     ADMIN_BODY_CONFIG,
     api_config_put},
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
    {{METHOD_PUT, "/api/v1/keys", 1U << LISTENING_ADMIN},
     CONF_CAN_DEPLOY,
     ADMIN_BODY_KEYS,
     api_keys_put},
    ACT(METHOD_POST, SERVICE "/pause", api_mode_pause),
    ACT(METHOD_POST, SERVICE "/resume", api_mode_resume),
    ACT(METHOD_POST, SERVICE "/maintenance", api_mode_maintenance),
    {{METHOD_PUT, SERVICE "/releases", 1U << LISTENING_ADMIN},
     CONF_CAN_DEPLOY,
     ADMIN_BODY_CONFIG,
     api_releases_put},
    READ("/api/v1/counters", api_counters),
    DEPLOY(METHOD_POST, SERVICE "/probe", api_probe),
    ACT(METHOD_POST, TARGETS, api_target_add),
    ACT(METHOD_DELETE, TARGETS "/*", api_target_remove),
    ACT(METHOD_POST, TARGETS "/*/drain", api_target_drain),
    ACT(METHOD_POST, TARGETS "/*/enable", api_target_enable),
#include "rest/control.def"
#include "rest/fleet.def"
};

/* --- who asks */

/* Fills call->can and call->actor. False: it was refused. */
static bool identify(struct admin_call *call, const struct conf_admin *conf)
{
    struct rest_asker asker = {.can = 1U << CONF_CAN_READ, .actor = STR("metrics")};

    if (call->rest.tag != LISTENING_METRICS && !rest_guard_identify(&call->rest, conf, &asker))
        return false;
    call->can = asker.can;
    call->actor = asker.actor;
    return true;
}

static bool check_right(struct admin_call *call, const struct place *place)
{
    const struct rest_asker asker = {.can = call->can, .actor = call->actor};

    return place->right == OPEN ||
           rest_guard_right(&call->rest, &asker, (enum conf_right)place->right);
}

/* An edge that drains changes nothing any more: a newer one has its files. */
static bool check_draining(struct admin_call *call, const struct place *place)
{
    if (!call->admin->manager->is_draining || place->at.method == METHOD_GET)
        return true;
    rest_problem(&call->rest, 503, "draining", "The gateway is shutting down.");
    return false;
}

bool admin_dispatch(struct rest_call *rest)
{
    static const struct rest_table table = {places, sizeof(*places), ARRAY_LEN(places)};

    struct admin_call *call = admin_call_of(rest);
    const struct conf_admin *conf = &manager_conf(call->admin->manager)->admin;
    const struct place *place;
    bool is_open = false;

    if (rest->tag != LISTENING_METRICS && !rest_guard_site(rest, conf))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        is_open |= places[i].right == OPEN && rest_path_fits(rest, &places[i].at);
    if (!is_open && !identify(call, conf))
        return false;
    place = rest_find(rest, &table);
    if (!place || !check_right(call, place) || !check_draining(call, place))
        return false;
    rest->body_max = place->body_max;
    call->run = place->run;
    return true;
}

void admin_run(struct rest_call *rest)
{
    struct admin_call *call = admin_call_of(rest);

    call->run(call);
}
