/* SPDX-License-Identifier: Apache-2.0
 *
 * One edge and the calls of its admin API: which is the next, and what its answer means. Called by
 * edges.c through edges_impl.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/edges_impl.h"
#include "control/say.h"

enum {
    POLL_MS = 2000,
    LIST_MS = 60000,
    RETRY_MS = 2000,
    REFUSED_MS = 15000, /* an edge that says no says it again */
    CALL_MS = 5000,
    REPLY_MAX = 8 * 1024 * 1024,
};

static uint64_t bit(const struct edge *edge)
{
    return (uint64_t)1 << (edge - edge->edges->items);
}

static void tell_change(const struct edge *edge)
{
    edge->edges->options.on_change(edge->edges->options.owner);
}

/* --- what came back */

void edge_note_error(struct edge *edge, const struct outbound_reply *reply)
{
    json_t *body = reply->status ? json_loadb(reply->body.p, reply->body.len, 0, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(body, "detail"));

    if (reply->status)
        say_into(edge->error, sizeof(edge->error), "%ld %s", reply->status, detail ? detail : "");
    else if (edge->socket)
        say_into(edge->error, sizeof(edge->error), "nothing answers at %s", edge->socket);
    else
        say_into(edge->error, sizeof(edge->error), "%s", reply->error);
    json_decref(body);
    tell_change(edge);
}

void edge_fail(struct edge *edge, const struct outbound_reply *reply)
{
    edge->is_unreachable = true;
    if (!edge->silent_ms)
        edge->silent_ms = (int64_t)(clock_us() / 1000);
    edge->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
    edge->pid = 0; // it may be another one that answers next
    edge_note_error(edge, reply);
}

void edge_succeed(struct edge *edge)
{
    edge->silent_ms = 0;
    if (!edge->is_unreachable)
        return;
    edge->is_unreachable = false;
    tell_change(edge);
}

/* Another process knows nothing of what the one before was given. */
static void forget_all(struct edge *edge)
{
    for (struct edges_item *item = edge->edges->wanted; item; item = item->next)
        item->have &= ~bit(edge);
    edge->list_ms = 0;
}

static void take_status(struct edge *edge, json_t *status)
{
    json_int_t pid = json_integer_value(json_object_get(status, "pid"));
    json_int_t generation = json_integer_value(json_object_get(status, "generation"));
    bool is_another = pid != edge->pid, is_changed = is_another || generation != edge->generation;

    if (is_changed && edge->config != EDGE_CONFIG_TRIED)
        edge->config = EDGE_CONFIG_UNKNOWN;
    if (is_another)
        forget_all(edge);
    else if (is_changed)
        edge->list_ms = 0;
    edge->pid = pid;
    edge->generation = generation;
    edge_keys_take(edge, status);
    if (is_changed)
        tell_change(edge);
    if (is_changed && edge->is_own)
        edge->edges->options.on_generation(edge->edges->options.owner);
}

static void tell_status(const struct edge *edge, const json_t *status)
{
    edge->edges->options.on_status(edge->edges->options.owner, edge->name, status);
}

static void on_status(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    json_t *status;

    edge->call = NULL;
    edge->poll_ms = (int64_t)(clock_us() / 1000) + POLL_MS;
    if (reply->status != 200) {
        edge_fail(edge, reply);
        tell_status(edge, NULL);
        return;
    }
    edge_succeed(edge);
    status = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    take_status(edge, status);
    tell_status(edge, status);
    json_decref(status);
}

static bool is_listed(json_t *list, const struct edges_item *item)
{
    json_t *each;
    size_t i;

    json_array_foreach(list, i, each)
    {
        const char *name = json_string_value(json_object_get(each, "name"));
        const char *print = json_string_value(json_object_get(each, "fingerprint"));

        if (name && print && !strcmp(name, item->name) && !strcasecmp(print, item->fingerprint))
            return true;
    }
    return false;
}

static void on_list(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    json_t *body, *list;

    edge->call = NULL;
    if (reply->status != 200) {
        edge_fail(edge, reply);
        return;
    }
    edge_succeed(edge);
    edge->list_ms = (int64_t)(clock_us() / 1000) + LIST_MS;
    body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    list = json_object_get(body, "certificates");
    for (struct edges_item *item = edge->edges->wanted; item; item = item->next) {
        if (!item->is_certificate)
            continue;
        item->have &= ~bit(edge);
        if (is_listed(list, item))
            item->have |= bit(edge);
    }
    json_decref(body);
}

