/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/outbound.h"

enum {
    TRIES_MAX = 6,
    BACKOFF_MS = 250,
    BACKOFF_MAX_MS = 8000,
    RETRY_AFTER_MAX_MS = 30 * 1000,
    TIMEOUT_MS = 15 * 1000,
    ANSWER_MAX = 16 << 20,
};

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- what an answer means */

const char *fly_api_error(const json_t *body)
{
    const char *text = json_string_value(json_object_get(body, "error"));

    return text ? text : json_string_value(json_object_get(body, "message"));
}

static bool is_capacity(const json_t *body)
{
    const char *status = json_string_value(json_object_get(body, "status"));
    const char *text = fly_api_error(body);

    if (status &&
        (!strcmp(status, "insufficient_capacity") || !strcmp(status, "volume_placement_capacity")))
        return true;
    return text &&
           (strstr(text, "insufficient_capacity") || strstr(text, "insufficient resources") ||
            strstr(text, "could not reserve resource"));
}

enum provider_fault fly_api_fault(long status, const json_t *body)
{
    if (status >= 200 && status < 300)
        return PROVIDER_OK;
    if (status == 401 || status == 403)
        return PROVIDER_UNAUTHORIZED;
    if (is_capacity(body))
        return PROVIDER_CAPACITY;
    if (!status || status >= 500)
        return PROVIDER_TRANSIENT;
    // Not yet, leased by another, not in this state, and too often.
    return status == 408 || status == 409 || status == 412 || status == 429 ? PROVIDER_TRANSIENT
                                                                            : PROVIDER_PERMANENT;
}

/* --- the end of a request */

static void unlink_ask(struct fly_ask *ask)
{
    struct fly_ask **link = &ask->api->asks;

    while (*link != ask)
        link = &(*link)->next;
    *link = ask->next;
    ask->api = NULL;
    free(ask->url);
    free(ask->body);
    free(ask->nonce);
    ask->url = ask->body = ask->nonce = NULL;
}

void fly_api_cancel(struct fly_ask *ask)
{
    if (!ask->api)
        return;
    outbound_cancel(&ask->call);
    unlink_ask(ask);
}

static void finish(struct fly_ask *ask, const struct fly_reply *reply)
{
    struct fly_request request = ask->request;

    unlink_ask(ask);
    request.done(request.owner, reply);
}

/* --- going again */

static void on_timer(uv_timer_t *timer);

