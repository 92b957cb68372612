/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a route, and the hooks that read hosts, paths, methods and its own timeouts.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

enum { HOST_MAX = 253, LABEL_MAX = 63 };

/* RFC 1123, and underscores that many systems use in names; a capital becomes lower case. */
static bool fold_character(char *p)
{
    if (*p >= 'A' && *p <= 'Z')
        *p = (char)(*p | 0x20);
    return (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_';
}

static const char *fold_host(char *p, size_t len)
{
    size_t label = 0;

    if (!len || len > HOST_MAX)
        return "is not a host name";
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '.' && label) {
            label = 0;
            continue;
        }
        if (p[i] == ':')
            return "has a port: write the host alone";
        if (!fold_character(&p[i]) || ++label > LABEL_MAX)
            return "is not a host name";
    }
    return label ? NULL : "ends in a dot";
}

static const char *check_host(struct str host)
{
    char *p = (char *)host.p; /* the conf's own copy */
    size_t len = host.len;

    if (len == 1 && p[0] == '*')
        return "is every host: leave `hosts` out";
    if (len > 2 && p[0] == '[' && p[len - 1] == ']') {
        bool is_good = strspn(p + 1, "0123456789abcdefABCDEF:.") == len - 2;
        for (size_t i = 1; i < len; i++)
            p[i] = p[i] >= 'A' && p[i] <= 'F' ? (char)(p[i] | 0x20) : p[i];
        return is_good ? NULL : "is not an IPv6 address";
    }
    if (len > 2 && p[0] == '*' && p[1] == '.') {
        p += 2;
        len -= 2;
    }
    if (memchr(p, '*', len))
        return "has a star that is not in front: only \"*.example.com\" is possible";
    return fold_host(p, len);
}

bool conf_host_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member)
{
    struct conf_text *host = member;
    const char *wrong;

    (void)field;
    if (!field_text(decoder, node, host))
        return false;
    wrong = check_host(host->s);
    return wrong ? field_wrong(decoder, node, wrong) : true;
}

static bool decode_path(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    struct conf_path *path = member;
    struct str *s = &path->text.s;

    (void)field;
    if (!field_text(decoder, node, &path->text))
        return false;
    path->kind = CONF_PATH_EXACT;
    if (s->len > 1 && s->p[0] == '~') {
        path->kind = CONF_PATH_REGEX;
        s->p++;
        s->len--;
        return true;
    }
    if (!s->len || s->p[0] != '/')
        return field_wrong(decoder, node, "begins neither with \"/\" nor with \"~\" and a pattern");
    if (memchr(s->p, '?', s->len))
        return field_wrong(decoder, node, "has a \"?\": conditions on the query go to `query`");
    if (s->p[s->len - 1] == '*') {
        if (s->p[s->len - 2] != '/')
            return field_wrong(decoder, node, "has a star that does not follow a \"/\"");
        path->kind = CONF_PATH_PREFIX;
        s->len -= 2;
    }
    if (memchr(s->p, '*', s->len))
        return field_wrong(decoder, node, "has a star in the middle: use \"~\" and a pattern");
    return true;
}

