/* SPDX-License-Identifier: Apache-2.0 */
#include "control/effect_poll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/effect_count.h"

enum { CALL_MS = 5000, SERVICES_MAX = 4096, RELEASES_MAX = 16384 };

struct service {
    struct service *next;
    char *name;
    struct effect_ring ring;
};

/* What one edge has counted of one release. */
struct release {
    struct release *next;
    char *service, *name;
    struct effect_seen seen;
};

struct edge {
    struct effect_poll *poll;
    uint32_t index;
    struct outbound_call *call;
    json_int_t instance, number;
    bool is_known; /* what it counts from now on is new */
    struct release *releases;
    unsigned count;
};

struct effect_poll {
    struct edges *edges;
    struct edge *items;
    uint32_t count, version;
    int64_t slot_ms, round;       /* the slot that the last asking was about; 0: none yet */
    int64_t began;                /* the first slot that is counted whole; 0: none yet */
    int64_t missed[EFFECT_SLOTS]; /* slots in which an edge did not answer */
    struct service *services;
    unsigned service_count;
};

/* --- what is kept */

static struct service *find_service(const struct effect_poll *poll, const char *name)
{
    struct service *service = poll->services;

    while (service && strcmp(service->name, name) != 0)
        service = service->next;
    return service;
}

/* NULL: no memory, or there are too many. */
static struct service *add_service(struct effect_poll *poll, const char *name)
{
    struct service *service =
        poll->service_count < SERVICES_MAX ? calloc(1, sizeof(*service)) : NULL;

    if (!service)
        return NULL;
    service->name = strdup(name);
    if (!service->name) {
        free(service);
        return NULL;
    }
    service->next = poll->services;
    poll->services = service;
    poll->service_count++;
    return service;
}

static void forget_releases(struct edge *edge)
{
    while (edge->releases) {
        struct release *gone = edge->releases;

        edge->releases = gone->next;
        free(gone->service);
        free(gone->name);
        free(gone);
    }
    edge->count = 0;
}

static struct release *add_release(struct edge *edge, const char *service, const char *name)
{
    struct release *release = edge->count < RELEASES_MAX ? calloc(1, sizeof(*release)) : NULL;

    if (!release)
        return NULL;
    release->service = strdup(service);
    release->name = strdup(name);
    if (!release->service || !release->name) {
        free(release->service);
        free(release->name);
        free(release);
        return NULL;
    }
    release->next = edge->releases;
    edge->releases = release;
    edge->count++;
    return release;
}

static struct release *find_release(struct edge *edge, const char *service, const char *name)
{
    struct release *release = edge->releases;

    while (release && (strcmp(release->service, service) != 0 || strcmp(release->name, name) != 0))
        release = release->next;
    return release ? release : add_release(edge, service, name);
}

/* --- asking */

static void miss(struct effect_poll *poll, int64_t number)
{
    poll->missed[number % EFFECT_SLOTS] = number;
}

static void take_release(struct edge *edge, const json_t *told)
{
    const char *service = json_string_value(json_object_get(told, "service"));
    const char *name = json_string_value(json_object_get(told, "release"));
    struct effect_poll *poll = edge->poll;
    struct release *release = service && name ? find_release(edge, service, name) : NULL;
    struct service *kept = service ? find_service(poll, service) : NULL;

    if (service && !kept)
        kept = add_service(poll, service);
    if (release && kept)
        effect_take(&release->seen, told, edge->is_known ? &kept->ring : NULL, poll->round);
    else
        miss(poll, poll->round);
}

static void take_all(struct edge *edge, const json_t *body)
{
    const json_t *told;
    size_t i;

    edge->instance = json_integer_value(json_object_get(body, "instance"));
    edge->number = json_integer_value(json_object_get(body, "number"));
    json_array_foreach(json_object_get(body, "releases"), i, told) take_release(edge, told);
    if (!edge->is_known)
        miss(edge->poll, edge->poll->round);
    edge->is_known = true;
}

static void ask(struct edge *edge);

/* Another process has other numbers, and counts from nothing: it is asked for all. */
static void begin_anew(struct edge *edge, json_int_t instance)
{
    forget_releases(edge);
    edge->instance = instance;
    edge->number = 0;
    ask(edge);
}

static void on_counters(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    json_t *body = NULL;
    json_int_t instance;

    edge->call = NULL;
    if (reply->status == 200)
        body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    instance = json_integer_value(json_object_get(body, "instance"));
    if (!json_is_array(json_object_get(body, "releases")))
        miss(edge->poll, edge->poll->round);
    else if (edge->number && instance != edge->instance)
        begin_anew(edge, instance);
    else
        take_all(edge, body);
    json_decref(body);
}

