/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that is signed (RFC 9421 section 2): a line for each component, and one with the list of
 * them and the parameters.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "edge/auth/credential.h"
#include "edge/auth/signature.h"

enum { BYTES_ROOM = 8 /* beside the digits of a byte sequence: colons, comma, space, NUL */ };

/* --- fields (section 2.1) */

static bool is_named(const struct header *field, struct str name)
{
    return field->name_len == name.len && !strncasecmp(field->name, name.p, name.len);
}

/* ":digits:" of a value (section 2.1.3). */
static char *put_bytes(char *at, const struct header *field)
{
    *at++ = ':';
    at += EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)field->value,
                          (int)field->value_len);
    *at++ = ':';
    return at;
}

static size_t room_for(const struct head *head, const struct signature_component *component)
{
    size_t room = 1;

    for (unsigned i = 0; i < head->count; i++)
        if (is_named(&head->headers[i], component->name))
            room += (head->headers[i].value_len + 2U) / 3 * 4 + BYTES_ROOM;
    return room;
}

/* The target gets the authority in Host, whatever stands there beside an absolute target (RFC 9112
 * section 3.2.2): a Host that is another is not what was signed. */
static bool is_overruled(const struct head *head, const struct header *field)
{
    struct str authority = head->authority;

    return field->id == HDR_HOST && (field->value_len != authority.len ||
                                     strncasecmp(field->value, authority.p, authority.len) != 0);
}

/* All fields of that name. A field that the target may take for one of them, and that is not signed
 * (`x_a` for `x-a`), would be a way round the signature. */
static enum signature_fault put_field(const struct head *head,
                                      const struct signature_component *component,
                                      struct arena *arena, struct str *value)
{
    char *out = arena_text(arena, room_for(head, component)), *at = out;

    if (!out)
        return SIGNATURE_MEMORY;
    *value = STR_NONE;
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *field = &head->headers[i];

        if (!is_named(field, component->name)) {
            if (credential_is_taken_for(field, component->name))
                return SIGNATURE_ABSENT_FIELD;
            continue;
        }
        if (is_overruled(head, field))
            return SIGNATURE_ABSENT_FIELD;
        if (value->p)
            at = text_put(at, STR(", "));
        if (component->is_bytes)
            at = put_bytes(at, field);
        else
            at = text_put(at, (struct str){field->value, field->value_len});
        value->p = out;
    }
    value->len = (size_t)(at - out);
    return value->p ? SIGNATURE_NONE : SIGNATURE_ABSENT_FIELD;
}

/* --- parameters of the query (section 2.2.8) */

static unsigned hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Decodes a part of a form's text and encodes it as there is one way to: what is neither a letter,
 * a digit nor one of *-._ by its bytes. Writes at most three bytes for each. */
