/* SPDX-License-Identifier: Apache-2.0
 *
 * For platforms and people: alive, ready, and the page.
 */
#include "edge/manager/api.h"

void api_health(struct admin_call *call)
{
    admin_reply(call, 200, "text/plain", STR("ok\n"));
}

void api_ready(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;

    if (m->is_draining)
        admin_problem(call, 503, "draining", "The gateway is shutting down.");
    else if (!m->is_ready)
        admin_problem(call, 503, "starting", "The gateway is starting.");
    else
        admin_reply(call, 200, "text/plain", STR("ready\n"));
}

void api_page(struct admin_call *call)
{
    admin_field(call, "Content-Security-Policy", "%s",
                "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    admin_reply(call, 200, "text/html; charset=utf-8", page_html());
}
