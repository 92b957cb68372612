/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc.h"

#include <strings.h>

#include "base/arena.h"

enum { TIMEOUT_DIGITS = 8 };

static bool takes_prefix(struct str *text, struct str prefix)
{
    if (text->len < prefix.len || strncasecmp(text->p, prefix.p, prefix.len))
        return false;
    text->p += prefix.len;
    text->len -= prefix.len;
    return true;
}

/* The media type's name ends here: a suffix, parameters or nothing follows. */
static bool is_end_of_name(struct str rest)
{
    return !rest.len || rest.p[0] == '+' || rest.p[0] == ';' || rest.p[0] == ' ' ||
           rest.p[0] == '\t';
}

enum grpc_kind grpc_read_type(struct str content_type, struct str *rest)
{
    struct str at = content_type;
    enum grpc_kind kind = GRPC_PLAIN;

    if (!at.p || !takes_prefix(&at, STR("application/grpc")))
        return GRPC_NONE;
    if (takes_prefix(&at, STR("-web")))
        kind = takes_prefix(&at, STR("-text")) ? GRPC_WEB_TEXT : GRPC_WEB;
    if (!is_end_of_name(at))
        return GRPC_NONE;
    if (rest)
        *rest = at;
    return kind;
}

/* Nanoseconds in a unit; 0: there is no such unit. */
static uint64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return UINT64_C(3600000000000);
    case 'M':
        return UINT64_C(60000000000);
    case 'S':
        return UINT64_C(1000000000);
    case 'm':
        return 1000000;
    case 'u':
        return 1000;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

bool grpc_parse_timeout(struct str text, uint64_t *ms)
{
    const uint64_t ns_per_ms = 1000000;
    uint64_t value = 0, unit;

    if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1)
        return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.p[i] - '0');
    }
    unit = unit_ns(text.p[text.len - 1]);
    if (!unit)
        return false;
    // eight digits of hours are 3.6e20 ns: more than 64 bits
    *ms =
        unit >= ns_per_ms ? value * (unit / ns_per_ms) : (value * unit + ns_per_ms - 1) / ns_per_ms;
    return true;
}

enum grpc_status grpc_map_http(unsigned status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

/* By HTTP status, where all refusals with it mean the same; GRPC_OK: they do not. */
static enum grpc_status by_status(unsigned status)
{
    switch (status) {
    case 405:
    case 501:
    case 505:
        return GRPC_UNIMPLEMENTED;
    case 408:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 414:
    case 429:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 421: // another connection serves that host
        return GRPC_UNAVAILABLE;
    case 499:
        return GRPC_CANCELLED;
    case 500:
        return GRPC_INTERNAL;
    default:
        return GRPC_OK;
    }
}

enum grpc_status grpc_map_reason(enum reason why)
{
    unsigned status = reason_info(why)->status;
    enum grpc_status mapped = by_status(status);

    switch (why) {
    case REASON_DEADLINE_EXCEEDED:
    case REASON_HTTP_RESPONSE_TIMEOUT:
    case REASON_STREAM_IDLE:
        return GRPC_DEADLINE_EXCEEDED;
    case REASON_TOO_MUCH_ABUSE:
    case REASON_HTTP_RESPONSE_HEADER_SIZE:
        return GRPC_RESOURCE_EXHAUSTED;
    case REASON_HTTP_PROTOCOL_ERROR: // another try would get the same
    case REASON_HTTP_UPGRADE_FAILED:
        return GRPC_INTERNAL;
    case REASON_GRPC_WEB_TEXT_INVALID:
        return GRPC_INVALID_ARGUMENT;
    default:
        return mapped ? mapped : grpc_map_http(status);
    }
}

static bool is_plain(char c)
{
    return c >= 0x20 && c <= 0x7e && c != '%';
}

bool grpc_is_failure(struct str status)
{
    unsigned code = 0;

    if (!status.len || status.len > 2)
        return false;
    for (size_t i = 0; i < status.len; i++) {
        if (status.p[i] < '0' || status.p[i] > '9')
            return false;
        code = code * 10 + (unsigned)(status.p[i] - '0');
    }
    return code == GRPC_UNKNOWN || code == GRPC_DEADLINE_EXCEEDED || code == GRPC_UNIMPLEMENTED ||
           code == GRPC_INTERNAL || code == GRPC_UNAVAILABLE || code == GRPC_DATA_LOSS;
}

struct str grpc_encode_message(struct arena *arena, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = text.len;
    char *start, *at;

    for (size_t i = 0; i < text.len; i++)
        len += is_plain(text.p[i]) ? 0 : 2;
    start = at = arena_text(arena, len);
    if (!start)
        return STR_NONE;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (is_plain(text.p[i])) {
            *at++ = text.p[i];
            continue;
        }
        *at++ = '%';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    return (struct str){start, len};
}
