/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/probe.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/edge_sign.h"

enum {
    BODY_MAX = 64 * 1024,
    ARENA_MAX = 128 * 1024,
    GRPC_PREFIX = 5,  /* compressed-flag and length (PROTOCOL-HTTP2.md) */
    GRPC_SERVING = 1, /* grpc/doc/health-checking.md */
};

struct probe {
    struct probe_ask ask;
    void (*on_done)(void *owner, const struct probe_result *result);
    void *owner;
    struct pool_waiter opening;
    struct target_conn *target; /* NULL: none yet, or none any more */
    struct stream up;
    struct arena arena;
    struct loop_timer timer;
    struct buf body;
    uint64_t began_us;
    struct probe_result result;
    int grpc_status; /* -1: not said */
    bool is_busy;    /* a callback runs that uses it afterwards */
    bool is_over;
};

/* --- the end */

static void let_go(struct probe *probe)
{
    pool_cancel(&probe->opening);
    if (probe->up.wire)
        probe->up.codec->detach(&probe->up);
    if (probe->target)
        pool_finish(probe->target);
    probe->target = NULL;
}

static void destroy(struct probe *probe)
{
    loop_timer_remove(probe->ask.loop, &probe->timer);
    buf_drop(&probe->body, &probe->ask.loop->partials);
    arena_reset(&probe->arena);
    free(probe);
}

static void finish(struct probe *probe, bool passed)
{
    if (probe->is_over)
        return;
    probe->is_over = true;
    probe->result.passed = passed;
    probe->result.took_ms = (uint32_t)((probe->ask.loop->now_us - probe->began_us) / 1000);
    let_go(probe);
    probe->on_done(probe->owner, &probe->result);
    if (!probe->is_busy)
        destroy(probe);
}

void probe_cancel(struct probe **probe)
{
    struct probe *gone = *probe;

    *probe = NULL;
    if (!gone || gone->is_over)
        return;
    gone->is_over = true;
    let_go(gone);
    if (!gone->is_busy)
        destroy(gone);
}

bool probe_is_connected(const struct probe *probe)
{
    return probe->target != NULL;
}

PRINTF(2, 3) static void say(struct probe *probe, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(probe->result.words, sizeof(probe->result.words), format, arguments);
    va_end(arguments);
}

static void fail(struct probe *probe, enum reason why)
{
    static const struct {
        enum reason why;
        const char *words;
    } texts[] = {
        {REASON_CONNECTION_REFUSED, "connection refused: nothing listens on"},
        {REASON_CONNECTION_TIMEOUT, "no answer to an attempt to connect to"},
        {REASON_DESTINATION_UNROUTABLE, "there is no way to"},
        {REASON_DNS_ERROR, "the name does not resolve:"},
        {REASON_TLS_PROTOCOL_ERROR, "the TLS handshake failed; is it TLS that is spoken on"},
        {REASON_TLS_CERTIFICATE_ERROR, "the certificate is not trusted, or not for the name, at"},
        {REASON_CONNECTION_TERMINATED, "the connection was closed before an answer by"},
        {REASON_HTTP_PROTOCOL_ERROR, "the answer is not HTTP as the service says it:"},
        {REASON_HTTP_RESPONSE_INCOMPLETE, "the answer was cut short by"},
    };
    const char *words = reason_info(why)->text;

    probe->result.why = why;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].why == why)
            words = texts[i].words;
    say(probe, "%s %.*s", words, STR_FMT(probe->ask.endpoint->address));
    finish(probe, false);
}

static void on_timer(struct loop_timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    uint32_t timeout_ms = probe->ask.service->health.timeout_ms;

    probe->result.why = probe->target ? REASON_HTTP_RESPONSE_TIMEOUT : REASON_CONNECTION_TIMEOUT;
    probe->result.is_reached = probe->target != NULL;
    say(probe, "%s within %u ms from %.*s",
        probe->target ? "connected, but no answer" : "no connection", timeout_ms,
        STR_FMT(probe->ask.endpoint->address));
    finish(probe, false);
}

