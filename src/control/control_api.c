/* SPDX-License-Identifier: Apache-2.0 */
#include "control/control_api_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/say.h"
#include "control/scale/scaler.h"
#include "process/bind.h"

enum { CONNECTIONS_MAX = 64, BODY_MAX = 64 * 1024 };
enum { TAG_EDGE, TAG_OWNER };

struct place {
    struct rest_place at;
    unsigned right;
    void (*run)(struct control_call *call);
};

#define CONTROL(method, path, right, run)                                                          \
    {{METHOD_##method, path, 1 << TAG_EDGE | 1 << TAG_OWNER}, CONF_CAN_##right, run},

static const struct place places[] = {
#include "rest/control.def"
};

/* --- calls */

/* What the edge says of whoever asks. False: it says nothing, so it is no edge. */
static bool identify(struct control_call *call)
{
    struct str rights = head_value_name(&call->rest.head, STR("sluice-rights"));

    if (call->rest.tag == TAG_OWNER) {
        call->actor = STR("socket");
        call->can = UINT32_MAX;
        return true;
    }
    call->actor = head_value_name(&call->rest.head, STR("sluice-actor"));
    for (size_t i = 0; i < rights.len; i++) {
        if (rights.p[i] < '0' || rights.p[i] > '9')
            return false;
        call->can = call->can * 10 + (uint32_t)(rights.p[i] - '0');
    }
    return call->actor.len && rights.len && rights.len <= 10;
}

static bool dispatch(struct rest_call *rest)
{
    static const struct rest_table table = {places, sizeof(*places), ARRAY_LEN(places)};

    struct control_call *call = CONTAINER_OF(rest, struct control_call, rest);
    const struct place *place;

    call->api = rest->server->options.owner;
    if (!identify(call)) {
        rest_problem(rest, 403, "forbidden", "Control answers the gateway's admin port alone.");
        return false;
    }
    place = rest_find(rest, &table);
    if (!place)
        return false;
    if (!(call->can >> place->right & 1)) {
        rest_problem(rest, 403, "forbidden", "Whoever asks lacks the right.");
        return false;
    }
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
        json_pack("{s:s,s:i,s:I,s:I,s:o,s:o}", "version", SLUICE_VERSION, "pid", (int)getpid(),
                  "uptime_s", (json_int_t)((clock_wall_ms() - api->started_ms) / 1000), "epoch",
                  (json_int_t)store_epoch(api->options.store), "edges",
                  edges_json(api->options.edges), "services", scaler_json(api->options.deploys));

    json_object_set_new(json, "store_error", error ? json_string(error) : json_null());
    rest_reply_json(&call->rest, 200, json);
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

    if (api->server.ports &&
        snprintf(path, sizeof(path), "%s/control.sock", api->options.state) < (int)sizeof(path))
        unlink(path);
    if (api->options.owner_socket)
        unlink(api->options.owner_socket);
}

static void listen_at(struct control_api *api, const char *bind, unsigned tag)
{
    struct bind_options options = {.is_admin = true, .uid = geteuid(), .gid = getegid()};
    struct bind_address address;
    const char *why = NULL;
    int fd;

    if (bind_parse(bind, &address, &why))
        say_line("cannot serve at %s: %s", bind, why);
    else if (bind_open(&address, &options, &fd))
        say_line("cannot serve at %s: %m", bind);
    else if (!rest_server_listen(&api->server, bind, tag, fd))
        say_line("cannot serve at %s", bind);
}

static void open_doors(struct control_api *api)
{
    const char *owner = api->options.owner_socket;
    char bind[REST_BIND];

    if (snprintf(bind, sizeof(bind), "unix:%s/control.sock", api->options.state) <
        (int)sizeof(bind))
        listen_at(api, bind, TAG_EDGE);
    else
        say_line("the path of the state directory is too long for a socket in it");
    if (owner && snprintf(bind, sizeof(bind), "unix:%s", owner) < (int)sizeof(bind))
        listen_at(api, bind, TAG_OWNER);
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
                                                          .call_size = sizeof(struct control_call),
                                                          .dispatch = dispatch,
                                                          .run = run,
                                                          .drop = drop,
                                                          .owner = api});
    open_doors(api);
    return api;
}

void control_api_tick(struct control_api *api)
{
    rest_server_tick(&api->server);
}

void control_api_close(struct control_api *api)
{
    take_away(api);
    rest_server_close(&api->server);
}

void control_api_free(struct control_api **api)
{
    struct control_api *gone = *api;

    *api = NULL;
    if (!gone)
        return;
    rest_server_fini(&gone->server);
    free(gone);
}
