/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/status: what runs, from relaxed reads of the workers' own numbers.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/manager/api.h"

static json_t *text_json(struct str text)
{
    json_t *json = json_stringn(text.p ? text.p : "", text.len);

    return json ? json : json_string("");
}

static json_t *worker_json(const struct manager *m, unsigned w)
{
    struct worker_numbers numbers;

    worker_read(m->workers[w], &numbers);
    return json_pack("{s:i,s:i,s:i,s:i,s:I,s:I,s:f}", "index", (int)w, "in_flight",
                     (int)numbers.in_flight, "connections", (int)numbers.connections,
                     "connections_max", (int)numbers.connections_max, "refused",
                     (json_int_t)numbers.refused, "memory_bytes", (json_int_t)numbers.memory_used,
                     "lag_ms", (double)numbers.lag_us / 1e3);
}

static json_t *workers_json(const struct manager *m)
{
    json_t *list = json_array();

    for (unsigned w = 0; w < m->worker_count; w++)
        json_array_append_new(list, worker_json(m, w));
    return list;
}

static json_t *listeners_json(const struct manager *m)
{
    static const char *const kinds[] = {[LISTENING_PUBLIC] = "public",
                                        [LISTENING_ADMIN] = "admin",
                                        [LISTENING_METRICS] = "metrics"};
    json_t *list = json_array();

    for (unsigned i = 0; i < m->listener_count; i++)
        json_array_append_new(list, json_pack("{s:s,s:s}", "bind", m->listeners[i].bind, "kind",
                                              kinds[m->listeners[i].kind]));
    return list;
}

static void put_health(json_t *json, const struct checks_view *view)
{
    json_object_set_new(json, "state", json_string(view->state));
    json_object_set_new(json, "reason", json_string(view->reason));
    json_object_set_new(json, "since_s", json_integer((json_int_t)(view->since_ms / 1000)));
    if (view->is_checked)
        json_object_set_new(json, "last_check",
                            json_pack("{s:b,s:s,s:I,s:I}", "passed", view->last_passed, "words",
                                      view->last_words, "ago_ms", (json_int_t)view->last_ago_ms,
                                      "took_ms", (json_int_t)view->last_took_ms));
    if (view->ejected_for_ms)
        json_object_set_new(json, "ejected_for_ms", json_integer((json_int_t)view->ejected_for_ms));
    if (view->breaker)
        json_object_set_new(json, "breaker", json_string(view->breaker));
    if (view->limit)
        json_object_set_new(json, "limit", json_integer(view->limit));
}

static json_t *target_json(const struct manager *m, const struct snapshot_target *target)
{
    static const char *const sources[] = {
        [TARGET_FILE] = "file", [TARGET_API] = "api", [TARGET_FOUND] = "discovered"};
    const struct endpoint *endpoint = target->endpoint;
    uint64_t in_flight = 0, open = 0, idle = 0;
    struct checks_view view;
    json_t *json;

    for (unsigned w = 0; w < endpoint->workers; w++) {
        in_flight += __atomic_load_n(&endpoint->locals[w].in_flight, __ATOMIC_RELAXED);
        open += __atomic_load_n(&endpoint->locals[w].open, __ATOMIC_RELAXED);
        idle += __atomic_load_n(&endpoint->locals[w].idle_count, __ATOMIC_RELAXED);
    }
    json = json_pack("{s:o,s:o,s:i,s:b,s:s,s:I,s:{s:I,s:I},s:i}", "id", text_json(endpoint->id),
                     "address", text_json(endpoint->address), "weight", (int)target->weight,
                     "drained", target->is_drained, "source", sources[target->source], "in_flight",
                     (json_int_t)in_flight, "connections", "open", (json_int_t)open, "idle",
                     (json_int_t)idle, "resolved", (int)endpoint->address_count);
    if (target->is_drained)
        json_object_set_new(json, "drained_source", json_string("api"));
    if (target->region.len)
        json_object_set_new(json, "region", text_json(target->region));
    if (target->priority)
        json_object_set_new(json, "priority", json_integer(target->priority));
    if (checks_see(m->checks, endpoint, &view))
        put_health(json, &view);
    return json;
}

