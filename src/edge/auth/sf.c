/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/sf.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "edge/auth/jose_base64.h"

enum { INTEGER_DIGITS = 15 };

/* --- characters */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower((char)(c | 0x20));
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

static bool is_token_char(char c)
{
    static const char more[] = "!#$%&'*+-.^_`|~:/";

    return is_alpha(c) || is_digit(c) || (c && strchr(more, c) != NULL);
}

/* --- one value of several fields */

static bool is_named(const struct header *field, struct str name)
{
    return field->name_len == name.len && !strncasecmp(field->name, name.p, name.len);
}

struct str sf_value(const struct head *head, struct str name, struct arena *arena, bool *is_good)
{
    struct str found = STR_NONE;
    size_t size = 0, count = 0;
    char *out, *at;

    *is_good = true;
    for (unsigned i = 0; i < head->count; i++) {
        if (!is_named(&head->headers[i], name))
            continue;
        found = (struct str){head->headers[i].value, head->headers[i].value_len};
        size += found.len + 2;
        count++;
    }
    if (count < 2)
        return found;
    out = at = arena_text(arena, size);
    *is_good = out != NULL;
    if (!out)
        return STR_NONE;
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *field = &head->headers[i];

        if (!is_named(field, name))
            continue;
        if (at != out)
            at = text_put(at, STR(", "));
        at = text_put(at, (struct str){field->value, field->value_len});
    }
    return (struct str){out, (size_t)(at - out)};
}

/* --- the cursor */

struct sf sf_begin(struct str value)
{
    struct sf sf = {value.p, value.p + value.len};

    sf_skip_spaces(&sf);
    while (sf.end > sf.at && sf.end[-1] == ' ')
        sf.end--;
    return sf;
}

bool sf_is_end(const struct sf *sf)
{
    return sf->at == sf->end;
}

bool sf_take(struct sf *sf, char c)
{
    if (sf->at == sf->end || *sf->at != c)
        return false;
    sf->at++;
    return true;
}

void sf_skip_spaces(struct sf *sf)
{
    while (sf_take(sf, ' '))
        continue;
}

void sf_skip_white(struct sf *sf)
{
    while (sf_take(sf, ' ') || sf_take(sf, '\t'))
        continue;
}

bool sf_next(struct sf *sf)
{
    sf_skip_white(sf);
    if (sf_is_end(sf))
        return true;
    if (!sf_take(sf, ','))
        return false;
    sf_skip_white(sf);
    return !sf_is_end(sf);
}

/* --- what there is (section 4.2) */

bool sf_key(struct sf *sf, struct str *key)
{
    const char *start = sf->at;

    if (sf_is_end(sf) || (!is_lower(*start) && *start != '*'))
        return false;
    while (sf->at < sf->end && is_key_char(*sf->at))
        sf->at++;
    *key = (struct str){start, (size_t)(sf->at - start)};
    return true;
}

static bool read_integer(struct sf *sf, struct sf_item *item)
{
    bool is_negative = sf_take(sf, '-');
    const char *start = sf->at;
    size_t len;

    while (sf->at < sf->end && is_digit(*sf->at) && sf->at - start <= INTEGER_DIGITS)
        item->number = item->number * 10 + (*sf->at++ - '0');
    len = (size_t)(sf->at - start);
    if (!len || len > INTEGER_DIGITS || (start[0] == '0' && (len > 1 || is_negative)))
        return false;
    if (is_negative)
        item->number = -item->number;
    item->type = SF_INTEGER;
    return sf->at == sf->end || *sf->at != '.';
}

static bool read_string(struct sf *sf, struct sf_item *item)
{
    const char *start = ++sf->at;

    for (; sf->at < sf->end && *sf->at != '"'; sf->at++) {
        if (*sf->at < 0x20 || *sf->at > 0x7e)
            return false;
        if (*sf->at == '\\' && (++sf->at == sf->end || (*sf->at != '"' && *sf->at != '\\')))
            return false;
    }
    item->type = SF_STRING;
    item->text = (struct str){start, (size_t)(sf->at - start)};
    return sf_take(sf, '"');
}

static bool read_token(struct sf *sf, struct sf_item *item)
{
    const char *start = sf->at;

    while (sf->at < sf->end && is_token_char(*sf->at))
        sf->at++;
    item->type = SF_TOKEN;
    item->text = (struct str){start, (size_t)(sf->at - start)};
    return true;
}

static bool read_bytes(struct sf *sf, struct sf_item *item)
{
    const char *start = ++sf->at;
    const char *end = sf->at < sf->end ? memchr(start, ':', (size_t)(sf->end - start)) : NULL;

    if (!end)
        return false;
    item->type = SF_BYTES;
    item->text = (struct str){start, (size_t)(end - start)};
    sf->at = end + 1;
    return true;
}

static bool read_boolean(struct sf *sf, struct sf_item *item)
{
    sf->at++;
    item->type = SF_BOOLEAN;
    item->number = sf->at < sf->end && *sf->at == '1';
    return sf_take(sf, '0') || sf_take(sf, '1');
}

bool sf_item(struct sf *sf, struct sf_item *item)
{
    const char *start = sf->at;
    bool is_good = false;

    *item = (struct sf_item){.type = SF_BOOLEAN};
    if (sf_is_end(sf))
        return false;
    if (*start == '"')
        is_good = read_string(sf, item);
    else if (*start == ':')
        is_good = read_bytes(sf, item);
    else if (*start == '?')
        is_good = read_boolean(sf, item);
    else if (*start == '-' || is_digit(*start))
        is_good = read_integer(sf, item);
    else if (*start == '*' || is_alpha(*start))
        is_good = read_token(sf, item);
    item->raw = (struct str){start, (size_t)(sf->at - start)};
    return is_good;
}

bool sf_parameter(struct sf *sf, struct str *key, struct sf_item *item)
{
    sf_skip_spaces(sf);
    if (!sf_key(sf, key))
        return false;
    if (sf_take(sf, '='))
        return sf_item(sf, item);
    *item = (struct sf_item){.type = SF_BOOLEAN, .number = 1};
    return true;
}

/* --- bytes */

/* By way of the other alphabet, whose reader is as strict. */
int sf_bytes(struct str digits, uint8_t *out, size_t size)
{
    char text[128];

    if (digits.len % 4 || digits.len > sizeof(text))
        return -1;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.p[i];

        if (c == '-' || c == '_')
            return -1;
        if (c == '+')
            c = '-';
        text[i] = c == '/' ? '_' : c;
    }
    for (unsigned n = 0; n < 2 && digits.len && text[digits.len - 1] == '='; n++)
        digits.len--;
    return jose_base64_decode((struct str){text, digits.len}, out, size);
}
