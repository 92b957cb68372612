/* SPDX-License-Identifier: Apache-2.0
 *
 * What releases are judged by, first tries, failures and latency of each, summed over the workers
 * since the edge began; and what is asked of services now. Small enough to be asked for each
 * second: latency is told as pairs of bucket and count, clients as triples of group, requests and
 * failures, and with ?since= only what has changed. With ?routes=true and ?targets=true routes and
 * targets stand there too.
 */
#include <stdlib.h>

#include "config/units.h"
#include "edge/manager/api.h"

/* What was seen of a release the last time, by the slot of its counters. */
struct counters_seen {
    uint64_t requests;
    uint64_t number; /* of the answer in which that was new */
};

struct listing {
    struct counters *counters;
    struct str service; /* empty: all */
    uint64_t since;
    json_t *list;
    bool is_short; /* of memory */
};

static struct counters_seen *seen_of(struct listing *listing, uint32_t slot)
{
    struct counters *counters = listing->counters;
    uint32_t capacity = counters->capacity;
    struct counters_seen *grown;

    if (slot < capacity)
        return &counters->seen[slot];
    while (capacity <= slot)
        capacity = capacity ? capacity * 2 : 64;
    grown = realloc(counters->seen, capacity * sizeof(*grown));
    if (!grown) {
        listing->is_short = true;
        return NULL;
    }
    for (uint32_t i = counters->capacity; i < capacity; i++)
        grown[i] = (struct counters_seen){0};
    counters->seen = grown;
    counters->capacity = capacity;
    return &counters->seen[slot];
}

static json_t *latency_json(const struct stat_release *sum)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        if (sum->latency[i])
            json_array_append_new(list, json_pack("[i,I]", (int)i, (json_int_t)sum->latency[i]));
    return list;
}

static json_t *clients_json(const struct stat_release *sum)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < STAT_CLIENTS; i++)
        if (sum->clients[i].requests || sum->clients[i].failures)
            json_array_append_new(list,
                                  json_pack("[i,I,I]", (int)i, (json_int_t)sum->clients[i].requests,
                                            (json_int_t)sum->clients[i].failures));
    return list;
}

static void on_release(void *owner, uint32_t slot, const struct stats_name *name,
                       const struct stat_release *sum)
{
    struct listing *listing = owner;
    struct counters_seen *seen = seen_of(listing, slot);

    if (seen && seen->requests != sum->requests) {
        seen->requests = sum->requests;
        seen->number = listing->counters->number;
    }
    if (!seen || seen->number <= listing->since ||
        (listing->service.len && !str_same(listing->service, name->service)))
        return;
    json_array_append_new(listing->list,
                          json_pack("{s:s%,s:s%,s:I,s:I,s:I,s:I,s:o,s:o}", "service",
                                    name->service.p, name->service.len, "release", name->release.p,
                                    name->release.len, "requests", (json_int_t)sum->requests,
                                    "failures", (json_int_t)sum->failures, "probes",
                                    (json_int_t)sum->samples, "rescued", (json_int_t)sum->rescued,
                                    "latency", latency_json(sum), "clients", clients_json(sum)));
}

/* False: it is no number. */
static bool read_since(struct admin_call *call, uint64_t *since)
{
    struct str text = rest_query(&call->rest, "since", 0);

    *since = 0;
    for (size_t i = 0; text.p && i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || *since > UINT64_MAX / 100)
            return false;
        *since = *since * 10 + (unsigned)(text.p[i] - '0');
    }
    return !text.p || text.len;
}

/* Whether something is asked for by its name. False: the word after it is none, and that was said.
 */
static bool read_wish(struct admin_call *call, const char *name, bool *is_wanted)
{
    struct str word = rest_query(&call->rest, name, 0);
    uint64_t value = 0;
    bool is_good = !word.p || !units_bool(word, &value);

    *is_wanted = value;
    if (!is_good)
        rest_problem(&call->rest, 400, "query_invalid", "%s is true or false.", name);
    return is_good;
}

/* --- what is asked of services, from which it is seen how many units they need */

static json_int_t count_waiting(const struct service *service)
{
    json_int_t sum = 0;

    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct gate *gate = service->releases[i].gate;

        for (unsigned w = 0; w < gate->workers; w++)
            sum += __atomic_load_n(&gate->locals[w].waiting, __ATOMIC_RELAXED);
    }
    return sum;
}

static json_t *services_json(const struct snapshot *snapshot, struct str only)
{
    json_t *list = json_array();

    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];
        struct demand_local sum = demand_sum(service->demand);
        struct str name = service->conf->name.s;

        if (only.len && !str_same(only, name))
            continue;
        json_array_append_new(list,
                              json_pack("{s:s%,s:I,s:I,s:I}", "service", name.p, name.len,
                                        "arrivals", (json_int_t)sum.arrivals, "in_flight",
                                        (json_int_t)sum.in_flight, "held", count_waiting(service)));
        if (service->conf->slo.is_set)
            json_object_set_new(json_array_get(list, json_array_size(list) - 1), "slo",
                                json_pack("[I,I,I]", (json_int_t)sum.answers,
                                          (json_int_t)sum.errors, (json_int_t)sum.late));
    }
    return list;
}

static void answer(struct admin_call *call, const struct listing *listing, bool has_routes,
                   bool has_targets)
{
    struct manager *m = call->admin->manager;
    json_t *json = json_pack("{s:I,s:I,s:I,s:o,s:o}", "instance", (json_int_t)m->started_ms,
                             "number", (json_int_t)listing->counters->number, "at_ms",
                             (json_int_t)clock_wall_ms(), "releases", listing->list, "services",
                             services_json(m->snapshot, listing->service));

    if (has_routes)
        api_counters_routes(m, json);
    if (has_targets)
        api_counters_targets(m, json);
    rest_reply_json(&call->rest, 200, json);
}

void api_counters(struct admin_call *call)
{
    struct manager *m = call->admin->manager;
    struct str service = rest_query(&call->rest, "service", 0);
    struct listing listing = {.counters = &call->admin->counters,
                              .service = service.p ? service : STR("")};
    bool has_routes, has_targets;

    if (!read_since(call, &listing.since)) {
        rest_problem(&call->rest, 400, "query_invalid",
                     "since is the \"number\" of an earlier answer.");
        return;
    }
    if (!read_wish(call, "routes", &has_routes) || !read_wish(call, "targets", &has_targets))
        return;
    listing.list = json_array();
    listing.counters->number++;
    pthread_mutex_lock(&m->stats_lock);
    stats_walk(m->stats, &(struct stats_walk){.owner = &listing, .on_release = on_release});
    pthread_mutex_unlock(&m->stats_lock);
    if (listing.is_short) {
        json_decref(listing.list);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    answer(call, &listing, has_routes, has_targets);
}

void api_counters_fini(struct counters *counters)
{
    free(counters->seen);
    *counters = (struct counters){0};
}
