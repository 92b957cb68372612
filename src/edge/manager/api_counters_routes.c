/* SPDX-License-Identifier: Apache-2.0
 *
 * What routes and targets have answered since the edge began, summed over the workers, for those
 * who watch: GET /api/v1/counters?routes=true&targets=true. At most ROUTES_MAX routes and
 * TARGETS_MAX targets, in the order of their slots; how many there are is said. Manager thread.
 */
#include <string.h>

#include "edge/manager/api.h"

enum { ROUTES_MAX = 1000, TARGETS_MAX = 5000 };

struct listing {
    json_t *list;
    uint32_t total;
};

static json_t *codes_json(const uint64_t *codes, uint64_t *sum)
{
    json_t *json = json_object();

    *sum = 0;
    for (unsigned i = 0; i < STAT_CODES; i++) {
        *sum += codes[i];
        if (codes[i])
            json_object_set_new(json, stat_code_label(i), json_integer((json_int_t)codes[i]));
    }
    return json;
}

static json_t *refused_json(const uint64_t *refused)
{
    json_t *json = json_object();

    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++)
        if (refused[i])
            json_object_set_new(json, reason_info((enum reason)i)->slug,
                                json_integer((json_int_t)refused[i]));
    return json;
}

static json_t *latency_json(const struct stat_histogram *histogram)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < STAT_BUCKETS; i++)
        if (histogram->buckets[i])
            json_array_append_new(list,
                                  json_pack("[i,I]", (int)i, (json_int_t)histogram->buckets[i]));
    return list;
}

static void on_route(void *owner, struct str route, const struct stat_route *sum)
{
    struct listing *listing = owner;
    uint64_t requests;
    json_t *codes;

    if (listing->total++ >= ROUTES_MAX)
        return;
    codes = codes_json(sum->codes, &requests);
    json_array_append_new(listing->list,
                          json_pack("{s:s%,s:I,s:o,s:o,s:I,s:o,s:[I,I]}", "name", route.p,
                                    route.len, "requests", (json_int_t)requests, "codes", codes,
                                    "refused", refused_json(sum->refused), "in_flight",
                                    (json_int_t)(sum->in_flight > 0 ? sum->in_flight : 0),
                                    "latency", latency_json(&sum->duration), "bytes",
                                    (json_int_t)sum->bytes_in, (json_int_t)sum->bytes_out));
}

static void on_target(void *owner, struct str service, struct str release, struct str target,
                      const struct stat_target *sum)
{
    struct listing *listing = owner;
    uint64_t requests;
    json_t *codes;

    if (listing->total++ >= TARGETS_MAX)
        return;
    codes = codes_json(sum->codes, &requests);
    json_array_append_new(listing->list,
                          json_pack("{s:s%,s:s%,s:s%,s:I,s:o,s:I,s:o}", "service", service.p,
                                    service.len, "release", release.p, release.len, "target",
                                    target.p, target.len, "requests", (json_int_t)requests, "codes",
                                    codes, "retries", (json_int_t)sum->retries, "latency",
                                    latency_json(&sum->duration)));
}

/* The upper edges of the buckets of a route's or a target's latency; the bucket after the last has
 * none. */
static json_t *route_edges_json(void)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < STAT_BUCKETS - 1; i++)
        json_array_append_new(list, json_integer((json_int_t)stat_edges_us[i]));
    return list;
}

/* The same of a release's, which are finer. */
static json_t *release_edges_json(void)
{
    json_t *list = json_array();

    for (unsigned i = 1; i < LATENCY_BUCKETS; i++)
        json_array_append_new(list, json_integer((json_int_t)latency_least_us(i)));
    return list;
}

static void put_edges(json_t *answer)
{
    json_object_set_new(answer, "latency_edges_us", route_edges_json());
    json_object_set_new(answer, "release_latency_edges_us", release_edges_json());
}

void api_counters_routes(struct manager *m, json_t *answer)
{
    struct listing listing = {.list = json_array()};

    pthread_mutex_lock(&m->stats_lock);
    stats_walk(m->stats, &(struct stats_walk){.owner = &listing, .on_route = on_route});
    pthread_mutex_unlock(&m->stats_lock);
    json_object_set_new(answer, "routes", listing.list);
    json_object_set_new(answer, "routes_total", json_integer((json_int_t)listing.total));
    put_edges(answer);
}

void api_counters_targets(struct manager *m, json_t *answer)
{
    struct listing listing = {.list = json_array()};

    pthread_mutex_lock(&m->stats_lock);
    stats_walk(m->stats, &(struct stats_walk){.owner = &listing, .on_target = on_target});
    pthread_mutex_unlock(&m->stats_lock);
    json_object_set_new(answer, "targets", listing.list);
    json_object_set_new(answer, "targets_total", json_integer((json_int_t)listing.total));
    put_edges(answer);
}
