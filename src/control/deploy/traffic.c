/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { ASK_MS = 2000, TIMEOUT_MS = 5000, BUCKET_MS = 10 * 1000 };
enum { BUCKETS = TRAFFIC_SPAN_S * 1000 / BUCKET_MS };

struct counts {
    uint64_t requests, failures;
};

/* What a service had in one span of BUCKET_MS. */
struct bucket {
    int64_t number; /* of the span */
    struct counts counts;
};

struct history {
    struct history *next;
    char *service;
    struct bucket buckets[BUCKETS];
};

/* An edge as it told last. */
struct teller {
    struct traffic *traffic;
    uint32_t index;
    struct outbound_call *call;
    int64_t next_ms;
};

struct traffic {
    struct traffic_options options;
    struct teller *tellers; /* one an edge */
    uint32_t count, version;
    json_t *told; /* by edge: {"instance", "number", "seen": {service: {release: [r, f]}}} */
    struct history *histories;
    int64_t since_ms; /* monotonic: of the first answer; 0: there was none */
};

/* --- histories */

static struct history *find(const struct traffic *traffic, const char *service)
{
    struct history *history = traffic->histories;

    while (history && strcmp(history->service, service) != 0)
        history = history->next;
    return history;
}

static struct history *find_or_make(struct traffic *traffic, const char *service)
{
    struct history *history = find(traffic, service);

    if (history)
        return history;
    history = calloc(1, sizeof(*history));
    if (history)
        history->service = strdup(service);
    if (!history || !history->service) {
        free(history);
        return NULL;
    }
    history->next = traffic->histories;
    traffic->histories = history;
    return history;
}

static void note(struct traffic *traffic, const char *service, const struct counts *more,
                 int64_t now_ms)
{
    struct history *history = find_or_make(traffic, service);
    int64_t number = now_ms / BUCKET_MS;
    struct bucket *bucket = history ? &history->buckets[number % BUCKETS] : NULL;

    if (!bucket)
        return;
    if (bucket->number != number)
        *bucket = (struct bucket){.number = number};
    bucket->counts.requests += more->requests;
    bucket->counts.failures += more->failures;
}

struct traffic_rate traffic_of(const struct traffic *traffic, const char *service, int64_t now_ms)
{
    const struct history *history = find(traffic, service);
    double over_s = traffic->since_ms ? (double)(now_ms - traffic->since_ms) / 1000 : 0;
    struct traffic_rate rate = {.over_s = over_s < TRAFFIC_SPAN_S ? over_s : TRAFFIC_SPAN_S};
    struct counts sum = {0};

    for (size_t i = 0; history && i < BUCKETS; i++)
        if (now_ms / BUCKET_MS - history->buckets[i].number < BUCKETS) {
            sum.requests += history->buckets[i].counts.requests;
            sum.failures += history->buckets[i].counts.failures;
        }
    if (rate.over_s > 0)
        rate.requests_s = (double)sum.requests / rate.over_s;
    if (sum.requests)
        rate.failures = (double)sum.failures / (double)sum.requests;
    return rate;
}

/* --- what an edge tells */

static uint64_t number_of(const json_t *json, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(json, name));

    return value > 0 ? (uint64_t)value : 0;
}

/* Of one release: what is new since it was told of last. Requests of our own are no traffic. */
static struct counts take_release(json_t *seen, const char *service, const char *release,
                                  const json_t *told)
{
    json_t *of_service = json_object_get(seen, service);
    const json_t *before = json_object_get(of_service, release);
    uint64_t all = number_of(told, "requests"), ours = number_of(told, "probes");
    struct counts now = {all > ours ? all - ours : 0, number_of(told, "failures")};
    struct counts had = {(uint64_t)json_integer_value(json_array_get(before, 0)),
                         (uint64_t)json_integer_value(json_array_get(before, 1))};

    if (!of_service) {
        of_service = json_object();
        json_object_set_new(seen, service, of_service);
    }
    json_object_set_new(of_service, release,
                        json_pack("[I,I]", (json_int_t)now.requests, (json_int_t)now.failures));
    now.requests = now.requests > had.requests ? now.requests - had.requests : 0;
    now.failures = now.failures > had.failures ? now.failures - had.failures : 0;
    if (now.failures > now.requests)
        now.failures = now.requests;
    return now;
}

