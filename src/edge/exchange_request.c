/* SPDX-License-Identifier: Apache-2.0
 *
 * The first steps: what the request is (HEAD), where it goes (ROUTE), whether it may (ASK).
 */
#include "edge/exchange_impl.h"
#include "edge/exchange_trace.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "edge/trust.h"
#include "http/grpc.h"

/* "edge-1f3a9c...-42": unique over restarts by the prefix, over requests by the count. */
bool exchange_make_id(struct exchange *x)
{
    struct exchange_host *host = x->host;
    char *start;
    char *at;

    if (x->id.p)
        return true;
    start = at = arena_text(&x->arena, host->edge_name.len + 2 + 2 * TEXT_HEX_MAX);
    if (!start)
        return false;
    at = text_put(at, host->edge_name);
    *at++ = '-';
    at = text_hex(at, host->id_prefix);
    *at++ = '-';
    at = text_hex(at, host->id_next++);
    x->id = (struct str){start, (size_t)(at - start)};
    return true;
}

/* An absolute target of another scheme than the connection's is not for us, nor is a host that its
 * certificate does not stand for. */
static bool is_ours(const struct exchange *x)
{
    struct str wanted = x->request->scheme, scheme = x->origin->peer.scheme;

    if (!wanted.p)
        return !x->origin->is_ours || x->origin->is_ours(x->origin, x->request->authority);
    return wanted.len == scheme.len && !strncasecmp(wanted.p, scheme.p, scheme.len);
}

static bool is_health_check(const struct exchange *x)
{
    struct str health = x->origin->health_path;

    return health.len && x->request->path.len == health.len &&
           !memcmp(x->request->path.p, health.p, health.len);
}

/* An HTTP/2 connection inside a tunnel would pass by routes and filters: such a wish is not passed
 * on (RFC 9110 7.8 lets us ignore it; RFC 9113 3.1 has dropped it). */
static void refuse_h2c(struct head *request)
{
    if (!request->is_upgrade || !head_list_has(head_value(request, HDR_UPGRADE), STR("h2c")))
        return;
    request->is_upgrade = false;
    head_remove(request, HDR_UPGRADE);
    head_remove_name(request, STR("HTTP2-Settings"));
}

/* For the platform's own checker: before routes, limits and the log. */
static enum step answer_health(struct exchange *x)
{
    static const struct exchange_reply good = {200, STR_INIT("text/plain"), STR_INIT("ok\n"), {0}};
    static const struct exchange_reply bad = {503,
                                              STR_INIT("text/plain"),
                                              STR_INIT("draining\n"),
                                              {0}};

    x->is_silent = true;
    return exchange_answer_with(x, x->host->is_draining ? &bad : &good);
}

/* RFC 8555 8.3: what a certificate authority asks for, on any name, before routes and redirects.
 * What we know nothing of is the target's. */
static struct str find_challenge(const struct exchange *x)
{
    static const struct str prefix = STR_INIT("/.well-known/acme-challenge/");
    struct str path = x->request->path;

    if (path.len <= prefix.len || memcmp(path.p, prefix.p, prefix.len) != 0)
        return STR_NONE;
    return snapshot_challenge(x->host->snapshot,
                              (struct str){path.p + prefix.len, path.len - prefix.len});
}

static enum step answer_challenge(struct exchange *x, struct str answer)
{
    struct exchange_reply reply = {.status = 200, .content_type = STR("text/plain")};

    reply.body = arena_copy(&x->arena, answer);
    return reply.body.p ? exchange_answer_with(x, &reply)
                        : exchange_refused(x, REASON_MEMORY_LIMIT);
}

/* The port of https for clients that named our port of http; 0: the usual one. */
static unsigned secure_port(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].tls.is_set)
            return conf->listeners[i].bind.port == 443 ? 0 : conf->listeners[i].bind.port;
    return 0;
}

static enum step redirect_https(struct exchange *x)
{
    const struct head *request = x->request;
    struct str host = x->caller->host.p ? x->caller->host : request->authority;
    struct str query = request->query;
    const char *colon = memrchr(host.p, ':', host.len);
    struct exchange_reply reply = {.status = 308};
    unsigned port = 0;
    char text[16] = "";

