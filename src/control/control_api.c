/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_api_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/say.h"
#include "control/scale/scaler.h"
#include "rest/rest_diag.h"

enum { CONNECTIONS_MAX = 64, CONNECTIONS_KEPT = 8, BODY_MAX = 64 * 1024 };
enum { OPEN = 32 }; /* no right is needed */

struct place {
    struct rest_place at;
    unsigned right;
    void (*run)(struct control_call *call);
};

#define OWN (1U << CONTROL_OWN_DOOR)
#define BOTH (1U << CONTROL_EDGE_DOOR | OWN)
#define CONTROL(method, path, right, run) {{METHOD_##method, path, BOTH}, CONF_CAN_##right, run},

#define FLEET(method, path, right, run, edge) CONTROL(method, path, right, run)

static const struct place places[] = {
    {{METHOD_GET, "/healthz", OWN}, OPEN, control_api_alive},
    {{METHOD_GET, "/readyz", OWN}, OPEN, control_api_ready},
    {{METHOD_GET, "/", OWN}, OPEN, control_api_page},
    {{METHOD_GET, "/page/*", OWN}, OPEN, control_api_page},
    {{METHOD_GET, "/api/v1/session", OWN}, OPEN, control_api_session_get},
    {{METHOD_POST, "/api/v1/session", OWN}, OPEN, control_api_session_begin},
    {{METHOD_DELETE, "/api/v1/session", OWN}, OPEN, control_api_session_end},
    {{METHOD_POST, "/api/v1/reload", OWN}, CONF_CAN_OPERATE, control_api_reload},
#include "rest/control.def"
#include "rest/fleet.def"
};

/* --- calls */

/* What the edge says of whoever asks. False: it says nothing, so it is no edge. */
static bool identify(struct control_call *call)
{
    struct str rights = head_value_name(&call->rest.head, STR("sluice-rights"));

    call->actor = head_value_name(&call->rest.head, STR("sluice-actor"));
    for (size_t i = 0; i < rights.len; i++) {
        if (rights.p[i] < '0' || rights.p[i] > '9')
            return false;
        call->can = call->can * 10 + (uint32_t)(rights.p[i] - '0');
    }
    return call->actor.len && rights.len && rights.len <= 10;
}

static bool is_open(struct rest_call *rest)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (places[i].right == OPEN && (places[i].at.tags >> rest->tag & 1) &&
            rest_path_fits(rest, &places[i].at))
            return true;
    return false;
}

/* Fills call->can and call->actor, unless what is asked is open. False: it was refused. */
static bool admit(struct control_call *call)
{
    if (call->rest.tag == CONTROL_OWN_DOOR)
        return control_api_admit(call, is_open(&call->rest));
    if (identify(call))
        return true;
    rest_problem(&call->rest, 403, "forbidden", "Control answers the gateway's admin port alone.");
    return false;
}

static bool dispatch(struct rest_call *rest)
{
    static const struct rest_table table = {places, sizeof(*places), ARRAY_LEN(places)};

    struct control_call *call = CONTAINER_OF(rest, struct control_call, rest);
    const struct place *place;

    call->api = rest->server->options.owner;
    if (!admit(call))
        return false;
    place = rest_find(rest, &table);
    if (!place ||
        (place->right != OPEN && !control_api_permit(call, (enum conf_right)place->right)))
        return false;
    rest->body_max = BODY_MAX;
    call->run = place->run;
    return true;
}

static void run(struct rest_call *rest)
{
    struct control_call *call = CONTAINER_OF(rest, struct control_call, rest);

    call->run(call);
}

static void drop(struct rest_call *rest)
{
    (void)rest; // all of it is in the arena
}

void control_api_status(struct control_call *call)
{
    const struct control_api *api = call->api;
    const char *error = store_error(api->options.store);
    json_t *json =
        json_pack("{s:s,s:i,s:I,s:I,s:o,s:o,s:o}", "version", SLUICE_VERSION, "pid", (int)getpid(),
                  "uptime_s", (json_int_t)((clock_wall_ms() - api->started_ms) / 1000), "epoch",
                  (json_int_t)store_epoch(api->options.store), "edges",
                  edges_json(api->options.edges), "services", scaler_json(api->options.deploys),
                  "notices", notices_json(api->options.notices));
    json_t *backup = backups_json(api->options.backups);

    json_object_set_new(json, "slo", slo_json(api->options.slo));
    json_object_set_new(json, "traces", spans_json(api->options.spans));
    json_object_set_new(json, "backup", backup ? backup : json_null());
    json_object_set_new(json, "store_error", error ? json_string(error) : json_null());
    rest_reply_json(&call->rest, 200, json);
}

void control_api_reload(struct control_call *call)
{
    const struct control_api_options *options = &call->api->options;
    struct diag diag;

    diag_init(&diag, &call->rest.arena);
    if (!options->reload(options->owner, &call->rest.arena, &diag))
        rest_diag_problem(&call->rest, 422, "config_invalid", &diag);
    else
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:b,s:o}", "ok", 1, "warnings", rest_diag_json(&diag)));
}

void control_api_fail(struct control_call *call, const struct store_job *job)
{
    rest_field(&call->rest, "Retry-After", "2");
    rest_problem(&call->rest, 503, "store_failed", "Control's store failed: %s.", job->error);
}

/* --- life */

/* So that nobody waits at a door where nobody is. */
static void take_away(const struct control_api *api)
{
    char path[PATH_MAX];

    if (api->serves_edge &&
        snprintf(path, sizeof(path), "%s/control.sock", api->options.state) < (int)sizeof(path))
        unlink(path);
}

static void listen_for_edge(struct control_api *api)
{
    char bind[REST_BIND];

    if (snprintf(bind, sizeof(bind), "unix:%s/control.sock", api->options.state) >=
        (int)sizeof(bind))
        say_line("the path of the state directory is too long for a socket in it");
    else
        api->serves_edge = control_api_serve(api, bind, CONTROL_EDGE_DOOR);
}

struct control_api *control_api_new(const struct control_api_options *options)
{
    struct control_api *api = calloc(1, sizeof(*api));

    if (!api)
        return NULL;
    api->options = *options;
    api->started_ms = clock_wall_ms();
    rest_server_init(&api->server, &(struct rest_options){.loop = options->loop,
                                                          .connections_max = CONNECTIONS_MAX,
                                                          .connections_kept = CONNECTIONS_KEPT,
                                                          .call_size = sizeof(struct control_call),
                                                          .dispatch = dispatch,
                                                          .run = run,
                                                          .drop = drop,
                                                          .owner = api,
                                                          .who = "control"});
    arena_init(&api->doors.arena, NULL, 0);
    listen_for_edge(api);
    return api;
}

void control_api_tick(struct control_api *api)
{
    rest_server_tick(&api->server);
}

void control_api_close(struct control_api *api)
{
    take_away(api);
    control_api_shut(api);
    rest_server_close(&api->server);
}

void control_api_free(struct control_api **api)
{
    struct control_api *gone = *api;

    *api = NULL;
    if (!gone)
        return;
    rest_server_fini(&gone->server);
    arena_reset(&gone->doors.arena);
    free(gone);
}
