/* SPDX-License-Identifier: Apache-2.0
 *
 * For platforms and people: alive, ready, the dashboard, and signing in to it.
 */
#include "edge/manager/api.h"
#include "rest/page.h"
#include "rest/rest_session.h"

void api_health(struct admin_call *call)
{
    rest_reply(&call->rest, 200, "text/plain", STR("ok\n"));
}

void api_ready(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;

    if (m->is_draining)
        rest_problem(&call->rest, 503, "draining", "The gateway is shutting down.");
    else if (!m->is_ready)
        rest_problem(&call->rest, 503, "starting", "The gateway is starting.");
    else
        rest_reply(&call->rest, 200, "text/plain", STR("ready\n"));
}

void api_page(struct admin_call *call)
{
    page_serve(&call->rest, call->rest.parts[0]);
}

static const struct conf_admin *conf_of(const struct admin_call *call)
{
    return &manager_conf(call->admin->manager)->admin;
}

void api_session_get(struct admin_call *call)
{
    rest_session_show(&call->rest, conf_of(call));
}

void api_session_begin(struct admin_call *call)
{
    rest_session_begin(&call->rest, conf_of(call));
}

void api_session_end(struct admin_call *call)
{
    rest_session_end(&call->rest, conf_of(call));
}
