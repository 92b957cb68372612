/* SPDX-License-Identifier: Apache-2.0
 *
 * The text as the answer to a scrape.
 */
#include "rest/prometheus.h"
#include "rest/rest.h"

void prometheus_reply(struct prometheus *text, struct rest_call *call)
{
    if (text->is_failed)
        rest_problem(call, 503, "memory_limit", "Out of memory.");
    else
        rest_reply(call, 200, PROMETHEUS_CONTENT_TYPE, (struct str){text->p, text->len});
    prometheus_fini(text);
}