/* What it had counted before it was first heard of is not of these minutes. */
static void take_all(struct traffic *traffic, json_t *seen, const json_t *releases,
                     const int64_t *at_ms)
{
    const json_t *each;
    size_t i;

    json_array_foreach(releases, i, each)
    {
        const char *service = json_string_value(json_object_get(each, "service"));
        const char *release = json_string_value(json_object_get(each, "release"));
        struct counts more;

        if (!service || !release)
            continue;
        more = take_release(seen, service, release, each);
        if (at_ms)
            note(traffic, service, &more, *at_ms);
    }
}

bool traffic_take(struct traffic *traffic, const char *edge, const json_t *counters, int64_t now_ms)
{
    json_t *known = edge ? json_object_get(traffic->told, edge) : NULL;
    json_int_t instance = json_integer_value(json_object_get(counters, "instance"));
    bool is_other = known && json_integer_value(json_object_get(known, "instance")) != instance;
    bool is_first = !known;

    if (!edge)
        return false;
    if (is_other && number_of(known, "number")) { // it was asked for what is new since another
        json_object_del(traffic->told, edge);
        return true;
    }
    if (is_first) {
        known = json_pack("{s:I,s:{}}", "instance", instance, "seen");
        json_object_set_new(traffic->told, edge, known);
    }
    take_all(traffic, json_object_get(known, "seen"), json_object_get(counters, "releases"),
             is_first ? NULL : &now_ms);
    json_object_set_new(known, "number",
                        json_integer(json_integer_value(json_object_get(counters, "number"))));
    if (!traffic->since_ms)
        traffic->since_ms = now_ms;
    return false;
}

/* --- asking */

static void on_told(void *owner, const struct outbound_reply *reply)
{
    struct teller *teller = owner;
    const struct traffic *traffic = teller->traffic;
    int64_t now_ms = (int64_t)(clock_us() / 1000);
    const char *edge;
    json_t *counters;

    teller->call = NULL;
    teller->next_ms = now_ms + ASK_MS;
    // In a list that has changed since, another edge has its place, or none.
    if (reply->status != 200 || traffic->version != edges_version(traffic->options.edges))
        return;
    edge = edges_name(traffic->options.edges, teller->index);
    counters = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    if (counters && traffic_take(teller->traffic, edge, counters, now_ms))
        teller->next_ms = now_ms;
    else if (counters && traffic->options.on_counters)
        traffic->options.on_counters(traffic->options.owner, edge, counters);
    json_decref(counters);
}

static void ask(struct teller *teller)
{
    const struct traffic *traffic = teller->traffic;
    const json_t *known =
        json_object_get(traffic->told, edges_name(traffic->options.edges, teller->index));
    char path[96];

    snprintf(path, sizeof(path), "/api/v1/counters?since=%llu",
             (unsigned long long)number_of(known, "number"));
    teller->call = edges_ask(traffic->options.edges, teller->index,
                             &(struct edges_ask){"GET", path, NULL, TIMEOUT_MS, on_told, teller});
}

static void drop(struct traffic *traffic)
{
    for (uint32_t i = 0; i < traffic->count; i++)
        outbound_cancel(&traffic->tellers[i].call);
    free(traffic->tellers);
    traffic->tellers = NULL;
    traffic->count = 0;
}

/* As many as there are edges now. */
static void match(struct traffic *traffic)
{
    if (traffic->tellers && traffic->version == edges_version(traffic->options.edges))
        return;
    drop(traffic);
    traffic->tellers = calloc(edges_count(traffic->options.edges) + 1u, sizeof(*traffic->tellers));
    if (!traffic->tellers)
        return;
    traffic->count = edges_count(traffic->options.edges);
    traffic->version = edges_version(traffic->options.edges);
    for (uint32_t i = 0; i < traffic->count; i++)
        traffic->tellers[i] = (struct teller){.traffic = traffic, .index = i};
}

void traffic_tick(struct traffic *traffic, int64_t now_ms)
{
    match(traffic);
    for (uint32_t i = 0; i < traffic->count; i++)
        if (!traffic->tellers[i].call && now_ms >= traffic->tellers[i].next_ms)
            ask(&traffic->tellers[i]);
}

/* --- life */

struct traffic *traffic_new(const struct traffic_options *options)
{
    struct traffic *traffic = calloc(1, sizeof(*traffic));

    if (!traffic)
        return NULL;
    traffic->options = *options;
    traffic->told = json_object();
    if (!traffic->told)
        traffic_free(&traffic);
    return traffic;
}

void traffic_free(struct traffic **traffic)
{
    struct traffic *gone = *traffic;

    *traffic = NULL;
    if (!gone)
        return;
    drop(gone);
    while (gone->histories) {
        struct history *history = gone->histories;

        gone->histories = history->next;
        free(history->service);
        free(history);
    }
    json_decref(gone->told);
    free(gone);
}
