/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_MS = 1000, ASK_TIMEOUT_MS = 2000, APART_MAX_MS = 60 * 1000 };

/* {NAME: {"arrivals", "in_flight", "held"}} as an edge told; NULL: it did not. */
struct edge_meter {
    uint32_t index;
    struct meter *meter;
    struct outbound_call *call;
    json_t *before, *now;
    json_int_t before_ms, now_ms; /* when it had counted so, by its own clock */
    json_int_t instance, number;  /* the process that it is; of its last answer */
    bool is_other;                /* `before` is of another process */
};

struct meter {
    struct edges *edges;
    struct edge_meter *items;
    uint32_t count, version;
    int64_t begun_ms; /* of the round that runs; 0: none does */
    double span_s;    /* of it, so far */
};

/* --- one edge */

static json_t *by_name(const json_t *list)
{
    json_t *found = json_object(), *each;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)list, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "service"));

        if (name)
            json_object_set(found, name, each);
    }
    return found;
}

static void on_counters(void *owner, const struct outbound_reply *reply)
{
    struct edge_meter *edge = owner;
    json_t *body = NULL, *services;
    json_int_t instance;

    edge->call = NULL;
    if (reply->status == 200)
        body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    services = json_object_get(body, "services");
    if (json_is_array(services)) {
        instance = json_integer_value(json_object_get(body, "instance"));
        edge->is_other = edge->instance != instance;
        edge->instance = instance;
        edge->number = json_integer_value(json_object_get(body, "number"));
        json_decref(edge->now);
        edge->now = by_name(services);
        edge->now_ms = json_integer_value(json_object_get(body, "at_ms"));
    }
    json_decref(body);
}

static void ask(struct edge_meter *edge)
{
    char path[80];

    snprintf(path, sizeof(path), "/api/v1/counters?since=%lld", (long long)edge->number);
    edge->call = edges_ask(edge->meter->edges, edge->index,
                           &(struct edges_ask){.method = "GET",
                                               .path = path,
                                               .timeout_ms = ASK_TIMEOUT_MS,
                                               .done = on_counters,
                                               .owner = edge});
}

/* What was told becomes what was told before. */
static void settle(struct edge_meter *edge)
{
    if (!edge->now)
        return;
    json_decref(edge->before);
    edge->before = edge->now;
    edge->before_ms = edge->now_ms;
    edge->now = NULL;
}

/* --- all */

static void drop(struct meter *meter)
{
    for (uint32_t i = 0; i < meter->count; i++) {
        outbound_cancel(&meter->items[i].call);
        json_decref(meter->items[i].before);
        json_decref(meter->items[i].now);
    }
    free(meter->items);
    meter->items = NULL;
    meter->count = 0;
}

static void match(struct meter *meter)
{
    if (meter->items && meter->version == edges_version(meter->edges))
        return;
    drop(meter);
    meter->items = calloc(edges_count(meter->edges) + 1u, sizeof(*meter->items));
    if (!meter->items)
        return;
    meter->count = edges_count(meter->edges);
    meter->version = edges_version(meter->edges);
    for (uint32_t i = 0; i < meter->count; i++)
        meter->items[i] = (struct edge_meter){.meter = meter, .index = i};
}

void meter_begin(struct meter *meter, int64_t now_ms)
{
    match(meter);
    meter->begun_ms = now_ms;
    for (uint32_t i = 0; i < meter->count; i++) {
        settle(&meter->items[i]);
        if (!meter->items[i].call)
            ask(&meter->items[i]);
    }
}

bool meter_is_over(struct meter *meter, int64_t now_ms)
{
    if (!meter->begun_ms)
        meter_begin(meter, now_ms);
    meter->span_s = (double)(now_ms - meter->begun_ms) / 1000;
    return now_ms - meter->begun_ms >= ROUND_MS;
}

static double number(const json_t *service, const char *name)
{
    return json_number_value(json_object_get(service, name));
}

/* Between its two answers, which is not as long as the round where it was slow; 0: its clock was
 * set. */
static double apart_s(const struct edge_meter *edge)
{
    json_int_t apart_ms = edge->now_ms - edge->before_ms;

    return apart_ms > 0 && apart_ms <= APART_MAX_MS ? (double)apart_ms / 1000 : 0;
}

struct scale_sample meter_sample(const struct meter *meter, const char *service, double now_s)
{
    bool is_other = meter->version != edges_version(meter->edges);
    struct scale_sample sample = {.at_s = now_s,
                                  .span_s = meter->span_s,
                                  .is_partial = is_other || !meter->count};

    for (uint32_t i = 0; i < meter->count; i++) {
        const struct edge_meter *edge = &meter->items[i];
        const json_t *now = json_object_get(edge->now, service);
        const json_t *before = json_object_get(edge->before, service);
        double over_s = now && before && !edge->is_other ? apart_s(edge) : 0;

        sample.in_flight += number(now, "in_flight");
        sample.held += number(now, "held");
        if (over_s > 0)
            sample.arrivals +=
                (number(now, "arrivals") - number(before, "arrivals")) * sample.span_s / over_s;
        if (!is_other && edges_is_waited_for(meter->edges, i))
            sample.is_partial |= over_s <= 0;
    }
    return sample;
}

struct meter *meter_new(struct edges *edges)
{
    struct meter *meter = calloc(1, sizeof(*meter));

    if (meter)
        meter->edges = edges;
    return meter;
}

void meter_free(struct meter **meter)
{
    struct meter *gone = *meter;

    *meter = NULL;
    if (!gone)
        return;
    drop(gone);
    free(gone);
}