static void wait_for_due(struct fly_api *api)
{
    int64_t due_ms = INT64_MAX, wait_ms;

    for (const struct fly_ask *ask = api->asks; ask; ask = ask->next)
        if (!ask->call && ask->due_ms < due_ms)
            due_ms = ask->due_ms;
    if (due_ms == INT64_MAX) {
        uv_timer_stop(&api->timer);
        return;
    }
    wait_ms = due_ms - now();
    uv_update_time(api->timer.loop);
    uv_timer_start(&api->timer, on_timer, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

/* What was refused for its rate was not done; all but a create may be done twice. */
static bool may_go_again(const struct fly_ask *ask, const struct fly_reply *reply)
{
    if (ask->tries >= TRIES_MAX || reply->retry_ms > RETRY_AFTER_MAX_MS)
        return false;
    return reply->status == 429 ||
           (reply->is_lost && ask->request.action != FLY_CREATE && !ask->request.is_once);
}

static void go_again(struct fly_ask *ask, const struct fly_reply *reply)
{
    uint32_t pause_ms = BACKOFF_MS;

    for (uint32_t i = 1; i < ask->tries && pause_ms < BACKOFF_MAX_MS; i++)
        pause_ms *= 2;
    pause_ms += random_below(&ask->api->random, pause_ms / 2);
    if (reply->retry_ms > pause_ms)
        pause_ms = reply->retry_ms;
    ask->due_ms = now() + pause_ms;
    wait_for_due(ask->api);
}

/* --- one request */

static void explain(const struct fly_ask *ask, const struct outbound_reply *from,
                    const struct fly_reply *reply, char reason[FLY_REASON_MAX])
{
    const char *said = fly_api_error(reply->body);

    *reason = '\0';
    if (!from->status)
        snprintf(reason, FLY_REASON_MAX, "Fly.io did not answer: %.200s", from->error);
    else if (reply->fault == PROVIDER_UNAUTHORIZED)
        snprintf(reason, FLY_REASON_MAX, "Fly.io refuses the token (%ld%s%.200s)", from->status,
                 said ? ": " : "", said ? said : "");
    else if (reply->fault)
        snprintf(reason, FLY_REASON_MAX, "Fly.io says %ld%s%.200s%s%s", from->status,
                 said ? ": " : "", said ? said : "", ask->request.machine ? ", of machine " : "",
                 ask->request.machine ? ask->request.machine : "");
}

static void on_reply(void *owner, const struct outbound_reply *from)
{
    struct fly_ask *ask = owner;
    char reason[FLY_REASON_MAX];
    json_t *body = from->status ? json_loadb(from->body.p, from->body.len, 0, NULL) : NULL;
    struct fly_reply reply = {.status = from->status,
                              .body = body,
                              .reason = reason,
                              .cursor = from->cursor,
                              .retry_ms = from->retry_ms > 0 && from->retry_ms < UINT32_MAX
                                              ? (uint32_t)from->retry_ms
                                              : 0};
    bool is_read = ask->request.action == FLY_LIST || ask->request.action == FLY_GET ||
                   ask->request.action == FLY_CREATE || ask->request.action == FLY_LEASE;

    ask->call = NULL;
    fly_limit_done(&ask->api->limit, ask->request.action,
                   ask->request.machine ? ask->request.machine : "", now());
    reply.fault = fly_api_fault(from->status, body);
    reply.is_lost = reply.fault == PROVIDER_TRANSIENT && (!from->status || from->status >= 500);
    explain(ask, from, &reply, reason);
    if (!reply.fault && is_read && !body) {
        reply.fault = PROVIDER_TRANSIENT;
        reply.is_lost = true;
        snprintf(reason, sizeof(reason), "Fly.io's answer is no JSON");
    }
    if (may_go_again(ask, &reply))
        go_again(ask, &reply);
    else
        finish(ask, &reply);
    json_decref(body);
}

static const char *method_of(enum fly_action action)
{
    switch (action) {
    case FLY_APP:
    case FLY_LIST:
    case FLY_GET:
    case FLY_WAIT:
        return "GET";
    case FLY_DELETE:
    case FLY_UNLEASE:
        return "DELETE";
    default:
        return "POST";
    }
}

static void send_now(struct fly_ask *ask)
{
    const struct fly_request *request = &ask->request;
    const char *fields[] = {ask->api->authorization, "Content-Type: application/json", ask->nonce,
                            NULL};
    struct outbound_request out = {
        .method = method_of(request->action),
        .url = ask->url,
        .fields = fields,
        .body = ask->body ? (struct str){ask->body, strlen(ask->body)} : STR_NONE,
        .timeout_ms = request->ms ? request->ms : TIMEOUT_MS,
        .size_max = ANSWER_MAX,
        .done = on_reply,
        .owner = ask,
    };

    if (!ask->body && !strcmp(out.method, "POST"))
        out.body = STR("");
    ask->tries++;
    ask->call = outbound_send(ask->api->outbound, &out);
    if (!ask->call)
        finish(ask, &(struct fly_reply){.fault = PROVIDER_TRANSIENT, .reason = "out of memory"});
}

static void try_send(struct fly_ask *ask)
{
    const struct fly_request *request = &ask->request;
    int64_t wait_ms;

    if (request->action == FLY_PAUSE) {
        finish(ask, &(struct fly_reply){.reason = ""});
        return;
    }
    if (!ask->url) {
        finish(ask, &(struct fly_reply){.fault = PROVIDER_TRANSIENT, .reason = "out of memory"});
        return;
    }
    wait_ms = fly_limit_take(&ask->api->limit, request->action,
                             request->machine ? request->machine : "", now());
    if (wait_ms)
        ask->due_ms = now() + wait_ms;
    else
        send_now(ask);
}

/* One at a time: what ends may begin others, and end some. */
static void on_timer(uv_timer_t *timer)
{
    struct fly_api *api = timer->data;
    int64_t at_ms = now();
    struct fly_ask *ask = api->asks;

    while (ask && (ask->call || ask->due_ms > at_ms))
        ask = ask->next;
    if (ask)
        try_send(ask);
    wait_for_due(api);
}

/* --- making one */

static const char *suffix_of(enum fly_action action)
{
    switch (action) {
    case FLY_WAIT:
        return "/wait";
    case FLY_START:
        return "/start";
    case FLY_STOP:
        return "/stop";
    case FLY_SUSPEND:
        return "/suspend";
    case FLY_LEASE:
    case FLY_UNLEASE:
        return "/lease";
    default:
        return "";
    }
}

static char *join(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(size);

    if (text)
        snprintf(text, size, "%s%s%s", a, b, c);
    return text;
}

/* Leaves the URL out where there is no memory. */
static void write_texts(struct fly_ask *ask)
{
    const struct fly_request *request = &ask->request;
    const char *machine = request->machine ? request->machine : "";
    char path[256];

    snprintf(path, sizeof(path), "%s%s%s%s%s", request->action == FLY_APP ? "" : "/machines",
             *machine ? "/" : "", machine, suffix_of(request->action), request->query ? "?" : "");
    ask->url = join(ask->api->base, path, request->query ? request->query : "");
    ask->body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
    ask->nonce = request->nonce && *request->nonce
                     ? join("fly-machine-lease-nonce: ", request->nonce, "")
                     : NULL;
    if ((request->body && !ask->body) || (request->nonce && *request->nonce && !ask->nonce)) {
        free(ask->url);
        ask->url = NULL;
    }
}

void fly_api_send(struct fly_api *api, struct fly_ask *ask, const struct fly_request *request)
{
    struct fly_ask **link = &api->asks;

    *ask = (struct fly_ask){.api = api, .request = *request, .due_ms = now()};
    if (request->action == FLY_PAUSE)
        ask->due_ms += request->ms;
    else
        write_texts(ask);
    while (*link)
        link = &(*link)->next;
    *link = ask;
    wait_for_due(api);
}

/* --- life */

/* A macaroon has a scheme of its own. */
static char *authorization_of(struct str token)
{
    bool has_scheme = !strncmp(token.p, "FlyV1 ", 6) || !strncmp(token.p, "Bearer ", 7);
    const char *scheme = has_scheme ? "" : !strncmp(token.p, "fm", 2) ? "FlyV1 " : "Bearer ";

    return join("Authorization: ", scheme, token.p);
}

enum status fly_api_open(struct fly_api *api, struct outbound *outbound,
                         const struct conf_fly *conf)
{
    *api = (struct fly_api){.outbound = outbound, .random = clock_us()};
    api->authorization = authorization_of(conf->token.s);
    api->base = join(conf->api.s.p, "/v1/apps/", conf->app.s.p);
    if (!api->authorization || !api->base) {
        free(api->authorization);
        free(api->base);
        return E_NOMEM;
    }
    fly_limit_init(&api->limit, now());
    uv_timer_init(outbound_loop(outbound), &api->timer);
    api->timer.data = api;
    return OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fly_api *api = handle->data;

    api->on_closed(api->owner);
}

void fly_api_close(struct fly_api *api, void (*on_closed)(void *owner), void *owner)
{
    free(api->authorization);
    free(api->base);
    api->on_closed = on_closed;
    api->owner = owner;
    uv_close((uv_handle_t *)&api->timer, on_timer_closed);
}
