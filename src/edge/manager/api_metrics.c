/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /metrics: the data plane's counters, and what the manager knows.
 */
#include <stdio.h>
#include <string.h>

#include "edge/access/shield.h"
#include "edge/limit/limiter.h"
#include "edge/manager/api.h"
#include "edge/manager/traces.h"
#include "edge/metric/prometheus_stats.h"

enum { TARGETS_SHOWN = 64 }; /* of a service; see stats_target_slot() */

static void put_config(struct prometheus *text, const struct manager *m)
{
    const struct prometheus_label success[] = {{"result", STR("success")}, {0}};
    const struct prometheus_label failure[] = {{"result", STR("failure")}, {0}};

    prometheus_family(text, "sluice_config_generation", PROMETHEUS_GAUGE,
                      "Generation of the configuration that all workers serve.");
    prometheus_u64(text, NULL, m->generation);
    prometheus_family(text, "sluice_config_reloads_total", PROMETHEUS_COUNTER,
                      "Reloads since start, by result.");
    prometheus_u64(text, success, m->reloads_good);
    prometheus_u64(text, failure, m->reloads_bad);
    prometheus_family(text, "sluice_config_last_reload_successful", PROMETHEUS_GAUGE,
                      "Whether the last reload succeeded.");
    prometheus_u64(text, NULL, m->last_reload_good);
}

static void put_lag(struct prometheus *text, const struct manager *m,
                    const struct worker_numbers *numbers)
{
    prometheus_family(text, "sluice_worker_loop_lag_seconds", PROMETHEUS_GAUGE,
                      "How late the worker's loop came to its last probe.");
    for (unsigned w = 0; w < m->worker_count; w++) {
        char index[12];
        struct prometheus_label labels[] = {{"worker", STR_NONE}, {0}};

        labels[0].value = (struct str){index, (size_t)snprintf(index, sizeof(index), "%u", w)};
        prometheus_double(text, labels, (double)numbers[w].lag_us / 1e6);
    }
    prometheus_family(text, "sluice_manager_loop_lag_seconds", PROMETHEUS_GAUGE,
                      "How late the manager's loop was in the last second.");
    prometheus_double(text, NULL, (double)m->lag_us / 1e6);
}

static void put_targets(struct prometheus *text, const struct release *release)
{
    for (uint32_t i = 0; i < release->count && i < TARGETS_SHOWN; i++) {
        const struct endpoint *endpoint = release->targets[i].endpoint;
        uint32_t standing = __atomic_load_n(&endpoint->standing, __ATOMIC_RELAXED);
        const struct prometheus_label labels[] = {{"service", endpoint->service},
                                                  {"release", release->id},
                                                  {"target", endpoint->id},
                                                  {0}};

        prometheus_u64(text, labels, standing == STANDING_UP);
    }
}

static void put_services(struct prometheus *text, const struct snapshot *snapshot)
{
    prometheus_family(text, "sluice_upstream_target_up", PROMETHEUS_GAUGE,
                      "Whether the target is up: checked, if it is to be, and not ejected.");
    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++)
        for (uint32_t k = 0; k < snapshot->services[i].release_count; k++)
            put_targets(text, &snapshot->services[i].releases[k]);
}

/* Who gets what, where there is a choice. */
static void put_splits(struct prometheus *text, const struct snapshot *snapshot)
{
    prometheus_family(text, "sluice_split_share_ratio", PROMETHEUS_GAUGE,
                      "Share of a service's requests that a release is to get.");
    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];
        uint64_t sum = 0;

        for (uint32_t k = 0; k < service->release_count; k++)
            sum += service->releases[k].share;
        for (uint32_t k = 0; sum && k < service->release_count; k++) {
            const struct release *release = &service->releases[k];
            const struct prometheus_label labels[] = {{"service", service->conf->name.s},
                                                      {"release", release->id},
                                                      {0}};

            prometheus_double(text, labels, (double)release->share / (double)sum);
        }
    }
}

