/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/wakes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

enum { WAIT_S = 20, CALL_MS = 30 * 1000, PAUSE_MS = 1000, REFUSED_MS = 10 * 1000 };

struct edge_wakes {
    struct wakes *wakes;
    uint32_t index;
    struct outbound_call *call;
    json_int_t number;        /* of its last answer */
    int64_t due_ms, asked_ms; /* monotonic */
};

struct wakes {
    struct wakes_options options;
    struct edge_wakes *items;
    uint32_t count, version;
};

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

static void ask(struct edge_wakes *edge);

static void tell(const struct edge_wakes *edge, const json_t *services)
{
    const struct wakes_options *options = &edge->wakes->options;
    json_t *each;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)services, i, each)
    {
        json_int_t held = json_integer_value(json_object_get(each, "held"));
        struct wakes_ask ask = {
            .service = json_string_value(json_object_get(each, "name")),
            .edge = edge->index,
            .held = held < 0 || held > UINT32_MAX ? 0 : (uint32_t)held,
            .asked_ms = json_integer_value(json_object_get(each, "asked_ms")),
        };

        if (ask.service)
            options->on_wake(options->owner, &ask);
    }
}

static void on_answer(void *owner, const struct outbound_reply *reply)
{
    struct edge_wakes *edge = owner;
    json_t *body = NULL, *number;
    bool is_news;

    edge->call = NULL;
    edge->due_ms = now() + (reply->status / 100 == 4 ? REFUSED_MS : PAUSE_MS);
    if (reply->status == 200)
        body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    number = json_object_get(body, "number");
    if (!json_is_integer(number)) {
        edge->number = 0; // it may be another process that answers next
        json_decref(body);
        return;
    }
    is_news = edge->number != json_integer_value(number);
    edge->number = json_integer_value(number);
    tell(edge, json_object_get(body, "services"));
    json_decref(body);
    // One that does not wait is not asked at once.
    if (is_news || now() - edge->asked_ms >= PAUSE_MS)
        ask(edge);
}

static void ask(struct edge_wakes *edge)
{
    char path[96];

    snprintf(path, sizeof(path), "/api/v1/wakes?after=%lld&wait=%ds", (long long)edge->number,
             WAIT_S);
    edge->asked_ms = now();
    edge->call = edges_ask(edge->wakes->options.edges, edge->index,
                           &(struct edges_ask){.method = "GET",
                                               .path = path,
                                               .timeout_ms = CALL_MS,
                                               .done = on_answer,
                                               .owner = edge});
}

static void drop(struct wakes *wakes)
{
    for (uint32_t i = 0; i < wakes->count; i++)
        outbound_cancel(&wakes->items[i].call);
    free(wakes->items);
    wakes->items = NULL;
    wakes->count = 0;
}

static void match(struct wakes *wakes)
{
    const struct edges *edges = wakes->options.edges;

    if (wakes->items && wakes->version == edges_version(edges))
        return;
    drop(wakes);
    wakes->items = calloc(edges_count(edges) + 1u, sizeof(*wakes->items));
    if (!wakes->items)
        return;
    wakes->count = edges_count(edges);
    wakes->version = edges_version(edges);
    for (uint32_t i = 0; i < wakes->count; i++)
        wakes->items[i] = (struct edge_wakes){.wakes = wakes, .index = i};
}

void wakes_tick(struct wakes *wakes, int64_t now_ms)
{
    match(wakes);
    for (uint32_t i = 0; i < wakes->count; i++)
        if (!wakes->items[i].call && now_ms >= wakes->items[i].due_ms)
            ask(&wakes->items[i]);
}

struct wakes *wakes_new(const struct wakes_options *options)
{
    struct wakes *wakes = calloc(1, sizeof(*wakes));

    if (wakes)
        wakes->options = *options;
    return wakes;
}

void wakes_free(struct wakes **wakes)
{
    struct wakes *gone = *wakes;

    *wakes = NULL;
    if (!gone)
        return;
    drop(gone);
    free(gone);
}
