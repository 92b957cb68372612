/* SPDX-License-Identifier: Apache-2.0 */
#include "control/edges_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/say.h"

/* --- what edges are to have */

static void free_item(struct edges_item *item)
{
    free(item->name);
    free(item->fingerprint);
    free(item->body);
    free(item);
}

static struct edges_item **find(struct edges *edges, bool is_certificate, const char *name)
{
    struct edges_item **link = &edges->wanted;

    while (*link && ((*link)->is_certificate != is_certificate || strcmp((*link)->name, name)))
        link = &(*link)->next;
    return link;
}

static void remove_item(struct edges *edges, struct edges_item **link)
{
    struct edges_item *gone = *link;

    for (uint32_t i = 0; i < edges->count; i++) {
        struct edge *edge = &edges->items[i];

        if (edge->subject != gone)
            continue;
        outbound_cancel(&edge->call);
        edge->subject = NULL;
    }
    *link = gone->next;
    free_item(gone);
}

/* Takes `body`, which is freed in any case. */
static enum status put_item(struct edges *edges, const struct edges_item *like, json_t *body)
{
    struct edges_item *item = calloc(1, sizeof(*item)), **link;

    if (item && body) {
        *item = (struct edges_item){.is_certificate = like->is_certificate,
                                    .name = strdup(like->name),
                                    .fingerprint = strdup(like->fingerprint),
                                    .body = json_dumps(body, JSON_COMPACT)};
    }
    json_decref(body);
    if (!item || !item->name || !item->fingerprint || !item->body) {
        if (item)
            free_item(item);
        return E_NOMEM;
    }
    link = find(edges, like->is_certificate, like->name);
    if (*link)
        remove_item(edges, link);
    item->next = edges->wanted;
    edges->wanted = item;
    return OK;
}

enum status edges_put_answer(struct edges *edges, const struct edges_answer *answer)
{
    struct edges_item like = {.name = (char *)(uintptr_t)answer->token, .fingerprint = ""};

    return put_item(edges, &like,
                    json_pack("{s:s,s:s,s:s}", "type", answer->type, "domain", answer->domain,
                              "answer", answer->text));
}

enum status edges_put_certificate(struct edges *edges, const struct edges_certificate *certificate)
{
    struct edges_item like = {.is_certificate = true,
                              .name = (char *)(uintptr_t)certificate->name,
                              .fingerprint = (char *)(uintptr_t)certificate->fingerprint};
    struct edges_item *held = *find(edges, true, certificate->name);

    if (held && !held->is_dropped && !strcmp(held->fingerprint, certificate->fingerprint))
        return OK;
    return put_item(edges, &like,
                    json_pack("{s:s,s:s}", "certificate", certificate->chain, "key",
                              certificate->key));
}

void edges_drop_answer(struct edges *edges, const char *token)
{
    struct edges_item *item = *find(edges, false, token);

    if (item)
        item->is_dropped = true;
}

void edges_drop_certificate(struct edges *edges, const char *name)
{
    struct edges_item *item = *find(edges, true, name);

    if (item)
        item->is_dropped = true;
}

struct edges_spread edges_spread(const struct edges *edges, const char *token)
{
    struct edges_spread spread = {0};
    const struct edges_item *item = edges->wanted;

    while (item && (item->is_certificate || strcmp(item->name, token)))
        item = item->next;
    for (uint32_t i = 0; item && i < edges->count; i++) {
        if (item->have >> i & 1)
            spread.have++;
        else if (edges->items[i].is_unreachable || edges->items[i].refuses[0])
            spread.failing++;
        else
            spread.pending++;
    }
    return spread;
}

/* What was dropped stays until no edge has it, as far as we know. */
static void sweep(struct edges *edges)
{
    struct edges_item **link = &edges->wanted;

    while (*link) {
        if ((*link)->is_dropped && !(*link)->have)
            remove_item(edges, link);
        else
            link = &(*link)->next;
    }
}

/* --- the list of edges */

static void forget(struct edge *edge)
{
    outbound_cancel(&edge->call);
    edge_feed_free(&edge->feed);
    free(edge->name);
    free(edge->url);
    free(edge->socket);
    free(edge->field);
    free(edge->ca);
    *edge = (struct edge){.name = NULL};
}

static char *text(struct str s)
{
    return strndup(s.len ? s.p : "", s.len);
}

static bool make_own(struct edge *edge, const struct conf *conf)
{
    *edge = (struct edge){.is_own = true,
                          .name = strdup("this machine"),
                          .url = strdup("http://localhost"),
                          .socket = text(conf->admin.socket.s)};
    return edge->name && edge->url && edge->socket;
}

/* Of what is not written: NULL. */
static bool copy(char **to, struct str s)
{
    *to = s.len ? text(s) : NULL;
    return *to || !s.len;
}

static bool copy_token(struct edge *edge, struct str token)
{
    if (token.len && asprintf(&edge->field, "Authorization: Bearer %.*s", STR_FMT(token)) < 0)
        edge->field = NULL;
    return edge->field || !token.len;
}

