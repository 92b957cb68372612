/* SPDX-License-Identifier: Apache-2.0
 *
 * What control answers is passed on to its socket in the state directory, with who asks. Nothing of
 * the client's own header can say that, since all of it but a few fields stays here.
 */
#include <limits.h>
#include <stdio.h>

#include "edge/manager/api.h"
#include "rest/relay.h"

/* Calls at a time are fewer than connections: a control that is stuck keeps nobody from the rest.
 * Control sends something every 15 seconds while it streams. Before a change begins it asks the
 * platform, which may take a while. */
enum { LOOK_MS = 10 * 1000, CHANGE_MS = 60 * 1000, IDLE_MS = 60 * 1000, MOST = 24 };

static void refuse(struct rest_call *rest, const char *why)
{
    const struct manager *m = admin_call_of(rest)->admin->manager;

    bool is_alone = manager_conf(m)->role == CONF_ROLE_EDGE;

    rest_field(rest, "Retry-After", "2");
    rest_problem(rest, 503, "control_unavailable", "The control process %s. %s", why,
                 is_alone ? "This gateway has `role: edge`: ask where control runs."
                          : "Requests are served on; the log says more.");
}

bool api_is_in_command(const struct manager *m)
{
    const struct conf *conf = manager_conf(m);

    return conf->role == CONF_ROLE_ALL && conf->control.edge_count;
}

void api_pass(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;
    bool is_look = call->rest.head.method == METHOD_GET;
    struct rest_relay_options options = {.head_ms = is_look ? LOOK_MS : CHANGE_MS,
                                         .idle_ms = IDLE_MS,
                                         .most = MOST,
                                         .refuse = refuse};
    char socket[PATH_MAX + sizeof("/control.sock")];

    snprintf(socket, sizeof(socket), "%s/control.sock", m->state_dir);
    options.socket = socket;
    options.fields = arena_format(&call->rest.arena, "Sluice-Actor: %.*s\r\nSluice-Rights: %u\r\n",
                                  STR_FMT(call->actor), call->can);
    rest_relay(&call->rest, &options);
}