static json_t *discover_json(const struct manager *m, const struct conf_discover *what)
{
    static const char *const types[] = {[CONF_DISCOVER_BOTH] = "A and AAAA",
                                        [CONF_DISCOVER_A] = "A",
                                        [CONF_DISCOVER_AAAA] = "AAAA",
                                        [CONF_DISCOVER_SRV] = "SRV"};
    bool is_file = what->file.s.len;
    struct discovery_view view;
    json_t *json;

    if (!discovery_see(m->discovery, what, &view))
        return NULL;
    json = json_pack("{s:o,s:I,s:I}", "source",
                     is_file ? json_sprintf("file %.*s", STR_FMT(what->file.s))
                             : json_sprintf("dns %.*s %s", STR_FMT(what->dns.s), types[what->type]),
                     "count", (json_int_t)view.count, "changed_ago_s",
                     (json_int_t)(view.changed_ago_ms / 1000));
    if (view.problem)
        json_object_set_new(json, "problem", json_string(view.problem));
    return json;
}

static json_t *service_json(const struct manager *m, const struct service *service)
{
    json_t *targets = json_array(), *json;

    for (uint32_t k = 0; k < service->count; k++)
        json_array_append_new(targets, target_json(m, &service->targets[k]));
    json = json_pack("{s:o,s:s,s:o}", "name", text_json(service->conf->name.s), "balance",
                     service->balancer->name, "targets", targets);
    if (service->conf->discover.is_set)
        json_object_set_new(json, "discover", discover_json(m, &service->conf->discover));
    return json;
}

static json_t *services_json(const struct manager *m)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < m->snapshot->service_count; i++)
        json_array_append_new(list, service_json(m, &m->snapshot->services[i]));
    return list;
}

static json_t *peers_json(const struct manager *m)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < MANAGER_PEERS_MAX; i++)
        if (m->peers[i].pid)
            json_array_append_new(list, json_pack("{s:i,s:i,s:I}", "pid", m->peers[i].pid,
                                                  "generation", (int)m->peers[i].generation,
                                                  "in_flight", (json_int_t)m->peers[i].in_flight));
    return list;
}

static json_t *config_json(const struct admin *admin)
{
    const struct manager *m = admin->manager;
    json_t *json = json_pack("{s:s,s:b,s:{s:b}}", "path", m->options.config, "last_good",
                             m->runs_last_good, "last_reload", "successful", m->last_reload_good);

    if (admin->confirm.old)
        json_object_set_new(json, "confirm_until_ms",
                            json_integer((json_int_t)admin->confirm.deadline_ms));
    return json;
}

void api_status(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;
    json_t *json;

    if (!m->snapshot) {
        admin_problem(call, 503, "starting", "The gateway is starting.");
        return;
    }
    json =
        json_pack("{s:s,s:I,s:i,s:I,s:b,s:b,s:I}", "version", SLUICE_VERSION, "uptime_s",
                  (json_int_t)((clock_wall_ms() - m->started_ms) / 1000), "pid", (int)getpid(),
                  "generation", (json_int_t)m->generation, "ready", m->is_ready && !m->is_draining,
                  "draining", m->is_draining, "live_snapshots", (json_int_t)m->live_snapshots);
    json_object_set_new(json, "config", config_json(call->admin));
    json_object_set_new(json, "workers", workers_json(m));
    json_object_set_new(json, "listeners", listeners_json(m));
    json_object_set_new(json, "certificates", api_certificates_status(m));
    json_object_set_new(json, "services", services_json(m));
    json_object_set_new(json, "draining_edges", peers_json(m));
    json_object_set_new(json, "limits",
                        json_pack("{s:I,s:I}", "connections", (json_int_t)m->connections_max,
                                  "memory", (json_int_t)m->memory_max));
    admin_reply_json(call, 200, json);
}
