/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/validate/doc.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/text.h"
#include "edge/validate/decimal.h"

enum { FEW_NAMES = 8, FIRST_SLOTS = 32 };

struct reader {
    const char *at, *end, *start;
    struct arena *arena;
    uint64_t seed;
    struct doc_fault *fault;
    unsigned depth;
};

/* The names of a map that has many. */
struct names {
    struct doc_value **slots;
    uint32_t size, count; /* size: a power of two; 0: they are few, and looked through */
};

static struct doc_value *read_value(struct reader *r);

static bool fail(struct reader *r, enum doc_problem problem, const char *words)
{
    *r->fault = (struct doc_fault){problem, words, (size_t)(r->at - r->start)};
    return false;
}

static bool is_wrong(struct reader *r, const char *words)
{
    return fail(r, DOC_MALFORMED, words);
}

static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : '\0';
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (peek(r) != c || r->at >= r->end)
        return false;
    r->at++;
    return true;
}

/* --- texts */

/* Past the bytes that stand for themselves; false when they are no UTF-8. */
static bool skip_plain(struct reader *r)
{
    while (r->at < r->end) {
        unsigned char c = (unsigned char)*r->at;
        size_t len = 1;

        if (c < 0x20 || c == '"' || c == '\\')
            return true;
        if (c >= 0x80)
            len = text_utf8((struct str){r->at, (size_t)(r->end - r->at)});
        if (!len)
            return is_wrong(r, "a text is not UTF-8");
        r->at += len;
    }
    return true;
}

static bool read_hex(struct reader *r, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char c = peek(r), lower = (char)(c | 0x20);

        if (c >= '0' && c <= '9')
            *value = *value * 16 + (unsigned)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *value = *value * 16 + (unsigned)(lower - 'a' + 10);
        else
            return is_wrong(r, "an escape is malformed");
        r->at++;
    }
    return true;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* RFC 8259 section 7: outside the basic plane there are two, and one alone is no character. */
static bool read_unicode(struct reader *r, char **out)
{
    unsigned code, low;

    if (!read_hex(r, &code))
        return false;
    if (code >= 0xdc00 && code <= 0xdfff)
        return is_wrong(r, "a surrogate stands alone");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return is_wrong(r, "a surrogate stands alone");
        r->at += 2;
        if (!read_hex(r, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return is_wrong(r, "a surrogate stands alone");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, code);
    return true;
}

static bool read_escape(struct reader *r, char **out)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    const char *name = c ? strchr(names, c) : NULL;

    if (!name && c != 'u')
        return is_wrong(r, "an escape is malformed");
    r->at++;
    if (!name)
        return read_unicode(r, out);
    *(*out)++ = meanings[name - names];
    return true;
}

/* The end of a text that has escapes: none is shorter than what it means. */
static const char *find_quote(const struct reader *r)
{
    const char *at = r->at;

    while (at < r->end && *at != '"')
        at += *at == '\\' && r->end - at > 1 ? 2 : 1;
    return at;
}

static bool read_escaped(struct reader *r, const char *from, struct str *text)
{
    size_t most = (size_t)(find_quote(r) - from);
    char *start = arena_text(r->arena, most + 1), *out = start;

    if (!start)
        return fail(r, DOC_TOO_LARGE, "it has more values than fit");
    for (;;) {
        out = text_put(out, (struct str){from, (size_t)(r->at - from)});
        if (peek(r) != '\\')
            break;
        r->at++;
        if (!read_escape(r, &out))
            return false;
        from = r->at;
        if (!skip_plain(r))
            return false;
    }
    *text = (struct str){start, (size_t)(out - start)};
    return true;
}

static bool read_text(struct reader *r, struct str *text)
{
    const char *from = ++r->at;

    if (!skip_plain(r))
        return false;
    *text = (struct str){from, (size_t)(r->at - from)};
    if (peek(r) == '\\' && !read_escaped(r, from, text)) // most have none
        return false;
    if (r->at >= r->end || *r->at != '"')
        return is_wrong(r, "a text does not end");
    r->at++;
    return true;
}

/* --- lists and maps */

static bool enter(struct reader *r)
{
    if (++r->depth > DOC_DEPTH_MAX)
        return fail(r, DOC_TOO_DEEP, "it is nested too deep");
    r->at++;
    return true;
}

static bool read_list(struct reader *r, struct doc_value *list)
{
    struct doc_value **last = &list->first;

    if (!enter(r))
        return false;
    while (!take(r, ']')) {
        if (list->len && !take(r, ','))
            return is_wrong(r, "',' or ']' is missing");
        *last = read_value(r);
        if (!*last)
            return false;
        last = &(*last)->next;
        list->len++;
    }
    r->depth--;
    return true;
}

static bool is_named(const struct doc_value *value, struct str name)
{
    return value->name_len == name.len && !memcmp(value->name, name.p, name.len);
}

static struct doc_value **find_slot(const struct names *names, uint64_t seed, struct str name)
{
    uint32_t at = (uint32_t)XXH3_64bits_withSeed(name.p, name.len, seed) & (names->size - 1);

