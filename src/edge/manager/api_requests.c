/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/requests/ID: why that request went where it went, as far as a worker remembers it.
 */
#include <jansson.h>

#include "edge/manager/api.h"
#include "edge/metric/trail.h"

/* The newest of all workers; which one that is, its time says. */
static json_t *recall(const struct manager *m, struct str id)
{
    char text[TRAIL_TEXT_MAX];
    json_t *newest = NULL;
    uint64_t when;

    for (unsigned w = 0; w < m->worker_count; w++) {
        struct str found = worker_recall(m->workers[w], id, text, &when);
        json_t *json = found.p ? json_loadb(found.p, found.len, 0, NULL) : NULL;

        if (!json)
            continue;
        if (newest && json_integer_value(json_object_get(newest, "time_ms")) >
                          json_integer_value(json_object_get(json, "time_ms"))) {
            json_decref(json);
            continue;
        }
        json_decref(newest);
        newest = json;
    }
    return newest;
}

void api_request_get(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;
    struct str id = call->rest.parts[0];
    json_t *json = recall(m, id);

    if (json)
        rest_reply_json(&call->rest, 200, json);
    else
        rest_problem(&call->rest, 404, "request_not_found",
                     "Nothing is remembered of a request \"%.*s\": of good ones a sample is "
                     "(log.why), of refusals and failures the newest %d of each worker.",
                     STR_FMT(id), TRAIL_KEPT);
}