/* --- what an answer is worth */

static bool is_wanted(const struct conf_health *health, unsigned status)
{
    for (uint32_t i = 0; i < health->status_count; i++)
        if (status >= health->statuses[i].first && status <= health->statuses[i].last)
            return true;
    return false;
}

static const char *hint_of(unsigned status)
{
    switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
        return "; a redirect";
    case 401:
    case 403:
        return "; it lives, and wants to know who asks";
    case 404:
        return "; it lives: is the path right?";
    default:
        return "";
    }
}

static void judge_status(struct probe *probe, const struct head *head)
{
    struct str location = head_value_name(head, STR("location"));
    int shown = location.len > 80 ? 80 : (int)location.len;

    say(probe, "answered %u to GET %.*s%s%s%.*s", head->status,
        STR_FMT(probe->ask.service->health.path.s), hint_of(head->status), location.p ? " to " : "",
        location.p ? shown : 0, location.p ? location.p : "");
}

static void judge_body(struct probe *probe)
{
    struct str wanted = probe->ask.service->health.body.s;
    bool is_there = !wanted.len || (probe->body.len &&
                                    memmem(probe->body.p, probe->body.len, wanted.p, wanted.len));

    if (!is_there)
        say(probe, "answered %u to GET %.*s, without \"%.*s\" in it", probe->result.status,
            STR_FMT(probe->ask.service->health.path.s), (int)(wanted.len > 40 ? 40 : wanted.len),
            wanted.p);
    finish(probe, is_there);
}

/* The one field of HealthCheckResponse, number 1, a varint; -1: it is not there. */
static int serving_status(const struct buf *body)
{
    const unsigned char *p = (const unsigned char *)body->p;

    if (body->len == GRPC_PREFIX)
        return 0; // proto3 leaves out what is zero: UNKNOWN
    if (body->len < GRPC_PREFIX + 2 || p[0] || p[GRPC_PREFIX] != (1 << 3))
        return -1;
    return p[GRPC_PREFIX + 1];
}

static void judge_grpc(struct probe *probe)
{
    static const char *const states[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    int serving = serving_status(&probe->body);

    if (probe->grpc_status > 0)
        say(probe, "grpc.health.v1 answered with status %d%s", probe->grpc_status,
            probe->grpc_status == 12  ? ": it has no health service"
            : probe->grpc_status == 5 ? ": it does not know this service"
                                      : "");
    else if (serving >= 0 && serving < (int)ARRAY_LEN(states))
        say(probe, "grpc.health.v1 says %s", states[serving]);
    else
        say(probe, "the answer is not one of grpc.health.v1");
    finish(probe, !probe->grpc_status && serving == GRPC_SERVING);
}

static void judge(struct probe *probe)
{
    if (probe->ask.service->health.has_grpc)
        judge_grpc(probe);
    else
        judge_body(probe);
}

/* --- events of the answer; each may end the probe, whose memory stays until the codec is done */

static struct probe *enter(struct stream *up)
{
    struct probe *probe = CONTAINER_OF(up, struct probe, up);

    probe->is_busy = true;
    return probe;
}

static void leave(struct probe *probe)
{
    probe->is_busy = false;
    if (probe->is_over)
        destroy(probe);
}

static void note_grpc(struct probe *probe, const struct head *head)
{
    struct str text = head_value_name(head, STR("grpc-status"));

    if (text.len && text.len < 4)
        probe->grpc_status = atoi(text.p);
}

static void on_head(struct stream *up, struct head *head, bool last)
{
    struct probe *probe = enter(up);
    const struct conf_health *health = &probe->ask.service->health;

    probe->result.status = head->status;
    probe->result.is_reached = true;
    if (probe->ask.on_head)
        probe->ask.on_head(probe->owner, head);
    note_grpc(probe, head);
    if (!health->has_grpc)
        judge_status(probe, head);
    if (health->has_grpc ? head->status != 200 : !is_wanted(health, head->status)) {
        if (health->has_grpc)
            say(probe, "answered %u to a gRPC call", head->status);
        finish(probe, false);
    } else if (!health->has_grpc && !health->body.s.len) {
        finish(probe, true);
    } else if (last) {
        judge(probe);
    }
    leave(probe);
}

static void on_interim(struct stream *up, struct head *head)
{
    (void)up;
    (void)head;
}

static void on_body(struct stream *up, struct str bytes, bool last)
{
    struct probe *probe = enter(up);
    size_t room = BODY_MAX - probe->body.len;
    bool is_whole = last;

    up->codec->credit(up, bytes.len);
    if (bytes.len >= room) {
        bytes.len = room;
        is_whole = true; // as much as is looked at
    }
    if (buf_append(&probe->body, &probe->ask.loop->partials, bytes)) {
        fail(probe, REASON_MEMORY_LIMIT);
    } else if (is_whole) {
        judge(probe);
    } else {
        conn_touch(&probe->target->conn);
    }
    leave(probe);
}

static void on_trailers(struct stream *up, struct head *trailers)
{
    struct probe *probe = enter(up);

    note_grpc(probe, trailers);
    judge(probe);
    leave(probe);
}

static void on_reset(struct stream *up, enum reason why)
{
    struct probe *probe = enter(up);

    fail(probe, why);
    leave(probe);
}

static void on_drain(struct stream *up)
{
    (void)up;
}

static const struct sink sink = {
    .on_head = on_head,
    .on_interim = on_interim,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_reset = on_reset,
    .on_drain = on_drain,
};

/* --- whom it is for */

/* Where Host names nobody in particular: the first name that leads to the service. */
static struct str route_host(const struct conf *conf, const struct conf_service *service,
                             struct str address)
{
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];

        for (uint32_t k = 0; k < route->hosts.count; k++)
            if (str_same(route->service.s, service->name.s) && route->hosts.items[k].s.p[0] != '*')
                return route->hosts.items[k].s;
    }
    return address;
}

