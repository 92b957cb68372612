/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/routes: all routes in the order of the file, or with ?match=URL (&method=
 * &header=Name:value, any number) those that could take such a request, best first, each with the
 * reason why it does or does not.
 */
#include <stdlib.h>
#include <string.h>

#include "config/units.h"
#include "edge/manager/api.h"
#include "http/h1.h"

enum { SHOWN = 1000, EXPLAINED = 100, HEADERS = 32 };

static json_t *text_json(struct str text)
{
    json_t *json = json_stringn(text.p ? text.p : "", text.len);

    return json ? json : json_string("");
}

static void set_text(json_t *json, const char *key, struct str text)
{
    if (text.len)
        json_object_set_new(json, key, text_json(text));
}

static void set_texts(json_t *json, const char *key, const struct conf_texts *texts)
{
    json_t *list;

    if (!texts->count)
        return;
    list = json_array();
    for (uint32_t i = 0; i < texts->count; i++)
        json_array_append_new(list, text_json(texts->items[i].s));
    json_object_set_new(json, key, list);
}

static void set_pairs(json_t *json, const char *key, const struct conf_pairs *pairs)
{
    json_t *object;

    if (!pairs->count)
        return;
    object = json_object();
    for (uint32_t i = 0; i < pairs->count; i++)
        json_object_setn_new(object, pairs->items[i].name.s.p, pairs->items[i].name.s.len,
                             text_json(pairs->items[i].value.s));
    json_object_set_new(json, key, object);
}

/* As it is written in the file. */
static void set_paths(json_t *json, const struct conf_route *route, struct arena *arena)
{
    json_t *list;

    if (!route->path_count)
        return;
    list = json_array();
    for (uint32_t i = 0; i < route->path_count; i++) {
        const struct conf_path *path = &route->paths[i];
        const char *before = path->kind == CONF_PATH_REGEX ? "~" : "";
        const char *after = path->kind == CONF_PATH_PREFIX ? "/*" : "";

        json_array_append_new(list, text_json(arena_format(arena, "%s%.*s%s", before,
                                                           STR_FMT(path->text.s), after)));
    }
    json_object_set_new(json, "paths", list);
}

static json_t *route_json(const struct rules *rules, uint32_t index, struct arena *arena)
{
    const struct conf_route *route = &rules->conf->routes[index];
    json_t *json =
        json_pack("{s:i,s:o}", "index", (int)index, "name", text_json(rules->list[index].label));

    set_texts(json, "hosts", &route->hosts);
    set_paths(json, route, arena);
    set_texts(json, "methods", &route->methods);
    set_pairs(json, "headers", &route->headers);
    set_pairs(json, "query", &route->query);
    set_text(json, "service", route->service.s);
    if (route->redirect.is_set)
        json_object_set_new(json, "redirect",
                            json_pack("{s:o,s:i}", "to", text_json(route->redirect.to.s), "status",
                                      (int)route->redirect.status));
    if (route->respond.is_set)
        json_object_set_new(json, "respond",
                            json_pack("{s:i}", "status", (int)route->respond.status));
    return json;
}

static void list(struct admin_call *call)
{
    const struct rules *rules = call->admin->manager->rules;
    struct str limit = rest_query(&call->rest, "limit", 0);
    uint64_t shown = SHOWN;
    json_t *routes;

    if (limit.p && units_int(limit, &shown)) {
        rest_problem(&call->rest, 400, "query_invalid", "limit is a whole number");
        return;
    }
    routes = json_array();
    for (uint32_t i = 0; i < rules->conf->route_count && i < shown; i++)
        json_array_append_new(routes, route_json(rules, i, &call->rest.arena));
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:I,s:I,s:o}", "generation",
                              (json_int_t)call->admin->manager->generation, "total",
                              (json_int_t)rules->conf->route_count, "routes", routes));
}

/* --- match */

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] <= ' ' && text.p[i] != ' ')
            return true;
    return false;
}

static struct str without_scheme(struct str url)
{
    const char *end = memmem(url.p, url.len, "://", 3);

    if (!end || memchr(url.p, '/', (size_t)(end - url.p)))
        return url;
    return (struct str){end + 3, url.len - (size_t)(end + 3 - url.p)};
}

/* The header lines that were asked for; absent when one is none. */
static struct str header_lines(struct admin_call *call)
{
    struct str lines = STR("");

    for (unsigned i = 0; i < HEADERS; i++) {
        struct str header = rest_query(&call->rest, "header", i);

        if (!header.p)
            break;
        if (has_control(header) || !memchr(header.p, ':', header.len))
            return STR_NONE;
        lines = arena_format(&call->rest.arena, "%.*s%.*s\r\n", STR_FMT(lines), STR_FMT(header));
    }
    return lines;
}

/* The request that is asked about, by way of its text, so that it means what it would mean on the
 * wire. */
static enum reason make_request(struct admin_call *call, struct str url, struct head *head)
{
    static const struct wire_limits limits = {REST_HEAD_MAX, REST_HEAD_MAX, HEADERS + 1};
    struct str method = rest_query(&call->rest, "method", 0), lines = header_lines(call);
    struct str rest = without_scheme(url), host = rest, block;
    size_t len = 0;

    while (len < rest.len && !memchr("/?#", rest.p[len], 3))
        len++;
    host.len = len;
    rest = (struct str){rest.p + len, rest.len - len};
    if (rest.len && memchr(rest.p, '#', rest.len))
        rest.len = (size_t)((const char *)memchr(rest.p, '#', rest.len) - rest.p);
    if (!lines.p || has_control(host) || has_control(rest) || (method.p && has_control(method)))
        return REASON_HEADER_VALUE_INVALID;
    if (!method.len)
        method = STR("GET");
    if (!host.len)
        host = STR("localhost");
    block = arena_format(&call->rest.arena, "%.*s %s%.*s HTTP/1.1\r\nHost: %.*s\r\n%.*s\r\n",
                         STR_FMT(method), rest.len && *rest.p == '/' ? "" : "/", STR_FMT(rest),
                         STR_FMT(host), STR_FMT(lines));
    return block.p ? h1_parse_request(block, &limits, &call->rest.arena, head)
                   : REASON_MEMORY_LIMIT;
}

static void explain(struct admin_call *call, const struct head *head)
{
    const struct rules *rules = call->admin->manager->rules;
    struct route_explained *found = arena_zero(&call->rest.arena, EXPLAINED, sizeof(*found));
    uint32_t count =
        found ? route_explain(rules->table, head, &call->rest.arena, found, EXPLAINED) : 0;
    json_t *matches = json_array();

    for (uint32_t i = 0; i < count && i < EXPLAINED; i++) {
        json_t *json = route_json(rules, found[i].index, &call->rest.arena);

        json_object_set_new(json, "fits", json_boolean(found[i].fits));
        json_object_set_new(json, "why", text_json(found[i].why));
        json_array_append_new(matches, json);
    }
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:I,s:I,s:o}", "generation",
                              (json_int_t)call->admin->manager->generation, "total",
                              (json_int_t)count, "matches", matches));
}

void api_routes(struct admin_call *call)
{
    struct str url = rest_query(&call->rest, "match", 0);
    struct head head = {0};
    enum reason why;

    if (!url.p) {
        list(call);
        return;
    }
    why = make_request(call, url, &head);
    if (why)
        rest_problem(&call->rest, 400, "query_invalid", "No such request can be: %s",
                     reason_info(why)->text);
    else
        explain(call, &head);
}