static void on_pushed(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    struct edges_item *item = edge->edges->wanted;
    bool is_good;

    while (item && item != edge->subject)
        item = item->next;
    edge->call = NULL;
    edge->subject = NULL;
    if (!reply->status) {
        edge_fail(edge, reply);
        return;
    }
    edge_succeed(edge);
    if (!item)
        return;
    // What it does not have any more need not be taken from it.
    is_good = reply->status / 100 == 2 || item->is_dropped;
    edge->refuses[item->is_certificate] = !is_good;
    if (is_good) {
        item->have = item->is_dropped ? item->have & ~bit(edge) : item->have | bit(edge);
        tell_change(edge);
        return;
    }
    edge->again_ms[item->is_certificate] = (int64_t)(clock_us() / 1000) + REFUSED_MS;
    edge_note_error(edge, reply);
}

/* --- what to do next */

struct outbound_call *edge_call(const struct edge *edge, const struct edges_ask *ask)
{
    const char *fields[] = {"Content-Type: application/json", edge->field, NULL};
    struct outbound_request request = {.method = ask->method,
                                       .socket = edge->socket,
                                       .fields = fields,
                                       .ca = edge->ca,
                                       .timeout_ms = ask->timeout_ms,
                                       .size_max = REPLY_MAX,
                                       .is_near = true,
                                       .done = ask->done,
                                       .owner = ask->owner};
    struct outbound_call *call;
    char *url = NULL;

    if (asprintf(&url, "%s%s", edge->url, ask->path) < 0)
        return NULL;
    request.url = url;
    if (ask->body)
        request.body = (struct str){ask->body, strlen(ask->body)};
    call = outbound_send(edge->edges->options.outbound, &request);
    free(url);
    return call;
}

struct ask {
    const char *method, *path, *body;
    void (*done)(void *owner, const struct outbound_reply *reply);
};

static void call(struct edge *edge, const struct ask *ask)
{
    struct edges_ask full = {ask->method, ask->path, ask->body, CALL_MS, ask->done, edge};

    edge->call = edge_call(edge, &full);
}

static void push(struct edge *edge, const struct edges_item *item)
{
    struct ask ask = {item->is_dropped ? "DELETE" : "PUT", NULL,
                      item->is_dropped ? NULL : item->body, on_pushed};
    char path[400];

    snprintf(path, sizeof(path), "/api/v1/%s/%s",
             item->is_certificate ? "certificates" : "challenges", item->name);
    ask.path = path;
    edge->subject = item;
    call(edge, &ask);
}

/* Challenges first: somebody waits for them. */
static const struct edges_item *find_due(const struct edge *edge, bool is_certificate)
{
    for (const struct edges_item *item = edge->edges->wanted; item; item = item->next) {
        bool has = (item->have & bit(edge)) != 0;

        if (item->is_certificate == is_certificate && has == item->is_dropped)
            return item;
    }
    return NULL;
}

static bool wants_certificates(const struct edge *edge)
{
    const struct edges_item *item = edge->edges->wanted;

    while (item && !item->is_certificate)
        item = item->next;
    return item != NULL;
}

static const struct edges_item *find_now(const struct edge *edge, bool is_certificate,
                                         int64_t now_ms)
{
    return now_ms < edge->again_ms[is_certificate] ? NULL : find_due(edge, is_certificate);
}

void edge_push_next(struct edge *edge, int64_t now_ms)
{
    const struct edges_item *due;

    if (edge->call || now_ms < edge->retry_ms)
        return;
    if (!edge->pid || now_ms >= edge->poll_ms)
        call(edge, &(struct ask){"GET", "/api/v1/status", NULL, on_status});
    else if ((due = find_now(edge, false, now_ms)))
        push(edge, due);
    else if (edge_keys_are_due(edge, now_ms))
        edge_keys_push(edge);
    else if (now_ms >= edge->list_ms && wants_certificates(edge))
        call(edge, &(struct ask){"GET", "/api/v1/certificates", NULL, on_list});
    else if ((due = find_now(edge, true, now_ms)))
        push(edge, due);
    else
        edges_config_next(edge, now_ms);
}