struct str probe_host(const struct conf *conf, const struct conf_service *service,
                      struct str address)
{
    if (service->host == CONF_HOST_NAME)
        return service->host_name.s;
    return service->host == CONF_HOST_TARGET ? address : route_host(conf, service, address);
}

static void set_port(struct sockaddr_storage *socket, uint16_t port)
{
    if (socket->ss_family == AF_INET)
        ((struct sockaddr_in *)socket)->sin_port = htons(port);
    else if (socket->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)socket)->sin6_port = htons(port);
}

void probe_set_port(struct endpoint_address *addresses, unsigned count, uint16_t port)
{
    for (unsigned i = 0; i < count; i++)
        set_port(&addresses[i].socket, port);
}

/* --- the question */

/* Said as if it had come over TLS: an app that forces HTTPS would answer with a redirect. */
static enum status make_http(const struct probe *probe, struct head *head, struct arena *arena)
{
    struct str path = probe->ask.service->health.path.s;
    const char *mark = memchr(path.p, '?', path.len);

    head->method = METHOD_GET;
    head->method_name = STR("GET");
    head->path = path;
    if (mark) {
        head->path.len = (size_t)(mark - path.p);
        head->query = (struct str){mark + 1, path.len - head->path.len - 1};
    }
    if (head_add(head, arena, STR("User-Agent"), STR("sluice-health")) ||
        head_add(head, arena, STR("Accept"), STR("*/*")) ||
        head_add(head, arena, STR("X-Forwarded-Proto"), STR("https")))
        return E_NOMEM;
    return OK;
}

static enum status make_grpc(struct head *head, struct arena *arena)
{
    head->method = METHOD_POST;
    head->method_name = STR("POST");
    head->path = STR("/grpc.health.v1.Health/Check");
    if (head_add(head, arena, STR("content-type"), STR("application/grpc")) ||
        head_add(head, arena, STR("te"), STR("trailers")) ||
        head_add(head, arena, STR("user-agent"), STR("sluice-health")))
        return E_NOMEM;
    return OK;
}