    while (names->slots[at] && !is_named(names->slots[at], name))
        at = (at + 1) & (names->size - 1);
    return &names->slots[at];
}

static bool spread(struct reader *r, struct names *names, const struct doc_value *map)
{
    uint32_t size = names->size ? names->size * 4 : FIRST_SLOTS;

    names->slots = arena_zero(r->arena, size, sizeof(*names->slots));
    if (!names->slots)
        return fail(r, DOC_TOO_LARGE, "it has more values than fit");
    names->size = size;
    for (struct doc_value *at = map->first; at; at = at->next)
        *find_slot(names, r->seed, doc_name(at)) = at;
    return true;
}

/* A name that comes twice would mean one thing here and another at the target. */
static bool check_name(struct reader *r, struct names *names, const struct doc_value *map,
                       struct str name)
{
    const struct doc_value *found = NULL;

    if (map->len > FEW_NAMES && map->len * 2 >= names->size && !spread(r, names, map))
        return false;
    if (names->size)
        found = *find_slot(names, r->seed, name);
    else
        found = doc_find(map, name);
    return !found || is_wrong(r, "a name comes twice");
}

static bool read_member(struct reader *r, struct names *names, struct doc_value *map,
                        struct doc_value ***last)
{
    struct doc_value *value;
    struct str name;

    skip_space(r);
    if (peek(r) != '"')
        return is_wrong(r, "a name is missing");
    if (!read_text(r, &name) || !check_name(r, names, map, name))
        return false;
    if (!take(r, ':'))
        return is_wrong(r, "':' is missing");
    value = read_value(r);
    if (!value)
        return false;
    value->name = name.p;
    value->name_len = (uint32_t)name.len & ((1U << 29) - 1);
    **last = value;
    *last = &value->next;
    map->len++;
    if (names->size)
        *find_slot(names, r->seed, name) = value;
    return true;
}

static bool read_map(struct reader *r, struct doc_value *map)
{
    struct doc_value **last = &map->first;
    struct names names = {0};

    if (!enter(r))
        return false;
    while (!take(r, '}')) {
        if (map->len && !take(r, ','))
            return is_wrong(r, "',' or '}' is missing");
        if (!read_member(r, &names, map, &last))
            return false;
    }
    r->depth--;
    return true;
}

/* --- values */

static bool read_word(struct reader *r, struct str word)
{
    if ((size_t)(r->end - r->at) < word.len || memcmp(r->at, word.p, word.len) != 0)
        return is_wrong(r, "there is no value");
    r->at += word.len;
    return true;
}

static bool read_number(struct reader *r, struct doc_value *value)
{
    size_t len = decimal_scan((struct str){r->at, (size_t)(r->end - r->at)});

    if (!len)
        return is_wrong(r, *r->at == '-' || (*r->at >= '0' && *r->at <= '9')
                               ? "a number is malformed"
                               : "there is no value");
    value->type = DOC_NUMBER;
    value->text = r->at;
    value->len = (uint32_t)len;
    r->at += len;
    return true;
}

static bool read_into(struct reader *r, struct doc_value *value)
{
    struct str text;

    switch (*r->at) {
    case '{':
        value->type = DOC_MAP;
        return read_map(r, value);
    case '[':
        value->type = DOC_LIST;
        return read_list(r, value);
    case '"':
        if (!read_text(r, &text))
            return false;
        value->type = DOC_TEXT;
        value->text = text.p;
        value->len = (uint32_t)text.len;
        return true;
    case 't':
        value->type = DOC_BOOL;
        value->len = 1;
        return read_word(r, STR("true"));
    case 'f':
        value->type = DOC_BOOL;
        return read_word(r, STR("false"));
    case 'n':
        return read_word(r, STR("null"));
    default:
        return read_number(r, value);
    }
}

static struct doc_value *read_value(struct reader *r)
{
    struct doc_value *value = arena_zero(r->arena, 1, sizeof(*value));

    skip_space(r);
    if (!value)
        fail(r, DOC_TOO_LARGE, "it has more values than fit");
    else if (r->at >= r->end)
        is_wrong(r, "there is no value");
    else if (read_into(r, value))
        return value;
    return NULL;
}

struct doc_value *doc_read(struct str text, struct arena *arena, uint64_t seed,
                           struct doc_fault *fault)
{
    const char *start = text.p ? text.p : "";
    struct reader r = {start, start + text.len, start, arena, seed, fault, 0};
    struct doc_value *value;

    *fault = (struct doc_fault){DOC_GOOD, NULL, 0};
    if (text.len > DOC_BYTES_MAX) {
        fail(&r, DOC_TOO_LARGE, "it is too large");
        return NULL;
    }
    value = read_value(&r);
    skip_space(&r);
    if (value && r.at < r.end) {
        is_wrong(&r, "something follows");
        return NULL;
    }
    return value;
}

const struct doc_value *doc_find(const struct doc_value *map, struct str name)
{
    const struct doc_value *at = map->first;

    while (at && !is_named(at, name))
        at = at->next;
    return at;
}
