/* SPDX-License-Identifier: Apache-2.0
 *
 * For platforms and people: alive, ready, and the page.
 */
#include "edge/manager/api.h"

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
    rest_field(&call->rest, "Content-Security-Policy", "%s",
               "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
               "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    rest_reply(&call->rest, 200, "text/html; charset=utf-8", page_html());
}
