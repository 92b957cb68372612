/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/credential.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

struct search {
    struct str found;
    unsigned count;
};

static void note(struct search *search, struct str value)
{
    search->found = value;
    search->count++;
}

static bool same_fold(struct str a, struct str b)
{
    return a.len == b.len && !strncasecmp(a.p, b.p, a.len);
}

static struct str trim(struct str s)
{
    while (s.len && (*s.p == ' ' || *s.p == '\t'))
        s = (struct str){s.p + 1, s.len - 1};
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts the first part off `rest`; false at the end. */
static bool next_part(struct str *rest, char separator, struct str *part)
{
    const char *end;

    if (!rest->p)
        return false;
    end = rest->len ? memchr(rest->p, separator, rest->len) : NULL;
    *part = (struct str){rest->p, end ? (size_t)(end - rest->p) : rest->len};
    *rest = end ? (struct str){end + 1, rest->len - part->len - 1} : STR_NONE;
    return true;
}

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* The first character, and how long it is as it is written: "%41" is an A. */
static size_t read_char(struct str s, char *c)
{
    unsigned high = s.len > 2 ? hex_value(s.p[1]) : 16, low = s.len > 2 ? hex_value(s.p[2]) : 16;

    *c = s.p[0];
    if (*c != '%' || high > 15 || low > 15)
        return 1;
    *c = (char)(high << 4 | low);
    return 3;
}

/* The value of "name=value" in a query; absent when it is another name. */
static struct str value_of(struct str part, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        size_t len;
        char c;

        if (!part.len)
            return STR_NONE;
        len = read_char(part, &c);
        if (c != name.p[i])
            return STR_NONE;
        part = (struct str){part.p + len, part.len - len};
    }
    if (!part.len || part.p[0] != '=')
        return STR_NONE;
    return (struct str){part.p + 1, part.len - 1};
}

/* The same of a cookie, by RFC 6265 section 5.2: space around the name and the value is not theirs.
 */
static struct str cookie_of(struct str part, struct str name)
{
    const char *mark = part.len ? memchr(part.p, '=', part.len) : NULL;

    if (!mark || !str_same(trim((struct str){part.p, (size_t)(mark - part.p)}), name))
        return STR_NONE;
    return trim((struct str){mark + 1, part.len - (size_t)(mark - part.p) - 1});
}

/* --- fields */

bool credential_is_taken_for(const struct header *field, struct str name)
{
    if (field->name_len != name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = field->name[i] == '_' ? '-' : field->name[i];
        char wanted = name.p[i] == '_' ? '-' : name.p[i];

        if (strncasecmp(&c, &wanted, 1) != 0)
            return false;
    }
    return true;
}

/* What follows the scheme; absent: it is another. A tab is not what ends a scheme, but targets take
 * it for that: it stays, and so nothing good follows it. */
static struct str after_scheme(struct str value, struct str scheme)
{
    struct str rest;

    if (value.len <= scheme.len || strncasecmp(value.p, scheme.p, scheme.len) != 0)
        return STR_NONE;
    rest = (struct str){value.p + scheme.len, value.len - scheme.len};
    if (rest.p[0] == '\t')
        return rest;
    return rest.p[0] == ' ' ? trim(rest) : STR_NONE;
}

static void look_at_fields(const struct credential_places *places, const struct head *head,
                           struct search *search)
{
    bool has_scheme = places->scheme.len && same_fold(places->header, STR("authorization"));

    for (unsigned i = 0; places->header.len && i < head->count; i++) {
        const struct header *field = &head->headers[i];
        struct str value = {field->value, field->value_len};

        if (!credential_is_taken_for(field, places->header))
            continue;
        if (has_scheme)
            value = after_scheme(value, places->scheme);
        if (value.p)
            note(search, value);
    }
}

static void look_at_cookies(const struct credential_places *places, const struct head *head,
                            struct search *search)
{
    for (unsigned i = 0; places->cookie.len && i < head->count; i++) {
        const struct header *field = &head->headers[i];
        struct str rest = {field->value, field->value_len}, part;

        while (field->id == HDR_COOKIE && next_part(&rest, ';', &part)) {
            struct str value = cookie_of(part, places->cookie);

            if (value.p)
                note(search, value);
        }
    }
}

static void look_at_query(const struct credential_places *places, const struct head *head,
                          struct search *search)
{
    struct str rest = places->query.len ? head->query : STR_NONE, part;

    while (next_part(&rest, '&', &part)) {
        struct str value = value_of(part, places->query);

        if (value.p)
            note(search, value);
    }
}

enum status credential_find(const struct credential_places *places, const struct head *head,
                            struct str *found)
{
    struct search search = {.count = 0};

    look_at_fields(places, head, &search);
    look_at_cookies(places, head, &search);
    look_at_query(places, head, &search);
    if (!search.count)
        return E_NOT_FOUND;
    if (search.count > 1)
        return E_CONFLICT;
    *found = search.found;
    return OK;
}

enum status credential_hide(const struct credential_places *places, struct head *head,
                            struct arena *arena)
{
    struct search search = {.count = 0};
    struct str rest = head->query, part;
    char *out, *end;

    look_at_query(places, head, &search);
    if (!search.count)
        return OK;
    out = end = arena_text(arena, head->query.len);
    if (!out)
        return E_NOMEM;
    while (next_part(&rest, '&', &part)) {
        if (value_of(part, places->query).p)
            continue;
        if (end != out)
            *end++ = '&';
        end = text_put(end, part);
    }
    head->query = end == out ? STR_NONE : (struct str){out, (size_t)(end - out)};
    return OK;
}

/* --- names */

void credential_clear_field(struct head *head, struct str name)
{
    for (unsigned i = head->count; i-- > 0;) {
        const struct header *field = &head->headers[i];

        if (!credential_is_taken_for(field, name))
            continue;
        head_remove_name(head, (struct str){field->name, field->name_len});
        i = i < head->count ? i : head->count;
    }
}

bool credential_is_name(struct str name)
{
    return text_is_token(name) && name.len < 256;
}

bool credential_is_quotable(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < 0x20 || (unsigned char)text.p[i] >= 0x7f ||
            text.p[i] == '"' || text.p[i] == '\\')
            return false;
    return true;
}
