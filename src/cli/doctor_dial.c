/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_dial.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/doctor_wire.h"
#include "edge/upstream/edge_sign.h"
#include "edge/metric/stat.h"

enum { HEADER_BYTES = 32 * 1024, HEADERS = 200, REQUEST_SIZE = 4096, SIGNATURE_SIZE = 160 };

/* --- what is asked for */

/* The longest that a route to the service keeps unused connections. */
static uint32_t idle_of(const struct conf *conf, const struct conf_service *service)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (str_same(route->service.s, service->name.s) && route->timeouts.upstream_idle_ms > most)
            most = route->timeouts.upstream_idle_ms;
    }
    return most ? most : conf->timeouts.upstream_idle_ms;
}

/* Without a health check any answer to GET / will do; HTTP/2, where a server of gRPC alone would
 * answer nothing to that, has said enough with its SETTINGS. */
static void ask_for_anything(struct conf_health *health, enum conf_protocol protocol)
{
    health->has_grpc = false;
    health->body = (struct conf_text){0};
    health->path = (struct conf_text){0};
    if (protocol != CONF_H2)
        health->path.s = STR("/");
    health->statuses[0] = (struct conf_status_range){100, 599};
    health->status_count = 1;
}

void doctor_dial_init(struct doctor_dial *dial, const struct doctor_place *place,
                      const struct conf_service *service, const struct conf_target *target,
                      enum doctor_manner manner)
{
    struct doctor_facts *facts = &dial->facts;
    bool asks_health = manner != DOCTOR_TARGET && service->health.is_on &&
                       (service->health.path.s.len || service->health.has_grpc);

    *dial = (struct doctor_dial){.place = place, .target = target, .service = *service};
    if (!asks_health)
        ask_for_anything(&dial->service.health, service->protocol);
    dial->service.health.timeout_ms = place->timeout_ms;
    if (service->sign.is_set)
        dial->signer = mac_new(service->sign.key.s);
    facts->service = &dial->service;
    facts->address = target->address.text.s;
    facts->host = probe_host(place->conf, service, facts->address);
    facts->is_health_port = manner == DOCTOR_HEALTH_PORT;
    facts->port = facts->is_health_port ? service->health.port : target->address.port;
    facts->idle.ours_ms = facts->is_health_port ? 0 : idle_of(place->conf, service);
    facts->is_unix = target->address.is_unix;
    facts->has_health = asks_health;
    facts->is_inside = place->is_inside;
    dial->endpoint = endpoint_new(service->name.s, target->id.s, facts->address, 1);
    if (dial->endpoint)
        dial->endpoint->slot = UINT32_MAX;
}

void doctor_dial_fini(struct doctor_dial *dial)
{
    endpoint_unref(&dial->endpoint);
    mac_free(&dial->signer);
}

/* --- threads */

static void *resolve(void *owner)
{
    struct doctor_dial *dial = owner;
    struct endpoint *endpoint = dial->endpoint;
    const char *error = NULL;

    if (!endpoint)
        dial->facts.dns_error = "memory";
    else if (endpoint_resolve(&dial->target->address, endpoint->addresses, &endpoint->address_count,
                              &error))
        dial->facts.dns_error = error ? error : "no address";
    else
        probe_set_port(endpoint->addresses, endpoint->address_count, dial->facts.port);
    return NULL;
}

static void *ask(void *owner)
{
    doctor_ask(owner);
    return NULL;
}

static void *watch(void *owner)
{
    struct doctor_dial *dial = owner;

    if (doctor_idle_is_due(dial))
        doctor_idle_watch(dial);
    return NULL;
}

/* Each on a thread of its own, or on this one when there is none to be had. */
static void run_all(void *(*step)(void *), struct doctor_dial *dials, unsigned count)
{
    pthread_t threads[DOCTOR_WATCHED_AT_ONCE];
    bool is_running[DOCTOR_WATCHED_AT_ONCE];

    for (unsigned i = 0; i < count; i++) {
        is_running[i] = !pthread_create(&threads[i], NULL, step, &dials[i]);
        if (!is_running[i])
            step(&dials[i]);
    }
    for (unsigned i = 0; i < count; i++)
        if (is_running[i])
            pthread_join(threads[i], NULL);
}

/* --- the probe */

static void on_done(void *owner, const struct probe_result *result)
{
    struct doctor_dial *dial = owner;

    dial->probe = NULL;
    dial->facts.result = *result;
    --*dial->waiting;
}

/* The `timeout` of a Keep-Alive field (RFC 2068 19.7.1); 0: none. */
static uint32_t keep_alive_of(const struct head *head)
{
    struct str value = head_value_name(head, STR("keep-alive"));
    char text[64];
    const char *found;
    unsigned long seconds;

    if (!value.len || value.len >= sizeof(text))
        return 0;
    memcpy(text, value.p, value.len);
    text[value.len] = '\0';
    found = strstr(text, "timeout=");
    seconds = found ? strtoul(found + 8, NULL, 10) : 0;
    return seconds < 1000000 ? (uint32_t)seconds * 1000 : 0;
}

static void on_head(void *owner, const struct head *head)
{
    struct doctor_facts *facts = &((struct doctor_dial *)owner)->facts;
    struct str location = head_value_name(head, STR("location"));

    snprintf(facts->location, sizeof(facts->location), "%.*s", (int)location.len,
             location.p ? location.p : "");
    facts->idle.keep_alive_ms = keep_alive_of(head);
    facts->idle.closes_always = head->minor != HEAD_HTTP2 && head->wants_close;
}