static struct str encode_again(struct str part, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = out;

    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.p[i];
        bool is_alnum;

        if (c == '%' && i + 2 < part.len && hex_value(part.p[i + 1]) < 16 &&
            hex_value(part.p[i + 2]) < 16) {
            c = (unsigned char)(hex_value(part.p[i + 1]) << 4 | hex_value(part.p[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (is_alnum || c == '*' || c == '-' || c == '.' || c == '_') {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return (struct str){out, (size_t)(at - out)};
}

static struct str cut(struct str *rest, char separator)
{
    const char *end = rest->len ? memchr(rest->p, separator, rest->len) : NULL;
    struct str part = {rest->p, end ? (size_t)(end - rest->p) : rest->len};

    *rest = end ? (struct str){end + 1, rest->len - part.len - 1} : STR_NONE;
    return part;
}

/* The one of that name; none if there are several. */
static enum signature_fault put_query_param(const struct head *head,
                                            const struct signature_component *component,
                                            struct arena *arena, struct str *value)
{
    struct str rest = head->query;
    char *scratch = arena_text(arena, 3 * rest.len + 1), *out = arena_text(arena, 3 * rest.len + 1);
    unsigned count = 0;

    if (!scratch || !out)
        return SIGNATURE_MEMORY;
    if (!component->param.p)
        return SIGNATURE_COMPONENT;
    while (rest.p) {
        struct str text = cut(&rest, '&');
        struct str name = text.len ? cut(&text, '=') : STR("");

        if (!str_same(encode_again(name, scratch), component->param))
            continue;
        *value = encode_again(text, out);
        count++;
    }
    return count == 1 ? SIGNATURE_NONE : SIGNATURE_ABSENT_FIELD;
}

/* --- what is derived (section 2.2) */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* In lower case, without the port that goes without saying (section 2.2.3). */
static struct str authority_of(const struct signature_message *message, struct arena *arena)
{
    struct str usual = str_same(message->scheme, STR("https")) ? STR(":443") : STR(":80");
    struct str given = message->authority;
    char *out = arena_text(arena, given.len + 1);

    if (!out)
        return STR_NONE;
    if (given.len > usual.len && !memcmp(given.p + given.len - usual.len, usual.p, usual.len))
        given.len -= usual.len;
    for (size_t i = 0; i < given.len; i++)
        out[i] = lower(given.p[i]);
    return (struct str){out, given.len};
}

/* "?" and the query, which may be absent. */
static struct str query_of(const struct head *head, struct arena *arena)
{
    return arena_format(arena, "?%.*s", (int)head->query.len, head->query.p ? head->query.p : "");
}

static struct str path_and_query(const struct head *head, struct arena *arena)
{
    struct str query = head->query.p ? query_of(head, arena) : STR("");

    if (!query.p)
        return STR_NONE;
    return arena_format(arena, "%.*s%.*s", STR_FMT(head->path), STR_FMT(query));
}

static struct str uri_of(const struct signature_message *message, struct arena *arena)
{
    struct str authority = authority_of(message, arena);
    struct str rest = path_and_query(message->head, arena);

    if (!authority.p || !rest.p)
        return STR_NONE;
    if (message->head->form == TARGET_ASTERISK)
        rest = STR("");
    return arena_format(arena, "%.*s://%.*s%.*s", STR_FMT(message->scheme), STR_FMT(authority),
                        STR_FMT(rest));
}

/* As it stood in the request line, in the form that it had (section 2.2.5). */
static struct str target_of(const struct signature_message *message, struct arena *arena)
{
    const struct head *head = message->head;
    struct str rest = path_and_query(head, arena);

    if (head->form != TARGET_ABSOLUTE || !rest.p)
        return rest;
    return arena_format(arena, "%.*s://%.*s%.*s", STR_FMT(head->scheme), STR_FMT(head->authority),
                        STR_FMT(rest));
}

static enum signature_fault put_derived(const struct signature_message *message,
                                        const struct signature_component *component,
                                        struct arena *arena, struct str *value)
{
    const struct head *head = message->head;
    struct str name = component->name;

    if (str_same(name, STR("@query-param")))
        return put_query_param(head, component, arena, value);
    if (str_same(name, STR("@method")))
        *value = head->method_name;
    else if (str_same(name, STR("@authority")))
        *value = authority_of(message, arena);
    else if (str_same(name, STR("@scheme")))
        *value = message->scheme;
    else if (str_same(name, STR("@path")))
        *value = head->path;
    else if (str_same(name, STR("@query")))
        *value = query_of(head, arena);
    else if (str_same(name, STR("@target-uri")))
        *value = uri_of(message, arena);
    else if (str_same(name, STR("@request-target")))
        *value = target_of(message, arena);
    else
        return SIGNATURE_COMPONENT;
    return value->p ? SIGNATURE_NONE : SIGNATURE_MEMORY;
}

/* --- the lines */

static enum signature_fault put_values(const struct signature *signature,
                                       const struct signature_message *message, struct arena *arena,
                                       struct str *values)
{
    enum signature_fault fault = SIGNATURE_NONE;

    for (unsigned i = 0; i < signature->count && !fault; i++) {
        const struct signature_component *component = &signature->components[i];

        if (component->name.p[0] == '@')
            fault = put_derived(message, component, arena, &values[i]);
        else
            fault = put_field(message->head, component, arena, &values[i]);
    }
    return fault;
}

enum signature_fault signature_base(const struct signature *signature,
                                    const struct signature_message *message, struct arena *arena,
                                    struct str *base)
{
    static const struct str last = STR_INIT("\"@signature-params\": ");
    struct str values[SIGNATURE_COMPONENTS_MAX];
    enum signature_fault fault = put_values(signature, message, arena, values);
    size_t size = last.len + signature->params.len;
    char *out, *at;

    if (fault)
        return fault;
    for (unsigned i = 0; i < signature->count; i++)
        size += signature->components[i].text.len + 2 + values[i].len + 1;
    out = at = arena_text(arena, size);
    if (!out)
        return SIGNATURE_MEMORY;
    for (unsigned i = 0; i < signature->count; i++) {
        at = text_put(at, signature->components[i].text);
        at = text_put(at, STR(": "));
        at = text_put(at, values[i]);
        at = text_put(at, STR("\n"));
    }
    at = text_put(at, last);
    at = text_put(at, signature->params);
    *base = (struct str){out, (size_t)(at - out)};
    return SIGNATURE_NONE;
}
