/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/origin.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "edge/route/route.h"

static bool begins(struct str s, struct str with)
{
    return s.len >= with.len && !memcmp(s.p, with.p, with.len);
}

static bool ends(struct str s, struct str with)
{
    return s.len >= with.len && !memcmp(s.p + s.len - with.len, with.p, with.len);
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_host_char(s.p[i]))
            return false;
    return s.len > 0;
}

/* --- what is written */

/* Splits "scheme://host:port"; host and port keep together. False: it is no such thing. */
static bool split(struct str s, struct str *scheme, struct str *host)
{
    const char *mark = memmem(s.p, s.len, "://", 3);

    if (!mark || mark == s.p)
        return false;
    *scheme = (struct str){s.p, (size_t)(mark - s.p) + 3};
    *host = (struct str){s.p + scheme->len, s.len - scheme->len};
    for (size_t i = 0; i + 3 < scheme->len; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') && !(i && ((c >= '0' && c <= '9') || strchr("+-.", c))))
            return false;
    }
    return host->len > 0;
}

/* An IPv6 address in brackets; what it says is the client's matter. */
static size_t bracketed(struct str host)
{
    size_t i = 1;

    if (host.p[0] != '[')
        return 0;
    while (i < host.len && host.p[i] && strchr("0123456789abcdef:.", host.p[i]))
        i++;
    return i > 1 && i < host.len && host.p[i] == ']' ? i + 1 : 0;
}

/* The port's digits behind the host, absent when there are none. False: no host, or no port. */
static bool read_port(struct str host, struct str *port)
{
    size_t at = bracketed(host);

    if (!at) {
        while (at < host.len && is_host_char(host.p[at]))
            at++;
    }
    *port = STR_NONE;
    if (!at || at == host.len)
        return at > 0;
    if (host.p[at] != ':')
        return false;
    *port = (struct str){host.p + at + 1, host.len - at - 1};
    for (size_t i = 0; i < port->len; i++)
        if (port->p[i] < '0' || port->p[i] > '9')
            return false;
    return port->len > 0 && port->len < 6 && port->p[0] != '0' &&
           strtoul(port->p, NULL, 10) <= UINT16_MAX;
}

static bool wrong(struct diag *diag, const struct conf_text *text, const char *hint)
{
    diag_error(diag, text->at, "\"%.*s\" is not an origin", STR_FMT(text->s));
    diag_hint(diag, "%s", hint);
    return false;
}

static bool check(const struct conf_text *text, struct str scheme, struct str host,
                  struct diag *diag)
{
    struct str port;

    if (host.p[host.len - 1] == '/' || memchr(host.p, '/', host.len))
        return wrong(diag, text, "an origin has no path, not even \"/\" at its end");
    if (!read_port(host, &port))
        return wrong(diag, text,
                     "write \"https://app.example.com\", with a port when it is not the usual one, "
                     "in lower case");
    if ((str_same(scheme, STR("https://")) && str_same(port, STR("443"))) ||
        (str_same(scheme, STR("http://")) && str_same(port, STR("80"))))
        return wrong(diag, text, "browsers leave the scheme's own port out: leave it out here");
    return true;
}

static bool make_regex(struct origin_rule *rule, const struct conf_text *text, struct arena *arena,
                       struct diag *diag)
{
    struct conf_text own = {{text->s.p + 1, text->s.len - 1}, text->at};
    struct conf_text whole = {.at = text->at};
    char *start = arena_text(arena, own.s.len + 8), *at = start;

    rule->kind = ORIGIN_REGEX;
    if (!start || !route_check_pattern(own, diag))
        return false;
    // Unanchored, "https://example\.com" would also fit https://example.com.evil.org.
    at = text_put(at, STR("\\A(?:"));
    at = text_put(at, own.s);
    at = text_put(at, STR(")\\z"));
    whole.s = (struct str){start, (size_t)(at - start)};
    return route_pattern_init(&rule->pattern, whole, diag);
}

static bool make(struct origin_rule *rule, const struct conf_text *text, struct arena *arena,
                 struct diag *diag)
{
    struct str s = text->s, scheme, host;

    rule->text = s;
    if (str_same(s, STR("*"))) {
        rule->kind = ORIGIN_ANY;
        return true;
    }
    if (s.len > 1 && s.p[0] == '~')
        return make_regex(rule, text, arena, diag);
    if (str_same(s, STR("null")))
        return true;
    if (!s.len || !split(s, &scheme, &host))
        return wrong(diag, text,
                     "write \"https://app.example.com\", \"https://*.example.com\", \"~regex\", "
                     "\"null\" or \"*\"");
    if (!begins(host, STR("*.")))
        return check(text, scheme, host, diag);
    rule->kind = ORIGIN_BELOW;
    rule->text = scheme;
    rule->tail = (struct str){host.p + 1, host.len - 1};
    if (host.len < 3)
        return wrong(diag, text, "a name must follow \"*.\"");
    return check(text, scheme, (struct str){host.p + 2, host.len - 2}, diag);
}

struct origin_list *origin_list_new(const struct conf_texts *written, struct arena *arena,
                                    struct diag *diag)
{
    struct origin_list *list =
        arena_zero(arena, 1, sizeof(*list) + (size_t)written->count * sizeof(struct origin_rule));
    bool is_good = true;

    if (!list)
        return NULL;
    for (; list->count < written->count; list->count++) {
        struct origin_rule *rule = &list->rules[list->count];

        is_good = make(rule, &written->items[list->count], arena, diag) && is_good;
        list->takes_any |= rule->kind == ORIGIN_ANY;
    }
    if (is_good)
        return list;
    origin_list_fini(list);
    return NULL;
}

void origin_list_fini(struct origin_list *list)
{
    for (uint32_t i = 0; list && i < list->count; i++)
        if (list->rules[i].pattern.code)
            route_pattern_fini(&list->rules[i].pattern);
}

/* --- lookups */

static bool is_below(const struct origin_rule *rule, struct str origin)
{
    size_t least = rule->text.len + rule->tail.len;
    struct str name;

    if (origin.len <= least || !begins(origin, rule->text) || !ends(origin, rule->tail))
        return false;
    name = (struct str){origin.p + rule->text.len, origin.len - least};
    return is_name(name) && name.p[0] != '.';
}

static bool fits(const struct origin_rule *rule, struct str origin)
{
    switch (rule->kind) {
    case ORIGIN_EXACT:
        return str_same(rule->text, origin);
    case ORIGIN_BELOW:
        return is_below(rule, origin);
    case ORIGIN_REGEX:
        return route_pattern_fits(&rule->pattern, origin);
    default:
        return true;
    }
}

bool origin_list_fits(const struct origin_list *list, struct str origin)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (fits(&list->rules[i], origin))
            return true;
    return false;
}
