/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/route/condition.h"

#include <string.h>
#include <strings.h>

bool route_str_equal(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || memcmp(a.p, b.p, a.len) == 0);
}

uint32_t route_condition_count(const struct conf_route *route)
{
    return (route->methods.count ? 1 : 0) + route->headers.count + route->query.count;
}

static bool has_text(const struct conf_texts *texts, struct str word)
{
    for (uint32_t i = 0; i < texts->count; i++) {
        if (route_str_equal(texts->items[i].s, word))
            return true;
    }
    return false;
}

static bool has_pair(const struct conf_pairs *pairs, const struct conf_pair *pair)
{
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (route_str_equal(pairs->items[i].name.s, pair->name.s) &&
            route_str_equal(pairs->items[i].value.s, pair->value.s))
            return true;
    }
    return false;
}

static bool holds_texts(const struct conf_texts *a, const struct conf_texts *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (!has_text(a, b->items[i].s))
            return false;
    }
    return true;
}

static bool holds_pairs(const struct conf_pairs *a, const struct conf_pairs *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (!has_pair(a, &b->items[i]))
            return false;
    }
    return true;
}

static bool holds(const struct conf_route *a, const struct conf_route *b)
{
    return holds_texts(&a->methods, &b->methods) && holds_pairs(&a->headers, &b->headers) &&
           holds_pairs(&a->query, &b->query);
}

bool route_condition_equal(const struct conf_route *a, const struct conf_route *b)
{
    return holds(a, b) && holds(b, a);
}

bool route_condition_method(const struct conf_route *route, struct str method)
{
    if (!route->methods.count || has_text(&route->methods, method))
        return true;
    return route_str_equal(method, STR("HEAD")) && has_text(&route->methods, STR("GET"));
}

static bool is_any(const struct conf_pair *pair)
{
    return route_str_equal(pair->value.s, STR("*"));
}

static bool header_fits(const struct conf_pair *pair, const struct head *request)
{
    struct str name = pair->name.s, value = pair->value.s;

    for (uint16_t i = 0; i < request->count; i++) {
        const struct header *field = &request->headers[i];

        if (field->name_len != name.len || strncasecmp(field->name, name.p, name.len) != 0)
            continue;
        if (is_any(pair) || route_str_equal((struct str){field->value, field->value_len}, value))
            return true;
    }
    return false;
}

const struct conf_pair *route_condition_header(const struct conf_route *route,
                                               const struct head *request)
{
    for (uint32_t i = 0; i < route->headers.count; i++) {
        if (!header_fits(&route->headers.items[i], request))
            return &route->headers.items[i];
    }
    return NULL;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One character of a form-encoded text, moving `at` past it; a '%' without two digits is itself.
static char decode(struct str text, size_t *at)
{
    char c = text.p[(*at)++];

    if (c == '+')
        return ' ';
    if (c == '%' && text.len - *at >= 2 && hex(text.p[*at]) >= 0 && hex(text.p[*at + 1]) >= 0) {
        c = (char)(hex(text.p[*at]) * 16 + hex(text.p[*at + 1]));
        *at += 2;
    }
    return c;
}

static bool decodes_to(struct str encoded, struct str plain)
{
    size_t at = 0, n = 0;

    while (at < encoded.len) {
        if (n == plain.len || decode(encoded, &at) != plain.p[n])
            return false;
        n++;
    }
    return n == plain.len;
}

static size_t find(struct str text, char c)
{
    const char *p = text.len ? memchr(text.p, c, text.len) : NULL;

    return p ? (size_t)(p - text.p) : text.len;
}

static bool query_fits(const struct conf_pair *pair, struct str query)
{
    while (query.len) {
        struct str item = {query.p, find(query, '&')};
        struct str name = {item.p, find(item, '=')};
        size_t skip = name.len < item.len ? name.len + 1 : name.len;
        struct str value = {item.p + skip, item.len - skip};

        if (item.len && decodes_to(name, pair->name.s) &&
            (is_any(pair) || decodes_to(value, pair->value.s)))
            return true;
        skip = item.len < query.len ? item.len + 1 : item.len;
        query = (struct str){query.p + skip, query.len - skip};
    }
    return false;
}

const struct conf_pair *route_condition_query(const struct conf_route *route,
                                              const struct head *request)
{
    for (uint32_t i = 0; i < route->query.count; i++) {
        if (!query_fits(&route->query.items[i], request->query))
            return &route->query.items[i];
    }
    return NULL;
}