static void put_wake_results(struct prometheus *text, const struct service *service)
{
    static const struct str words[DEMAND_RESULTS] = {
        [DEMAND_SERVED] = STR_INIT("served"),   [DEMAND_PAGE] = STR_INIT("page"),
        [DEMAND_REFUSED] = STR_INIT("refused"), [DEMAND_FULL] = STR_INIT("full"),
        [DEMAND_TIMEOUT] = STR_INIT("timeout"), [DEMAND_FAILED] = STR_INIT("failed"),
        [DEMAND_DROPPED] = STR_INIT("dropped"), [DEMAND_UNAVAILABLE] = STR_INIT("unavailable"),
    };
    struct demand_local sum = demand_sum(service->demand);
    struct prometheus_label labels[] = {{"service", service->conf->name.s}, {"result", {0}}, {0}};

    for (unsigned i = 0; i < DEMAND_RESULTS; i++) {
        labels[1].value = words[i];
        prometheus_u64(text, labels, sum.results[i]);
    }
}

/* Of services that sleep. */
static void put_wakes(struct prometheus *text, const struct snapshot *snapshot)
{
    prometheus_family(text, "sluice_wake_requests_total", PROMETHEUS_COUNTER,
                      "Requests that found their service asleep, by what became of them.");
    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++)
        if (snapshot->services[i].policy)
            put_wake_results(text, &snapshot->services[i]);
    prometheus_family(text, "sluice_wake_queue", PROMETHEUS_GAUGE,
                      "Requests that wait for their service to be started.");
    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++) {
        const struct service *service = &snapshot->services[i];
        const struct prometheus_label labels[] = {{"service", service->conf->name.s}, {0}};

        if (service->policy)
            prometheus_u64(text, labels, __atomic_load_n(&service->demand->held, __ATOMIC_RELAXED));
    }
}

/* What is the connection's fault and no request's: broken records and frames, floods. */
static void put_faults(struct prometheus *text, const struct manager *m)
{
    prometheus_family(text, "sluice_connections_aborted_total", PROMETHEUS_COUNTER,
                      "Client connections that had to be ended, by reason.");
    for (unsigned why = 1; why < REASON_COUNT; why++) {
        const char *slug = reason_info((enum reason)why)->slug;
        struct prometheus_label labels[] = {{"reason", {slug, strlen(slug)}}, {0}};
        uint64_t sum = 0;

        for (unsigned w = 0; w < m->worker_count; w++)
            sum += worker_faults(m->workers[w], (enum reason)why);
        if (sum)
            prometheus_u64(text, labels, sum);
    }
}

static void put_listeners(struct prometheus *text, const struct manager *m)
{
    prometheus_family(text, "sluice_connections_open", PROMETHEUS_GAUGE,
                      "Client connections that are open, by listener.");
    for (unsigned i = 0; i < m->listener_count; i++) {
        const struct listening *at = &m->listeners[i];
        struct prometheus_label labels[] = {{"listener", {at->bind, strlen(at->bind)}}, {0}};
        uint64_t open = 0;

        for (unsigned w = 0; at->kind == LISTENING_PUBLIC && w < m->worker_count; w++)
            open += worker_clients(m->workers[w], at->bind);
        if (at->kind == LISTENING_PUBLIC)
            prometheus_u64(text, labels, open);
    }
    prometheus_family(text, "sluice_connections_limit", PROMETHEUS_GAUGE,
                      "Client connections that may be open at once.");
    prometheus_u64(text, NULL, m->connections_max);
}

