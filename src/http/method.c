/* SPDX-License-Identifier: Apache-2.0
 *
 * Request methods: the ones with a meaning of their own here, and the other registered ones, which
 * are forwarded as written. Case matters (RFC 9110 section 9.1). Pure.
 */
#include "http/h1_impl.h"

#include <string.h>

struct name {
    uint8_t method; /* enum method */
    uint8_t len;
    char text[18];
};

#define NAME(id, lit)                                                                              \
    {                                                                                              \
        METHOD_##id, sizeof(lit) - 1, lit                                                          \
    }

/* Most frequent first. */
static const struct name common[] = {
    NAME(GET, "GET"),         NAME(POST, "POST"),     NAME(HEAD, "HEAD"),
    NAME(PUT, "PUT"),         NAME(DELETE, "DELETE"), NAME(PATCH, "PATCH"),
    NAME(OPTIONS, "OPTIONS"), NAME(TRACE, "TRACE"),   NAME(CONNECT, "CONNECT"),
};

/* The IANA HTTP Method Registry, and PURGE, which caches made a custom. */
static const struct name registered[] = {
    NAME(EXTENSION, "ACL"),
    NAME(EXTENSION, "BASELINE-CONTROL"),
    NAME(EXTENSION, "BIND"),
    NAME(EXTENSION, "CHECKIN"),
    NAME(EXTENSION, "CHECKOUT"),
    NAME(EXTENSION, "COPY"),
    NAME(EXTENSION, "LABEL"),
    NAME(EXTENSION, "LINK"),
    NAME(EXTENSION, "LOCK"),
    NAME(EXTENSION, "MERGE"),
    NAME(EXTENSION, "MKACTIVITY"),
    NAME(EXTENSION, "MKCALENDAR"),
    NAME(EXTENSION, "MKCOL"),
    NAME(EXTENSION, "MKREDIRECTREF"),
    NAME(EXTENSION, "MKWORKSPACE"),
    NAME(EXTENSION, "MOVE"),
    NAME(EXTENSION, "ORDERPATCH"),
    NAME(EXTENSION, "PROPFIND"),
    NAME(EXTENSION, "PROPPATCH"),
    NAME(EXTENSION, "PURGE"),
    NAME(EXTENSION, "QUERY"),
    NAME(EXTENSION, "REBIND"),
    NAME(EXTENSION, "REPORT"),
    NAME(EXTENSION, "SEARCH"),
    NAME(EXTENSION, "UNBIND"),
    NAME(EXTENSION, "UNCHECKOUT"),
    NAME(EXTENSION, "UNLINK"),
    NAME(EXTENSION, "UNLOCK"),
    NAME(EXTENSION, "UPDATE"),
    NAME(EXTENSION, "UPDATEREDIRECTREF"),
    NAME(EXTENSION, "VERSION-CONTROL"),
};

static enum method find(const struct name *names, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].len == text.len && !memcmp(names[i].text, text.p, text.len))
            return names[i].method;
    return METHOD_OTHER;
}

enum method method_parse(struct str text)
{
    enum method method;

    if (text.len == 3 && !memcmp(text.p, "GET", 3))
        return METHOD_GET;
    if (!text.len)
        return METHOD_OTHER;
    method = find(common, ARRAY_LEN(common), text);
    return method ? method : find(registered, ARRAY_LEN(registered), text);
}

bool method_is_idempotent(enum method method)
{
    switch (method) {
    case METHOD_GET: // RFC 9110 9.2.2
    case METHOD_HEAD:
    case METHOD_PUT:
    case METHOD_DELETE:
    case METHOD_OPTIONS:
    case METHOD_TRACE:
        return true;
    default:
        return false;
    }
}
