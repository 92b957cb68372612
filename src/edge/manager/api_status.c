/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/status: what runs, from relaxed reads of the workers' own numbers. With ?targets=N of
 * each service N targets alone, worst first, after ?skip= of them; with ?service= of that one.
 */
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/units.h"
#include "edge/manager/api.h"

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

/* Whose word is taken on clients there; NULL: it is no listener of clients. */
static json_t *believes_json(const struct conf *conf, const char *bind)
{
    struct str name = {bind, strlen(bind)}, text;
    json_t *json = NULL;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < conf->listener_count && !json; i++)
        if (str_same(conf->listeners[i].bind.text.s, name)) {
            text = trust_describe(conf, &conf->listeners[i], &arena);
            json = json_stringn(text.p, text.len);
        }
    arena_reset(&arena);
    return json;
}

static json_t *warnings_json(const struct manager *m)
{
    json_t *list = json_array();
    struct worker_numbers numbers;
    enum trust_doubt doubt = TRUST_DOUBT_NONE;

    for (unsigned w = 0; w < m->worker_count && !doubt; w++) {
        worker_read(m->workers[w], &numbers);
        doubt = numbers.doubt;
    }
    if (doubt)
        json_array_append_new(list, json_string(trust_warning(doubt)));
    return list;
}

static json_t *listeners_json(const struct manager *m)
{
    static const char *const kinds[] = {[LISTENING_PUBLIC] = "public",
                                        [LISTENING_ADMIN] = "admin",
                                        [LISTENING_METRICS] = "metrics"};
    json_t *list = json_array();

    for (unsigned i = 0; i < m->listener_count; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:o*}", "bind", m->listeners[i].bind,
                                              "kind", kinds[m->listeners[i].kind], "client_address",
                                              believes_json(m->snapshot->rules->conf,
                                                            m->listeners[i].bind)));
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

/* Where it is, without what is secret. */
static json_t *redis_json(const struct manager *m, const struct conf_redis *conf)
{
    static const char *const modes[] = {[CONF_REDIS_SINGLE] = "single",
                                        [CONF_REDIS_SENTINEL] = "sentinel",
                                        [CONF_REDIS_CLUSTER] = "cluster"};
    json_t *places = json_array(), *json;
    char reason[NOTE_MAX + 1];

    for (uint32_t i = 0; i < conf->place_count; i++) {
        const struct conf_redis_place *place = &conf->places[i];
        bool is_v6 = memchr(place->host.p, ':', place->host.len) != NULL;

        json_array_append_new(places, json_sprintf(is_v6 ? "[%s]:%u" : "%s:%u", place->host.p,
                                                   (unsigned)place->port));
    }
    json = json_pack("{s:s,s:o,s:b}", "mode", modes[conf->mode], "endpoints", places, "tls",
                     conf->is_tls);
    if (conf->master.len)
        json_object_set_new(json, "master", json_stringn(conf->master.p, conf->master.len));
    if (manager_shared(m) == SHARED_DEGRADED)
        json_object_set_new(json, "reason", json_string(manager_shared_reason(m, reason).p));
    return json;
}

static json_t *rate_limits_json(const struct manager *m)
{
    static const char *const words[] = {
        [SHARED_NONE] = "off", [SHARED_UP] = "up", [SHARED_DEGRADED] = "degraded"};

    const struct conf *conf = m->snapshot->rules->conf;
    json_t *json = json_pack("{s:s,s:I}", "shared", words[manager_shared(m)], "evicted",
                             (json_int_t)limiter_evicted(m->limiter));

    if (conf->has_redis)
        json_object_set_new(json, "redis", redis_json(m, &conf->redis));
    return json;
}

/* What the admin port shows; null: it speaks no TLS. */
static json_t *admin_tls_json(const struct admin *admin)
{
    json_t *json = rest_server_cert_json(&admin->server);

    return json ? json : json_null();
}

/* False: it is no number. */
static bool read_number(struct admin_call *call, const char *name, uint64_t *number)
{
    struct str text = rest_query(&call->rest, name, 0);

    return !text.p || !units_int(text, number);
}

static bool read_part(struct admin_call *call, struct api_services_part *part)
{
    *part = (struct api_services_part){
        .service = rest_query(&call->rest, "service", 0),
        .is_part = rest_query(&call->rest, "targets", 0).p != NULL,
    };
    return read_number(call, "targets", &part->targets) && read_number(call, "skip", &part->skip);
}

void api_status(struct admin_call *call)
{
    static const char *const roles[] = {
        [CONF_ROLE_ALL] = "all", [CONF_ROLE_EDGE] = "edge", [CONF_ROLE_CONTROL] = "control"};

    const struct manager *m = call->admin->manager;
    struct api_services_part part;
    json_t *json;

    if (!m->snapshot) {
        rest_problem(&call->rest, 503, "starting", "The gateway is starting.");
        return;
    }
    if (!read_part(call, &part)) {
        rest_problem(&call->rest, 400, "query_invalid", "targets and skip are whole numbers.");
        return;
    }
    json =
        json_pack("{s:s,s:I,s:i,s:I,s:b,s:b,s:I}", "version", SLUICE_VERSION, "uptime_s",
                  (json_int_t)((clock_wall_ms() - m->started_ms) / 1000), "pid", (int)getpid(),
                  "generation", (json_int_t)m->generation, "ready", m->is_ready && !m->is_draining,
                  "draining", m->is_draining, "live_snapshots", (json_int_t)m->live_snapshots);
    json_object_set_new(json, "role", json_string(roles[manager_conf(m)->role]));
    json_object_set_new(json, "config", config_json(call->admin));
    json_object_set_new(json, "workers", workers_json(m));
    json_object_set_new(json, "listeners", listeners_json(m));
    json_object_set_new(json, "warnings", warnings_json(m));
    json_object_set_new(json, "certificates", api_certificates_status(m));
    json_object_set_new(json, "admin_tls", admin_tls_json(call->admin));
    json_object_set_new(json, "shield", api_shield_status(m));
    json_object_set_new(json, "credentials", api_credentials_status(m));
    json_object_set_new(json, "services", api_services_status(m, &part));
    json_object_set_new(json, "rate_limits", rate_limits_json(m));
    json_object_set_new(json, "draining_edges", peers_json(m));
    json_object_set_new(json, "limits",
                        json_pack("{s:I,s:I}", "connections", (json_int_t)m->connections_max,
                                  "memory", (json_int_t)m->memory_max));
    rest_reply_json(&call->rest, 200, json);
}