    if (colon && memchr(colon, ']', (size_t)(host.p + host.len - colon)))
        colon = NULL; // of an IPv6 address
    if (colon) {
        host.len = (size_t)(colon - host.p);
        port = secure_port(x->snapshot->rules->conf);
    }
    if (port)
        snprintf(text, sizeof(text), ":%u", port);
    reply.location =
        arena_format(&x->arena, "https://%.*s%s%.*s%s%.*s", STR_FMT(host), text,
                     STR_FMT(request->form == TARGET_ASTERISK ? STR("/") : request->path),
                     query.p ? "?" : "", (int)query.len, query.p ? query.p : "");
    if (!reply.location.p)
        return exchange_refused(x, REASON_HEADERS_TOO_LARGE);
    return exchange_answer_with(x, &reply);
}

/* A gRPC call, whose deadline runs from here (PROTOCOL-HTTP2.md, Timeout). One that cannot be read
 * is the target's to judge. */
static void note_grpc(struct exchange *x)
{
    struct str type = head_value(x->request, HDR_CONTENT_TYPE);
    uint64_t ms;

    if (!grpc_read_type(type, NULL))
        return;
    x->grpc_type = type;
    if (grpc_parse_timeout(head_value_name(x->request, STR("grpc-timeout")), &ms))
        loop_timer_set(x->host->loop, &x->deadline, ms);
}

/* Who the client is, and what else its hops say of the request. */
static enum status find_caller(struct exchange *x)
{
    struct trust_word *word;

    if (!trust_is_any(x->trust))
        return OK;
    word = arena_alloc(&x->arena, sizeof(*word));
    if (!word || trust_decide(x->trust, &x->origin->peer, x->request, &x->arena, word))
        return E_NOMEM;
    x->caller = &word->caller;
    x->id = word->request_id;
    x->vouched = word->kept;
    x->is_by_own_proxy = word->is_own;
    return OK;
}

enum step exchange_step_head(struct exchange *x)
{
    const struct conf *conf = x->snapshot->rules->conf;
    const struct head *request = x->request;
    struct str answer;

    x->path = request->path;
    note_grpc(x);
    if (find_caller(x) || !exchange_make_id(x))
        return exchange_refused(x, REASON_MEMORY_LIMIT);
    if (request->method == METHOD_CONNECT || request->method == METHOD_OTHER)
        return exchange_refused(x, REASON_METHOD_UNKNOWN); // no forward proxy, no tunnels by wish
    if (!is_ours(x))
        return exchange_refused(x, REASON_MISDIRECTED); // RFC 9110 15.5.20
    x->awaits_continue = request->expects_continue && !x->down_ended;
    refuse_h2c(x->request);
    head_strip_hop_by_hop(x->request, request->is_upgrade); // before filters add what it may list
    if (exchange_say_subject(x))
        return exchange_refused(x, REASON_MEMORY_LIMIT);
    if (is_health_check(x))
        return answer_health(x);
    exchange_trace_begin(x);
    trust_look(&x->host->watch, x->caller, x->request, x->vouched);
    answer = find_challenge(x);
    if (answer.p)
        return answer_challenge(x, answer);
    if (x->origin->redirect_https && x->caller->scheme.len == 4) // "http"
        return redirect_https(x);
    if (conf->limits.body && request->content_length > 0 &&
        (uint64_t)request->content_length > conf->limits.body)
        return exchange_refused(x, REASON_BODY_TOO_LARGE);
    return STEP_ROUTE;
}

/* A preflight goes where the request that it announces would go: its filters answer it. */
static struct route_match match_route(struct exchange *x)
{
    const struct route_table *table = x->snapshot->rules->table;
    struct route_match match = route_match(table, x->request);
    struct head announced = *x->request;

    if (!match.method_mismatch || !head_is_preflight(x->request))
        return match;
    announced.method_name = head_value_name(x->request, STR("access-control-request-method"));
    match = route_match(table, &announced);
    x->is_only_announced = match.route != NULL;
    return match;
}