static void put_workers(struct prometheus *text, const struct manager *m)
{
    struct worker_numbers numbers[STAT_WORKERS_MAX];
    uint64_t refused = 0, memory = 0, invalid = 0;

    for (unsigned w = 0; w < m->worker_count; w++) {
        worker_read(m->workers[w], &numbers[w]);
        refused += numbers[w].refused;
        memory += numbers[w].memory_used;
        invalid += numbers[w].invalid;
    }
    put_listeners(text, m);
    put_faults(text, m);
    prometheus_family(text, "sluice_connections_refused_total", PROMETHEUS_COUNTER,
                      "Connections answered with 503 at once, for lack of room.");
    prometheus_u64(text, NULL, refused);
    prometheus_family(text, "sluice_memory_used_bytes", PROMETHEUS_GAUGE,
                      "Memory that connections and requests hold, of limits.memory.");
    prometheus_u64(text, NULL, memory);
    prometheus_family(text, "sluice_memory_limit_bytes", PROMETHEUS_GAUGE,
                      "Memory that connections and requests may hold: limits.memory.");
    prometheus_u64(text, NULL, m->memory_max);
    prometheus_family(text, "sluice_validate_dry_run_total", PROMETHEUS_COUNTER,
                      "Requests that validation with dry_run would have refused.");
    prometheus_u64(text, NULL, invalid);
    put_lag(text, m, numbers);
}

static void put_limiter(struct prometheus *text, const struct manager *m)
{
    prometheus_family(text, "sluice_rate_limit_degraded", PROMETHEUS_GAUGE,
                      "Whether rate limits are each gateway's own, since Redis does not answer.");
    prometheus_u64(text, NULL, manager_shared(m) == SHARED_DEGRADED);
    prometheus_family(text, "sluice_rate_limit_evicted_total", PROMETHEUS_COUNTER,
                      "Buckets in use that were given up, since the table of rate limits is full.");
    prometheus_u64(text, NULL, limiter_evicted(m->limiter));
    prometheus_family(text, "sluice_rate_limit_dry_run_total", PROMETHEUS_COUNTER,
                      "Requests that rate limits with dry_run would have refused.");
    prometheus_u64(text, NULL, limiter_trials(m->limiter));
}

static void put_shield(struct prometheus *text, const struct manager *m)
{
    prometheus_family(text, "sluice_shield_up", PROMETHEUS_GAUGE,
                      "1 while browsers have to solve a task and all others may ask little.");
    prometheus_u64(text, NULL, shield_until_ms(m->shield) > clock_wall_ms());
}

static void put_rest(struct prometheus *text, const struct manager *m)
{
    const struct prometheus_label version[] = {{"version", STR(SLUICE_VERSION)}, {0}};

    prometheus_family(text, "sluice_log_dropped_total", PROMETHEUS_COUNTER,
                      "Access log records that were dropped.");
    prometheus_u64(text, NULL, access_dropped(m->log));
    prometheus_family(text, "sluice_traces_dropped_total", PROMETHEUS_COUNTER,
                      "Requests whose spans found no room, since control does not fetch them.");
    prometheus_u64(text, NULL, traces_dropped(m->traces));
    prometheus_family(text, "sluice_build_info", PROMETHEUS_GAUGE, "The version that runs.");
    prometheus_u64(text, version, 1);
}

static void put_certificates(struct prometheus *text, const struct manager *m)
{
    struct certificates_domain *domains;
    struct arena arena;
    uint32_t count;

    arena_init(&arena, NULL, 0);
    count = certificates_domains(m, &arena, &domains);
    prometheus_family(text, "sluice_certificate_expiry_timestamp_seconds", PROMETHEUS_GAUGE,
                      "Until when the certificates for a name are valid: that which ends first.");
    for (uint32_t i = 0; i < count; i++) {
        const struct prometheus_label labels[] = {{"domain", domains[i].name}, {0}};

        prometheus_double(text, labels, (double)domains[i].not_after_s);
    }
    arena_reset(&arena);
}

void api_metrics(struct admin_call *call)
{
    struct manager *m = call->admin->manager;
    struct prometheus text;

    prometheus_init(&text);
    pthread_mutex_lock(&m->stats_lock);
    prometheus_stats(&text, m->stats);
    pthread_mutex_unlock(&m->stats_lock);
    put_services(&text, m->snapshot);
    put_splits(&text, m->snapshot);
    put_wakes(&text, m->snapshot);
    put_workers(&text, m);
    put_config(&text, m);
    put_certificates(&text, m);
    put_limiter(&text, m);
    put_shield(&text, m);
    put_rest(&text, m);
    rest_refused_metrics(&call->admin->server.refused, &text);
    prometheus_process(&text);
    prometheus_reply(&text, &call->rest);
}
