/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/template.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "edge/limit/claim.h"

enum { PARTS_MAX = 32 };

enum name {
    NAME_TEXT, /* no name: the text itself */
    NAME_DOLLAR,
    NAME_CLIENT_IP,
    NAME_REQUEST_ID,
    NAME_ROUTE,
    NAME_METHOD,
    NAME_SCHEME,
    NAME_HOST,
    NAME_PATH,
    NAME_QUERY,
    NAME_URI,
    NAME_CONSUMER,
    NAME_TIER,
    NAME_COUNTRY,
    NAME_ASN,
    NAME_COUNT,
    NAME_HEADER = NAME_COUNT, /* these two with a name of their own behind a dot */
    NAME_CLAIM,
};

static const char *const names[NAME_COUNT] = {
    [NAME_TEXT] = "",         [NAME_DOLLAR] = "dollar",   [NAME_CLIENT_IP] = "client_ip",
    [NAME_ROUTE] = "route",   [NAME_METHOD] = "method",   [NAME_REQUEST_ID] = "request_id",
    [NAME_SCHEME] = "scheme", [NAME_HOST] = "host",       [NAME_PATH] = "path",
    [NAME_QUERY] = "query",   [NAME_URI] = "uri",         [NAME_CONSUMER] = "consumer",
    [NAME_TIER] = "tier",     [NAME_COUNTRY] = "country", [NAME_ASN] = "asn",
};

struct part {
    enum name name;
    struct str text; /* of TEXT, and the own name of HEADER and CLAIM */
};

struct template
{
    unsigned count;
    struct part parts[];
};

/* --- compiling */

static bool begins(struct str s, struct str with)
{
    return s.len > with.len && !memcmp(s.p, with.p, with.len);
}

static struct str behind(struct str s, size_t n)
{
    return (struct str){s.p + n, s.len - n};
}

static bool read_name(struct str s, struct part *part)
{
    *part = (struct part){.name = 1};
    if (begins(s, STR("header.")))
        *part = (struct part){NAME_HEADER, behind(s, 7)};
    else if (begins(s, STR("claim.")))
        *part = (struct part){NAME_CLAIM, behind(s, 6)};
    else
        while (part->name < NAME_COUNT &&
               !str_same(s, (struct str){names[part->name], strlen(names[part->name])}))
            part->name++;
    return part->name != NAME_COUNT || part->text.p;
}

static bool wrong_name(struct str name, const struct conf_text *text, struct diag *diag)
{
    const char *nearest = diag_nearest(name, names + 1, NAME_COUNT - 1);

    diag_error(diag, text->at, "there is no ${%.*s}", STR_FMT(name));
    if (nearest)
        diag_hint(diag, "did you mean ${%s}?", nearest);
    else
        diag_hint(diag, "${claim.NAME} and ${header.NAME} take names; ${dollar} is a plain $");
    return false;
}

static bool compile(struct template *template, const struct conf_text *text, struct diag *diag)
{
    struct str left = text->s;

    while (left.len) {
        const char *start = memmem(left.p, left.len, "${", 2), *end = left.p + left.len;
        const char *close = start ? memchr(start, '}', (size_t)(end - start)) : NULL;
        struct str name =
            start && close ? (struct str){start + 2, (size_t)(close - start) - 2} : STR_NONE;

        if (template->count + 2 > PARTS_MAX) {
            diag_error(diag, text->at, "too many names in one value");
            return false;
        }
        if (!start)
            start = end;
        if (start > left.p)
            template->parts[template->count++].text =
                (struct str){left.p, (size_t)(start - left.p)};
        if (start < end && !close) {
            diag_error(diag, text->at, "\"${\" without \"}\"");
            return false;
        }
        if (name.p && !read_name(name, &template->parts[template->count++]))
            return wrong_name(name, text, diag);
        left = behind(left, name.p ? (size_t)(close + 1 - left.p) : left.len);
    }
    return true;
}

const struct template *template_new(const struct conf_text *text, struct arena *arena,
                                    struct diag *diag)
{
    struct template *template =
        arena_zero(arena, 1, sizeof(*template) + PARTS_MAX * sizeof(struct part));

    return template && compile(template, text, diag) ? template : NULL;
}

/* --- filling */

/* Without a port; brackets of an IPv6 address stay. */
static struct str host_of(const struct visit *visit)
{
    struct str host = visit->request->authority;
    const char *colon;

    if (visit->caller && visit->caller->host.p)
        host = visit->caller->host;
    colon = host.len ? memrchr(host.p, ':', host.len) : NULL;
    if (colon && !memchr(colon, ']', (size_t)(host.p + host.len - colon)))
        host.len = (size_t)(colon - host.p);
    return host;
}

static struct str uri_of(const struct visit *visit)
{
    const struct head *request = visit->request;