static void ask(struct edge *edge)
{
    struct edges_ask what = {.method = "GET",
                             .timeout_ms = CALL_MS,
                             .done = on_counters,
                             .owner = edge};
    char path[64];

    if (edge->call) {
        outbound_cancel(&edge->call);
        miss(edge->poll, edge->poll->round - 1);
        miss(edge->poll, edge->poll->round); // it gets what the one before lacks
    }
    snprintf(path, sizeof(path), "/api/v1/counters?since=%lld", (long long)edge->number);
    what.path = path;
    edge->call = edges_ask(edge->poll->edges, edge->index, &what);
    if (!edge->call)
        miss(edge->poll, edge->poll->round);
}

static void forget_edges(struct effect_poll *poll)
{
    for (uint32_t i = 0; i < poll->count; i++) {
        outbound_cancel(&poll->items[i].call);
        forget_releases(&poll->items[i]);
    }
    free(poll->items);
    poll->items = NULL;
    poll->count = 0;
}

/* As many as there are now; what was counted before by others stays. */
static void match(struct effect_poll *poll)
{
    uint32_t count = edges_count(poll->edges);

    if (poll->items && poll->version == edges_version(poll->edges))
        return;
    forget_edges(poll);
    poll->items = calloc(count + 1u, sizeof(*poll->items));
    if (!poll->items)
        return;
    poll->count = count;
    poll->version = edges_version(poll->edges);
    for (uint32_t i = 0; i < count; i++)
        poll->items[i] = (struct edge){.poll = poll, .index = i};
    if (poll->round)
        miss(poll, poll->round);
}

static int64_t slot_of(const struct effect_poll *poll, int64_t time_ms)
{
    return time_ms > 0 ? time_ms / poll->slot_ms : 0;
}

void effect_poll_tick(struct effect_poll *poll)
{
    int64_t over = slot_of(poll, (int64_t)clock_wall_ms()) - 1;

    if (over == poll->round)
        return;
    if (over < poll->round || over > poll->round + EFFECT_SLOTS)
        poll->began = over + 1;
    else // what was asked for too late counts as of the last slot
        while (poll->round + 1 < over) {
            poll->round++;
            miss(poll, poll->round);
        }
    poll->round = over;
    match(poll);
    for (uint32_t i = 0; i < poll->count; i++)
        ask(&poll->items[i]);
}

/* --- comparing */

bool effect_poll_is_over(const struct effect_poll *poll, int64_t time_ms)
{
    // Of the last slot all is here once the next one is asked for.
    return poll->round > slot_of(poll, time_ms) + EFFECT_SPAN;
}

static json_t *unknown(const char *why)
{
    return json_pack("{s:b,s:s}", "known", 0, "why", why);
}

static bool is_partial(const struct effect_poll *poll, int64_t first)
{
    bool is_missed = false;

    for (int64_t number = first; number < first + EFFECT_SPAN; number++)
        is_missed |= poll->missed[number % EFFECT_SLOTS] == number;
    return is_missed;
}

json_t *effect_poll_compare(const struct effect_poll *poll, const char *service, int64_t time_ms)
{
    // What is asked for at the end of a slot comes a little later, and is of the next one in part:
    // the slot before the change may hold some of what followed it.
    int64_t at = slot_of(poll, time_ms), before = at - 1 - EFFECT_SPAN, after = at + 1;
    const struct service *kept = find_service(poll, service);
    static const struct effect_ring empty;
    const struct effect_ring *ring = kept ? &kept->ring : &empty;
    struct effect_sum old, new;
    json_t *json;

    if (!poll->began || poll->began > before)
        return unknown("control had not counted for long enough before it");
    if (poll->round - before >= EFFECT_SLOTS)
        return unknown("control heard of it too late");
    effect_sum(ring, before, &old);
    effect_sum(ring, after, &new);
    json = json_pack("{s:b,s:I,s:o,s:o}", "known", 1, "over_ms",
                     (json_int_t)(EFFECT_SPAN * poll->slot_ms), "before", effect_json(&old),
                     "after", effect_json(&new));
    if (json && (is_partial(poll, before) || is_partial(poll, after)))
        json_object_set_new(json, "partial", json_true());
    return json;
}

/* --- life */

struct effect_poll *effect_poll_new(struct edges *edges, uint32_t span_ms)
{
    struct effect_poll *poll = calloc(1, sizeof(*poll));

    if (!poll)
        return NULL;
    poll->edges = edges;
    poll->slot_ms = span_ms / EFFECT_SPAN;
    return poll;
}

void effect_poll_free(struct effect_poll **poll)
{
    struct effect_poll *gone = *poll;

    *poll = NULL;
    if (!gone)
        return;
    forget_edges(gone);
    while (gone->services) {
        struct service *service = gone->services;

        gone->services = service->next;
        free(service->name);
        free(service);
    }
    free(gone);
}
