/* SPDX-License-Identifier: Apache-2.0
 *
 * The API keys of all edges: one body for each of them, pushed until its edge says that it has that
 * revision by this control.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/edges_impl.h"

enum { CALL_MS = 5000, BYTES_PER_MS = 256, REFUSED_MS = 15000 };

void edges_put_keys(struct edges *edges, char *body, int64_t revision)
{
    free(edges->keys);
    edges->keys = body;
    edges->keys_revision = revision;
    edges->options.on_change(edges->options.owner);
}

bool edges_are_fleet(const struct edges *edges)
{
    for (uint32_t i = 0; i < edges->count; i++)
        if (!edges->items[i].is_own)
            return true;
    return false;
}

bool edges_has_keys(const struct edges *edges, uint32_t index, int64_t revision)
{
    const struct edge *edge = &edges->items[index];

    return edge->keys.epoch == store_epoch(edges->options.store) && edge->keys.revision >= revision;
}

bool edges_is_failing(const struct edges *edges, uint32_t index)
{
    return edge_is_failing(&edges->items[index]);
}

const char *edges_trouble(const struct edges *edges, uint32_t index)
{
    const struct edge *edge = &edges->items[index];

    return edge_is_failing(edge) ? edge->error : "it has not answered yet";
}

void edge_keys_take(struct edge *edge, const json_t *status)
{
    const json_t *said = json_object_get(json_object_get(status, "credentials"), "control");

    edge->keys.epoch = json_integer_value(json_object_get(said, "epoch"));
    edge->keys.revision = json_integer_value(json_object_get(said, "revision"));
}

bool edge_keys_are_due(const struct edge *edge, int64_t now_ms)
{
    const struct edges *edges = edge->edges;
    uint32_t index = (uint32_t)(edge - edges->items);

    return edges->keys && edges_are_fleet(edges) && now_ms >= edge->keys.again_ms &&
           !edges_has_keys(edges, index, edges->keys_revision);
}

static void on_pushed(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;

    edge->call = NULL;
    if (!reply->status) {
        edge_fail(edge, reply);
        return;
    }
    edge_succeed(edge);
    edge->keys.is_refused = reply->status != 200;
    if (edge->keys.is_refused) {
        edge->keys.again_ms = (int64_t)(clock_us() / 1000) + REFUSED_MS;
        edge_note_error(edge, reply);
        return;
    }
    edge->keys.epoch = store_epoch(edge->edges->options.store);
    edge->keys.revision = edge->keys.pushing;
    edge->edges->options.on_change(edge->edges->options.owner);
}

void edge_keys_push(struct edge *edge)
{
    const struct edges *edges = edge->edges;
    uint32_t timeout_ms = CALL_MS + (uint32_t)(strlen(edges->keys) / BYTES_PER_MS);
    struct edges_ask ask = {"PUT", "/api/v1/keys", edges->keys, timeout_ms, on_pushed, edge};

    edge->keys.pushing = edges->keys_revision;
    edge->call = edge_call(edge, &ask);
}
