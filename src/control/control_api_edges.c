/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/edges: which edges there are, and how they are. POST /api/v1/edges/NAME/forget: one
 * that is silent is not waited for any more.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "control/control_api_impl.h"
#include "control/journal.h"

void control_api_edges(struct control_call *call)
{
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:o}", "edges", edges_json(call->api->options.edges)));
}

static void on_put(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct control_call *call = CONTAINER_OF(put, struct control_call, job.put);

    store_put_free(put); // the call may be gone once it is answered
    if (status) {
        control_api_fail(call, job);
        return;
    }
    edges_forget(call->api->options.edges, put->documents[0].id);
    control_api_edges(call);
}

void control_api_edge_forget(struct control_call *call)
{
    struct str part = call->rest.parts[0];
    char name[STORE_NAME];
    const char *why = "there is no edge of that name";
    struct journal_entry entry;
    char actor[STORE_NAME];
    json_t *record;

    if ((size_t)snprintf(name, sizeof(name), "%.*s", STR_FMT(part)) < sizeof(name))
        why = edges_refuse_forget(call->api->options.edges, name);
    if (why) {
        rest_problem(&call->rest, 409, "edge_not_silent", "Edge \"%s\": %s.", name, why);
        return;
    }
    record = json_pack("{s:I,s:s%}", "time_ms", (json_int_t)clock_wall_ms(), "actor", call->actor.p,
                       call->actor.len);
    snprintf(actor, sizeof(actor), "%.*s", STR_FMT(call->actor));
    entry = (struct journal_entry){.actor = actor, .action = "edge.forget", .subject = name};
    call->job.put = (struct store_put){.job = {.done = on_put}};
    if (store_put_add(&call->job.put, edges_forgotten_kind, name, record) &&
        journal_add(&call->job.put.entries, &entry)) {
        store_put(call->api->options.store, &call->job.put);
    } else {
        store_put_free(&call->job.put);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    }
    json_decref(record);
}