static bool make_other(struct edge *edge, const struct conf_edge *conf)
{
    struct str url = conf->url.s;
    bool is_unix = url.len > 5 && !memcmp(url.p, "unix:", 5);
    struct str path = is_unix ? (struct str){url.p + 5, url.len - 5} : STR_NONE;

    *edge = (struct edge){.name = text(conf->name.s),
                          .url = is_unix ? strdup("http://localhost") : text(url)};
    if (edge->url && *edge->url && edge->url[strlen(edge->url) - 1] == '/')
        edge->url[strlen(edge->url) - 1] = '\0';
    return copy(&edge->socket, path) && copy(&edge->ca, conf->ca.s) &&
           copy_token(edge, conf->token.s) && edge->name && edge->url;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool is_same(const struct edge *a, const struct edge *b)
{
    return is_same_text(a->name, b->name) && is_same_text(a->url, b->url) &&
           is_same_text(a->socket, b->socket) && is_same_text(a->field, b->field) &&
           is_same_text(a->ca, b->ca);
}

static bool make_all(struct edge *fresh, uint32_t *count, const struct conf *conf)
{
    bool is_good = conf->role == CONF_ROLE_CONTROL || make_own(&fresh[(*count)++], conf);

    for (uint32_t i = 0; is_good && i < conf->control.edge_count && *count < EDGES_MAX; i++)
        is_good = make_other(&fresh[(*count)++], &conf->control.edges[i]);
    return is_good;
}

static void follow(struct edge *edge)
{
    edge->feed =
        edge_feed_new(&(struct edge_feed_options){.outbound = edge->edges->options.outbound,
                                                  .store = edge->edges->options.store,
                                                  .name = edge->name,
                                                  .url = edge->url,
                                                  .socket = edge->socket,
                                                  .field = edge->field,
                                                  .ca = edge->ca});
    if (!edge->feed)
        say_line("out of memory: what is changed on edge %s is not followed", edge->name);
}

enum status edges_configure(struct edges *edges, const struct conf *conf)
{
    struct edge fresh[EDGES_MAX];
    uint32_t count = 0;
    bool is_good, is_known;

    edges_config_read(edges, &conf->control.edge_config);
    is_good = make_all(fresh, &count, conf);
    is_known = count == edges->count;

    for (uint32_t i = 0; is_good && is_known && i < count; i++)
        is_known = is_same(&fresh[i], &edges->items[i]);
    if (!is_good || is_known) {
        while (count)
            forget(&fresh[--count]);
        return is_good ? OK : E_NOMEM;
    }
    while (edges->count)
        forget(&edges->items[--edges->count]);
    for (uint32_t i = 0; i < count; i++) {
        edges->items[i] = fresh[i];
        edges->items[i].edges = edges;
        follow(&edges->items[i]);
    }
    edges->count = count;
    for (uint32_t i = 0; i < count; i++)
        edges->items[i].is_forgotten = json_object_get(edges->forgotten, fresh[i].name) != NULL;
    edges->version++;
    for (struct edges_item *item = edges->wanted; item; item = item->next)
        item->have = 0;
    return OK;
}

/* --- calls of others */

uint32_t edges_count(const struct edges *edges)
{
    return edges->count;
}

uint32_t edges_version(const struct edges *edges)
{
    return edges->version;
}

const char *edges_name(const struct edges *edges, uint32_t index)
{
    return edges->items[index].name;
}

bool edges_is_own(const struct edges *edges, uint32_t index)
{
    return edges->items[index].is_own;
}

struct outbound_call *edges_ask(const struct edges *edges, uint32_t index,
                                const struct edges_ask *ask)
{
    return edge_call(&edges->items[index], ask);
}

/* --- life */

struct edges *edges_new(const struct edges_options *options)
{
    struct edges *edges = calloc(1, sizeof(*edges));

    if (!edges)
        return NULL;
    edges->options = *options;
    edges->forgotten = json_object();
    edges_read_forgotten(edges);
    return edges;
}

void edges_close(struct edges *edges)
{
    while (edges->count)
        forget(&edges->items[--edges->count]);
    while (edges->wanted)
        remove_item(edges, &edges->wanted);
}

void edges_free(struct edges **edges)
{
    struct edges *gone = *edges;

    *edges = NULL;
    if (!gone)
        return;
    edges_config_drop(gone);
    json_decref(gone->forgotten);
    free(gone->keys);
    free(gone);
}

/* Said when it changes; the edge of this machine has a supervisor that says the same. */
static void say_reach(struct edge *edge)
{
    if (edge_is_failing(edge) == edge->was_failing)
        return;
    edge->was_failing = !edge->was_failing;
    if (edge->was_failing)
        say_line("edge %s does not take what it is given: %s", edge->name, edge->error);
    else
        say_line("edge %s answers again", edge->name);
}

void edges_tick(struct edges *edges, int64_t now_ms)
{
    sweep(edges);
    edges_remember(edges);
    for (uint32_t i = 0; i < edges->count; i++) {
        say_reach(&edges->items[i]);
        edge_push_next(&edges->items[i], now_ms);
        if (edges->items[i].feed)
            edge_feed_tick(edges->items[i].feed, now_ms);
    }
}

bool edges_is_reachable(const struct edges *edges, uint32_t index)
{
    return edges->items[index].pid && !edges->items[index].is_unreachable;
}

json_t *edges_json(const struct edges *edges)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < edges->count; i++) {
        const struct edge *edge = &edges->items[i];
        json_t *one = json_pack("{s:s,s:b,s:I,s:s*}", "name", edge->name, "reachable",
                                edges_is_reachable(edges, i), "generation", edge->generation,
                                "config", edges_config_word(edge));

        if (edge_is_failing(edge))
            json_object_set_new(one, "error", json_string(edge->error));
        json_object_set_new(one, "silent_s",
                            json_integer(edges_silent_ms(edges, i, (int64_t)(clock_us() / 1000)) /
                                         1000));
        json_object_set_new(one, "forgotten", json_boolean(edge->is_forgotten));
        if (edges_config_error(edge))
            json_object_set_new(one, "config_error", json_string(edges_config_error(edge)));
        json_array_append_new(list, one);
    }
    return list;
}