/* HealthCheckRequest: field 1, the service's name. */
static enum status send_grpc_body(struct probe *probe)
{
    struct str name = probe->ask.service->health.grpc.s;
    size_t len = name.len ? name.len + 2 : 0;
    char *p = arena_zero(&probe->arena, 1, GRPC_PREFIX + len + 1);

    if (!p || name.len > 127)
        return E_NOMEM;
    p[4] = (char)len;
    if (len) {
        p[GRPC_PREFIX] = (1 << 3) | 2; // a length follows
        p[GRPC_PREFIX + 1] = (char)name.len;
        memcpy(p + GRPC_PREFIX + 2, name.p, name.len);
    }
    return probe->up.codec->body(&probe->up, (struct str){p, GRPC_PREFIX + len}, true);
}

static enum status sign(struct probe *probe, struct head *head)
{
    struct str value;

    if (!probe->ask.signer)
        return OK;
    value =
        edge_sign(probe->ask.signer, &probe->arena, head, STR("-"), loop_wall_ms(probe->ask.loop));
    return value.p ? head_add(head, &probe->arena, edge_sign_field, value) : E_NOMEM;
}

static enum status send_question(struct probe *probe)
{
    const struct conf_health *health = &probe->ask.service->health;
    struct wire *wire = probe->target->conn.wire;
    struct head head = {0};
    enum status status;

    if (head_init(&head, &probe->arena, 8) || wire->codec->begin(wire, &probe->up))
        return E_NOMEM;
    status =
        health->has_grpc ? make_grpc(&head, &probe->arena) : make_http(probe, &head, &probe->arena);
    head.form = TARGET_ORIGIN;
    head.minor = 1;
    head.content_length = -1;
    head.authority = probe->ask.host;
    head.scheme = probe->ask.tls ? STR("https") : STR("http");
    if (!status)
        status = sign(probe, &head);
    if (!status)
        status = probe->up.codec->head(&probe->up, &head, !health->has_grpc);
    if (!status && health->has_grpc)
        status = send_grpc_body(probe);
    if (!status && wire->out)
        status = outq_own(wire->out);
    return status;
}

static void on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why)
{
    struct probe *probe = CONTAINER_OF(waiter, struct probe, opening);
    const struct conf_health *health = &probe->ask.service->health;

    if (why) {
        fail(probe, why);
        return;
    }
    probe->target = conn;
    if (!health->path.s.len && !health->has_grpc) {
        say(probe, "a connection to %.*s opens", STR_FMT(probe->ask.endpoint->address));
        probe->result.is_reached = true;
        finish(probe, true);
        return;
    }
    probe->is_busy = true;
    if (send_question(probe) && !probe->is_over)
        fail(probe, REASON_MEMORY_LIMIT);
    else if (!probe->is_over)
        conn_touch(&conn->conn);
    leave(probe);
}

/* --- beginning */

/* A failure before there is a connection is told from the loop, too. */
static void on_not_begun(struct loop_timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);

    fail(probe, probe->result.why);
}

struct probe *probe_start(const struct probe_ask *ask,
                          void (*on_done)(void *owner, const struct probe_result *result),
                          void *owner)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    struct pool_manner manner = {ask->service, ask->tls};
    enum status status;

    if (!probe)
        return NULL;
    probe->ask = *ask;
    probe->on_done = on_done;
    probe->owner = owner;
    probe->grpc_status = -1;
    probe->began_us = ask->loop->now_us;
    probe->opening.on_connect = on_connect;
    probe->up = (struct stream){.sink = &sink, .arena = &probe->arena, .owner = probe};
    arena_init(&probe->arena, &ask->loop->arenas, ARENA_MAX);
    status = pool_open(ask->loop, ask->endpoint, &manner, ask->limits, &probe->opening);
    probe->timer.fire = status ? on_not_begun : on_timer;
    if (status)
        probe->result.why =
            status == E_NOT_FOUND ? REASON_DNS_ERROR : REASON_DESTINATION_UNROUTABLE;
    loop_timer_set(ask->loop, &probe->timer, status ? 0 : ask->service->health.timeout_ms);
    return probe;
}