    if (!request->query.p)
        return request->path;
    return arena_format(visit->arena, "%.*s?%.*s", STR_FMT(request->path), STR_FMT(request->query));
}

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Four digits of \uXXXX; 0 when they are none, which no field may hold anyway. */
static unsigned read_hex(struct str s)
{
    unsigned value = 0;

    for (size_t i = 0; i < 4; i++) {
        unsigned digit = i < s.len ? hex_value(s.p[i]) : 16;

        if (digit > 15)
            return 0;
        value = value << 4 | digit;
    }
    return value;
}

static char *put_utf8(char *at, unsigned code)
{
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    unsigned more = 0;

    more += code >= 0x80;
    more += code >= 0x800;
    more += code >= 0x10000;
    *at++ = (char)(first[more] | code >> (6 * more));
    while (more--)
        *at++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return at;
}

/* \uXXXX, and the pair that stands for one character; how long it was, without the backslash. */
static size_t put_code(char **at, struct str s)
{
    unsigned code = read_hex(behind(s, 1)), low = 0;
    bool is_high = code >= 0xd800 && code < 0xdc00;

    if (is_high && s.len > 10 && s.p[5] == '\\' && s.p[6] == 'u')
        low = read_hex(behind(s, 7));
    if (low >= 0xdc00 && low < 0xe000) {
        *at = put_utf8(*at, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        return 11;
    }
    *at = put_utf8(*at, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return s.len < 5 ? s.len : 5;
}

/* RFC 8259 7: one escape, without its backslash; how long it was. */
static size_t put_escape(char **at, struct str s)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *known = s.len ? strchr(from, s.p[0]) : NULL;

    if (!s.len)
        return 0;
    if (s.p[0] == 'u')
        return put_code(at, s);
    *(*at)++ = known && *known ? to[known - from] : s.p[0];
    return 1;
}

/* A claim as text: escapes of JSON undone. */
static struct str claim_of(const struct visit *visit, struct str name)
{
    struct str raw = visit->vars ? claim_value(visit->vars->claims, name) : STR_NONE;
    char *start, *at;

    if (!raw.len || !memchr(raw.p, '\\', raw.len))
        return raw;
    at = start = arena_text(visit->arena, raw.len); // an escape is never shorter than its bytes
    for (size_t i = 0; start && i < raw.len; i++) {
        if (raw.p[i] == '\\')
            i += put_escape(&at, behind(raw, i + 1));
        else
            *at++ = raw.p[i];
    }
    return (struct str){start, (size_t)(at - start)};
}

static struct str asn_of(const struct visit *visit)
{
    return visit->vars && visit->vars->asn ? arena_format(visit->arena, "%u", visit->vars->asn)
                                           : STR_NONE;
}

static struct str var_of(const struct visit *visit, enum name name)
{
    const struct vars *vars = visit->vars;

    if (!vars)
        return STR_NONE;
    if (name == NAME_CONSUMER)
        return vars->consumer;
    return name == NAME_TIER ? vars->tier : vars->country;
}

static struct str value_of(const struct part *part, const struct visit *visit)
{
    switch (part->name) {
    case NAME_TEXT:
        return part->text;
    case NAME_DOLLAR:
        return STR("$");
    case NAME_CLIENT_IP:
        return visit->caller ? visit->caller->text : STR_NONE;
    case NAME_REQUEST_ID:
        return visit->id;
    case NAME_ROUTE:
        return visit->route;
    case NAME_METHOD:
        return visit->request->method_name;
    case NAME_SCHEME:
        return visit->caller ? visit->caller->scheme : STR_NONE;
    case NAME_HOST:
        return host_of(visit);
    case NAME_PATH:
        return visit->request->path;
    case NAME_QUERY:
        return visit->request->query;
    case NAME_URI:
        return uri_of(visit);
    case NAME_ASN:
        return asn_of(visit);
    case NAME_HEADER:
        return head_value_name(visit->request, part->text);
    case NAME_CLAIM:
        return claim_of(visit, part->text);
    default:
        return var_of(visit, part->name);
    }
}

static bool is_safe(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    return true;
}

enum status template_fill(const struct template *template, const struct visit *visit,
                          struct str *out)
{
    struct str values[PARTS_MAX];
    size_t len = 0;
    char *start, *at;

    *out = STR_NONE;
    for (unsigned i = 0; i < template->count; i++) {
        values[i] = value_of(&template->parts[i], visit);
        if (visit->arena->is_full)
            return E_NOMEM;
        if (!values[i].p || !is_safe(values[i]))
            return OK;
        len += values[i].len;
    }
    at = start = arena_text(visit->arena, len);
    if (!start)
        return E_NOMEM;
    for (unsigned i = 0; i < template->count; i++)
        at = text_put(at, values[i]);
    *out = (struct str){start, len};
    return OK;
}