static void begin_probe(struct loop *loop, struct doctor_dial *dial,
                        const struct wire_limits *limits)
{
    struct probe_ask ask = {
        .loop = loop,
        .endpoint = dial->endpoint,
        .service = &dial->service,
        .tls = dial->tls,
        .signer = dial->signer,
        .limits = limits,
        .host = dial->facts.host,
        .on_head = on_head,
    };

    if (dial->facts.dns_error)
        return;
    dial->probe = probe_start(&ask, on_done, dial);
    if (dial->probe)
        ++*dial->waiting;
}

static void probe_all(struct loop *loop, struct doctor_dial *dials, unsigned count)
{
    const struct wire_limits limits = {.header_bytes = HEADER_BYTES,
                                       .uri_bytes = HEADER_BYTES,
                                       .headers = HEADERS};
    unsigned waiting = 0;

    loop_enter(loop);
    for (unsigned i = 0; i < count; i++) {
        dials[i].waiting = &waiting;
        begin_probe(loop, &dials[i], &limits);
    }
    loop_leave(loop);
    while (waiting)
        uv_run(&loop->uv, UV_RUN_ONCE);
    loop_enter(loop);
    conn_close_all(loop); // what a probe has finished with may wait for its last bytes
    loop_leave(loop);
}

/* --- all */

static void dial_group(struct loop *loop, struct doctor_dial *dials, unsigned count)
{
    run_all(resolve, dials, count);
    probe_all(loop, dials, count);
    run_all(ask, dials, count);
}

enum status doctor_dial_all(struct doctor_dial *dials, unsigned count)
{
    struct stats *stats = stats_new(1);
    struct loop loop;
    enum status status = stats ? loop_init(&loop, 0, 0) : E_NOMEM;

    if (status) {
        stats_free(&stats);
        return status;
    }
    slab_init(&loop.targets, pool_conn_size(), &loop.budget);
    loop.stats = stats;
    for (unsigned i = 0; i < count; i += DOCTOR_AT_ONCE)
        dial_group(&loop, dials + i, count - i < DOCTOR_AT_ONCE ? count - i : DOCTOR_AT_ONCE);
    loop_fini(&loop);
    stats_free(&stats);
    return OK;
}

void doctor_dial_watch(struct doctor_dial *dials, unsigned count)
{
    for (unsigned i = 0; i < count; i += DOCTOR_WATCHED_AT_ONCE)
        run_all(watch, dials + i,
                count - i < DOCTOR_WATCHED_AT_ONCE ? count - i : DOCTOR_WATCHED_AT_ONCE);
}

uint32_t doctor_dial_watch_ms(const struct doctor_dial *dials, unsigned count)
{
    uint32_t most = 0;

    for (unsigned i = 0; i < count; i++)
        if (doctor_idle_is_due(&dials[i]) && dials[i].facts.idle.ours_ms > most)
            most = dials[i].facts.idle.ours_ms;
    return most < DOCTOR_IDLE_MAX_MS ? most : DOCTOR_IDLE_MAX_MS;
}

/* --- connections beside the probe */

struct str doctor_dial_name(const struct doctor_dial *dial)
{
    return dial->target->address.is_unix ? dial->facts.address : dial->target->address.host;
}

bool doctor_dial_open(const struct doctor_dial *dial, struct doctor_wire *wire)
{
    const struct endpoint *endpoint = dial->endpoint;
    uint32_t timeout_ms = dial->place->timeout_ms;
    struct tls_look_report report;
    bool is_open = false;

    for (unsigned i = 0; i < endpoint->address_count && !is_open; i++)
        is_open = doctor_wire_open(wire, &endpoint->addresses[i], timeout_ms);
    if (!is_open)
        return false;
    if (!dial->tls ||
        (doctor_wire_secure(wire, dial->tls, doctor_dial_name(dial), timeout_ms, &report) &&
         strcmp(report.alpn, "h2")))
        return true;
    doctor_wire_close(wire);
    return false;
}

/* The field's line; empty where requests are not signed. */
static void write_signature(const struct doctor_dial *dial, struct str path,
                            char line[SIGNATURE_SIZE])
{
    /* Path and query as one are signed like the two with the mark between them. */
    const struct head request = {.method_name = STR_INIT("GET"), .path = path};
    struct arena arena;
    struct str value;

    line[0] = '\0';
    if (!dial->signer)
        return;
    arena_init(&arena, NULL, 0);
    value = edge_sign(dial->signer, &arena, &request, STR("-"), clock_wall_ms());
    if (value.p)
        snprintf(line, SIGNATURE_SIZE, "%s: %.*s\r\n", edge_sign_field.p, STR_FMT(value));
    arena_reset(&arena);
}

bool doctor_dial_get(const struct doctor_dial *dial, struct doctor_wire *wire, const char *more)
{
    struct str path = dial->service.health.path.s;
    char text[REQUEST_SIZE], signature[SIGNATURE_SIZE];
    int len;

    if (!path.len)
        path = STR("/");
    write_signature(dial, path, signature);
    len = snprintf(text, sizeof(text),
                   "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: sluice-health\r\nAccept: */*\r\n"
                   "X-Forwarded-Proto: https\r\n%s%s\r\n",
                   STR_FMT(path), STR_FMT(dial->facts.host), signature, more);
    return len > 0 && len < (int)sizeof(text) &&
           doctor_wire_write(wire, (struct str){text, (size_t)len}, dial->place->timeout_ms);
}