enum step exchange_step_route(struct exchange *x)
{
    const struct rules *rules = x->snapshot->rules;
    struct route_match match = match_route(x);

    if (!match.route)
        return exchange_refused(x, match.method_mismatch ? REASON_METHOD_NOT_ALLOWED
                                                         : REASON_ROUTE_NOT_FOUND);
    x->route = match.route;
    x->rule = &rules->list[match.index];
    x->route_label = x->rule->label;
    x->route_slot = __atomic_load_n(&x->rule->slot, __ATOMIC_RELAXED);
    if (x->rule->service >= 0) {
        x->service = &x->snapshot->services[x->rule->service];
        x->service_name = x->service->conf->name.s;
    }
    stat_gauge(&stats_route(x->host->stats, x->host->loop->worker, x->route_slot)->in_flight, 1);
    x->is_routed = true;
    return STEP_ASK;
}

static enum step answer_redirect(struct exchange *x)
{
    struct exchange_reply reply = {.status = (uint16_t)x->route->redirect.status};

    reply.location = route_redirect(x->route, x->request, x->caller->scheme, &x->arena);
    if (!reply.location.p)
        return exchange_refused(x, REASON_HEADERS_TOO_LARGE);
    return exchange_answer_with(x, &reply);
}

static enum step answer_fixed(struct exchange *x)
{
    struct exchange_reply reply = {
        .status = (uint16_t)x->route->respond.status,
        .content_type = x->route->respond.content_type.s,
        .body = x->route->respond.body.s,
    };

    return exchange_answer_with(x, &reply);
}

static enum step after_filters(struct exchange *x)
{
    if (x->is_only_announced) // no filter answered it
        return exchange_refused(x, REASON_METHOD_NOT_ALLOWED);
    if (x->route->redirect.is_set)
        return answer_redirect(x);
    if (x->route->respond.is_set)
        return answer_fixed(x);
    return STEP_PICK;
}

enum status exchange_start_walk(struct exchange *x)
{
    const struct conf_route *route = x->route;
    struct visit common = {
        .arena = &x->arena,
        .env = &x->host->env,
        .caller = x->caller,
        .route = x->route_label,
        .id = x->id,
        .request = x->request,
        .has_body = !x->came_whole,
        .is_static = route && (route->redirect.is_set || route->respond.is_set),
    };

    x->walk.ends = &exchange_ends;
    x->walk.owner = x;
    return chain_start(&x->walk, x->rule ? x->rule->chain : x->snapshot->rules->plain, &common);
}

static enum step passed(struct exchange *x)
{
    enum reason why = x->walk.edits_request ? exchange_edit_held(x) : REASON_NONE;

    if (why)
        return exchange_refused(x, why);
    if (!x->walk.holds_request || x->held_last)
        return after_filters(x);
    return exchange_begin_hold(x) ? exchange_refused(x, REASON_MEMORY_LIMIT) : STEP_WAIT;
}

enum step exchange_step_ask(struct exchange *x)
{
    struct visit *visit;
    struct exchange_reply reply;

    if (!x->walk.chain) {
        if (!chain_now(x->rule->chain, &x->host->env)->count)
            return after_filters(x);
        // What filters say to the target is not the client's to take away: "Connection: x-user".
        head_strip_hop_by_hop(x->request, x->request->is_upgrade);
        if (exchange_start_walk(x))
            return exchange_refused(x, REASON_MEMORY_LIMIT);
    } else if (x->is_holding) { // all have been asked, and the body has come
        x->is_holding = false;
        return after_filters(x);
    }
    switch (chain_request(&x->walk, &visit)) {
    case VERDICT_PASS:
        return passed(x);
    case VERDICT_REPLY:
        reply = (struct exchange_reply){visit->reply.status, visit->reply.content_type,
                                        visit->reply.body, STR_NONE};
        return exchange_answer_with(x, &reply);
    case VERDICT_WAIT:
        return STEP_WAIT;
    default:
        return exchange_refused(x, visit->reason ? visit->reason : REASON_INTERNAL_ERROR);
    }
}

void exchange_resume_ask(void *owner)
{
    struct exchange *x = owner;

    exchange_run(x, STEP_ASK);
}