static bool decode_method(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct conf_text *method = member;
    size_t n;

    (void)field;
    if (!field_text(decoder, node, method))
        return false;
    n = strspn(method->s.p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_0123456789");
    if (!method->s.len || n != method->s.len)
        return field_wrong(decoder, node, "is not a method: they are written as GET, POST");
    return true;
}

/* A route begins with the timeouts of the file, which are decoded before it. */
static bool decode_timeouts(struct decoder *decoder, const struct field *field,
                            const struct node *node, void *member)
{
    struct conf_timeouts *timeouts = member;

    *timeouts = decoder->conf->timeouts;
    return node ? field_overlay(decoder, field->fields, node, timeouts) : true;
}

static const struct field host_element = {.name = "",
                                          .type = FIELD_CUSTOM,
                                          .decode = conf_host_decode};
static const struct field path_element = {
    .name = "",
    .type = FIELD_CUSTOM,
    .decode = decode_path,
    .json = "{\"type\":\"string\",\"pattern\":\"^[/~]|\\\\$\\\\{\"}"};
static const struct field method_element = {
    .name = "",
    .type = FIELD_CUSTOM,
    .decode = decode_method,
    .json = "{\"type\":\"string\",\"pattern\":\"^[A-Z0-9_-]+$|\\\\$\\\\{\"}"};

static const struct field redirect_fields[] = {
    {.name = "to",
     .doc = "Where to: may hold `${path}`, `${query}`, `${uri}`, `${host}` and `${scheme}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, redirect.to)},
    {.name = "status",
     .doc = "301, 302, 303, 307 or 308.",
     .standard = "308",
     .type = FIELD_INT,
     .min = 301,
     .max = 308,
     FIELD_AT(struct conf_route, redirect.status)},
    FIELD_END,
};

static const struct field respond_fields[] = {
    {.name = "status",
     .doc = "The status of the answer.",
     .standard = "200",
     .type = FIELD_INT,
     .min = 200,
     .max = 599,
     FIELD_AT(struct conf_route, respond.status)},
    {.name = "body",
     .doc = "The body of the answer.",
     .standard = "",
     .type = FIELD_TEXT,
     FIELD_AT(struct conf_route, respond.body)},
    {.name = "content_type",
     .doc = "Its Content-Type.",
     .standard = "text/plain; charset=utf-8",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, respond.content_type)},
    FIELD_END,
};

static const struct field rewrite_fields[] = {
    {.name = "strip_prefix",
     .doc = "Taken off the front of the path.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, rewrite.strip_prefix)},
    {.name = "add_prefix",
     .doc = "Put before the path, after strip_prefix.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, rewrite.add_prefix)},
    {.name = "regex",
     .doc = "A PCRE2 pattern for the path; needs `replace`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, rewrite.regex)},
    {.name = "replace",
     .doc = "What the match of `regex` becomes, with `$1` to `$9`.",
     .type = FIELD_TEXT,
     FIELD_AT(struct conf_route, rewrite.replace)},
    FIELD_END,
};

/* Nested anonymous structs share the route's own offsets: their tables are decoded from its
 * beginning. */
#define ROUTE_PART(fields_) .type = FIELD_OBJECT, .fields = fields_, .offset = 0
#define ROUTE_TEXTS(member_, element_)                                                             \
    .type = FIELD_LIST, .flags = FIELD_NONEMPTY, .element = &(element_),                           \
    .offset = offsetof(struct conf_route, member_.items),                                          \
    .count_offset = offsetof(struct conf_route, member_.count), .size = sizeof(void *),            \
    .element_size = sizeof(struct conf_text)

const struct field conf_route_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_route, at)},
    {.name = "name",
     .doc = "For logs and metrics; not written: the service's name.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, name)},
    {.name = "hosts",
     .doc = "Host names, or `*.example.com` for all below; not written: any.",
     ROUTE_TEXTS(hosts, host_element)},
    {.name = "paths",
     .doc = "`/exact`, `/prefix/*` (also `/prefix` itself) or `~regex`; not written: any.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &path_element,
     FIELD_ITEMS(struct conf_route, paths, path_count)},
    {.name = "methods",
     .doc = "Request methods; not written: any.",
     ROUTE_TEXTS(methods, method_element)},
    {.name = "headers",
     .doc = "Request headers that must have these values; `*`: any value.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct conf_route, headers)},
    {.name = "query",
     .doc = "Query parameters that must have these values; `*`: any value.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct conf_route, query)},
    {.name = "service",
     .doc = "The service that answers.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_route, service)},
    {.name = "redirect",
     .doc = "Answer with a redirect, in place of a service.",
     ROUTE_PART(redirect_fields),
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_route, redirect.is_set)},
    {.name = "respond",
     .doc = "Answer with a fixed text, in place of a service.",
     ROUTE_PART(respond_fields),
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_route, respond.is_set)},
    {.name = "rewrite", .doc = "Change the path before it is sent on.", ROUTE_PART(rewrite_fields)},
    {.name = "timeouts",
     .doc = "Timeouts of this route, where they differ from those of the file.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_ALWAYS,
     .decode = decode_timeouts,
     .fields = conf_timeout_fields,
     FIELD_AT(struct conf_route, timeouts)},
    {.name = "filters",
     .doc = "Filters of this route, in addition to those of the file.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_FILTERS,
     .decode = conf_filters_decode,
     FIELD_AT(struct conf_route, filters)},
    FIELD_END,
};
