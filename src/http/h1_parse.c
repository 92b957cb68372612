/* SPDX-License-Identifier: Apache-2.0
 *
 * Head blocks of HTTP/1.1 (RFC 9112 sections 2 to 5), parsed in one pass over a block that is
 * whole: its last byte is LF, which no class contains, so byte loops need no other end. Strings
 * point into the block. Pure.
 */
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/arena.h"
#include "http/h1_impl.h"

enum { FIELDS_GUESS = 24 };

#define BIT(id) (UINT64_C(1) << HDR_##id)

/* What h1_field_note knows. */
static const uint64_t noted = BIT(HOST) | BIT(CONNECTION) | BIT(CONTENT_LENGTH) |
                              BIT(TRANSFER_ENCODING) | BIT(UPGRADE) | BIT(EXPECT);

size_t h1_head_length(struct str in, size_t *scanned)
{
    const char *end = in.p + in.len;
    const char *p = in.p + *scanned;

    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        if (end - p < 2 || (p[1] == '\r' && end - p < 3))
            break;
        if (p[1] == '\n')
            return (size_t)(p + 2 - in.p);
        if (p[1] == '\r' && p[2] == '\n')
            return (size_t)(p + 3 - in.p);
        p++;
    }
    *scanned = (size_t)((p ? p : end) - in.p);
    return 0;
}

static enum reason end_line(struct h1_parse *parse, enum reason otherwise)
{
    const char *p = parse->p;

    if (*p != '\r')
        return *p == '\n' ? REASON_LINE_ENDING_INVALID : otherwise;
    if (p[1] != '\n') // RFC 9112 2.2
        return REASON_LINE_ENDING_INVALID;
    parse->p = p + 2;
    return REASON_NONE;
}

static const char *skip(const char *p, unsigned class)
{
    while (h1_is(*p, class))
        p++;
    return p;
}

/* "HTTP/" DIGIT "." DIGIT; steps behind it. The reason VERSION_UNSUPPORTED is for later. */
static enum reason parse_version(struct h1_parse *parse, enum reason otherwise)
{
    const char *p = parse->p;

    if (parse->end - p < 9 || memcmp(p, "HTTP/", 5) || !h1_is(p[5], H1_DIGIT) || p[6] != '.' ||
        !h1_is(p[7], H1_DIGIT))
        return otherwise;
    parse->p = p + 8;
    if (p[5] != '1' || p[7] > '1')
        return REASON_VERSION_UNSUPPORTED;
    parse->head->minor = (uint8_t)(p[7] - '0');
    return REASON_NONE;
}

static bool take_space(struct h1_parse *parse)
{
    if (*parse->p != ' ')
        return false;
    parse->p++;
    return true;
}

static enum reason parse_target(struct h1_parse *parse, struct str *target)
{
    const char *start = parse->p;
    const char *end = skip(start, H1_TARGET);

    *target = (struct str){start, (size_t)(end - start)};
    parse->p = end;
    if (target->len > parse->limits->uri_bytes)
        return REASON_URI_TOO_LONG;
    if (*end == ' ')
        return target->len ? REASON_NONE : REASON_REQUEST_LINE_INVALID;
    if (*end == '\t' || *end == '\r' || *end == '\n')
        return REASON_REQUEST_LINE_INVALID;
    return REASON_TARGET_INVALID;
}

/* method SP request-target SP HTTP-version CRLF (RFC 9112 3) */
static enum reason parse_request_line(struct h1_parse *parse)
{
    struct head *head = parse->head;
    struct str target;
    enum reason version, why;

    head->method_name.p = parse->p;
    parse->p = skip(parse->p, H1_TOKEN);
    head->method_name.len = (size_t)(parse->p - head->method_name.p);
    if (!head->method_name.len || !take_space(parse))
        return REASON_REQUEST_LINE_INVALID;
    why = parse_target(parse, &target);
    if (why)
        return why;
    parse->p++;
    version = parse_version(parse, REASON_REQUEST_LINE_INVALID);
    if (version == REASON_REQUEST_LINE_INVALID)
        return version;
    why = end_line(parse, REASON_REQUEST_LINE_INVALID);
    if (why || version)
        return why ? why : version;
    if (head->method_name.len <= H1_METHOD_MAX)
        head->method = method_parse(head->method_name);
    return head->method ? h1_target_parse(head, target) : REASON_METHOD_UNKNOWN;
}

/* HTTP-version SP 3DIGIT [SP phrase] CRLF (RFC 9112 4); the SP before a missing phrase is often
 * missing too. */
static enum reason parse_status_line(struct h1_parse *parse)
{
    struct head *head = parse->head;
    const char *p;

    if (parse_version(parse, REASON_HTTP_PROTOCOL_ERROR) || !take_space(parse))
        return REASON_HTTP_PROTOCOL_ERROR;
    p = parse->p;
    for (int i = 0; i < 3; i++) {
        if (!h1_is(p[i], H1_DIGIT))
            return REASON_HTTP_PROTOCOL_ERROR;
        head->status = (uint16_t)(head->status * 10 + (p[i] - '0'));
    }
    if (head->status < 100 || head->status > 599) // RFC 9110 15
        return REASON_HTTP_PROTOCOL_ERROR;
    parse->p += 3;
    if (take_space(parse)) {
        head->phrase.p = parse->p;
        parse->p = h1_value_end(parse->p, parse->end);
        head->phrase.len = (size_t)(parse->p - head->phrase.p);
    }
    return end_line(parse, REASON_HTTP_PROTOCOL_ERROR);
}

/* The colon within the next 16 bytes, where it is for nearly every name; NULL: look for it slowly.
 */
static const char *find_colon(const char *p, const char *end)
{
#ifdef __SSE2__
    if (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8(':')));

        return mask ? p + __builtin_ctz(mask) : NULL;
    }
#else
    (void)p;
    (void)end;
#endif
    return NULL;
}

/* No early exit: the length is known, and most names are good. */
static bool are_tokens(const char *p, size_t len)
{
    unsigned class = H1_TOKEN;

    for (size_t i = 0; i < len; i++)
        class &= h1_class[(unsigned char)p[i]];
    return len && class;
}

/* field-name ":" without white space between (RFC 9112 5.1) */
static enum reason parse_name(struct h1_parse *parse, struct header *header)
{
    const char *start = parse->p;
    const char *end = find_colon(start, parse->end);
    size_t len = end ? (size_t)(end - start) : 0;
    enum header_id id = head_id((struct str){start, len});

    if (!id && !are_tokens(start, len)) {
        end = skip(start, H1_TOKEN);
        len = (size_t)(end - start);
        if (*end == '\n' || (*end == '\r' && end[1] != '\n'))
            return REASON_LINE_ENDING_INVALID;
        if (*end != ':' || !len || len > UINT16_MAX)
            return REASON_HEADER_NAME_INVALID;
        id = head_id((struct str){start, len});
    }
    header->name = start;
    header->name_len = (uint16_t)len;
    header->id = (uint8_t)id;
    parse->p = end + 1;
    return REASON_NONE;
}

static enum reason parse_value(struct h1_parse *parse, struct header *header)
{
    const char *start = parse->p;
    const char *end;
    enum reason why;
    bool is_as_read;

    while (*start == ' ' || *start == '\t')
        start++;
    end = parse->p = h1_value_end(start, parse->end);
    why = end_line(parse, REASON_HEADER_VALUE_INVALID);
    if (why)
        return why;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if ((size_t)(end - start) > UINT32_MAX)
        return REASON_HEADERS_TOO_LARGE;
    header->value = start;
    header->value_len = (uint32_t)(end - start);
    is_as_read = start == header->name + header->name_len + 2 && start[-1] == ' ' && //
                 end + 2 == parse->p;
    header->reserved = is_as_read ? H1_AS_READ : 0;
    return REASON_NONE;
}

static bool has_room(struct h1_parse *parse)
{
    struct head *head = parse->head;
    struct header *headers;
    unsigned capacity = head->capacity * 2u;

    if (head->count < head->capacity)
        return true;
    if (capacity > UINT16_MAX)
        capacity = UINT16_MAX;
    headers =
        capacity > head->count ? arena_alloc(parse->arena, capacity * sizeof(*headers)) : NULL;
    if (!headers)
        return false;
    memcpy(headers, head->headers, head->count * sizeof(*headers));
    head->headers = headers;
    head->capacity = (uint16_t)capacity;
    return true;
}

static enum reason parse_field(struct h1_parse *parse)
{
    struct head *head = parse->head;
    struct header *header;
    enum reason why;

    if (*parse->p == ' ' || *parse->p == '\t') // RFC 9112 5.2 and 2.2
        return REASON_HEADER_FOLDED;
    if (head->count >= parse->limits->headers)
        return REASON_TOO_MANY_HEADERS;
    if (!has_room(parse))
        return REASON_MEMORY_LIMIT;
    header = &head->headers[head->count];
    why = parse_name(parse, header);
    if (!why)
        why = parse_value(parse, header);
    if (why)
        return why;
    if (noted >> header->id & 1 && !parse->is_trailer)
        why = h1_field_note(parse, header);
    head->count++;
    head->present |= UINT64_C(1) << header->id;
    return why;
}

/* field-lines up to the empty line, which must end the block */
static enum reason parse_fields(struct h1_parse *parse)
{
    while (parse->p < parse->end) {
        enum reason why;

        if (*parse->p == '\r' || *parse->p == '\n') {
            why = end_line(parse, REASON_LINE_ENDING_INVALID);
            return why || parse->p == parse->end ? why : REASON_LINE_ENDING_INVALID;
        }
        why = parse_field(parse);
        if (why)
            return why;
    }
    return REASON_LINE_ENDING_INVALID;
}

/* The checks that make the rest of the parse safe, and a head with room for fields. */
static enum reason start(struct h1_parse *parse, struct str block)
{
    if (head_init(parse->head, parse->arena, FIELDS_GUESS))
        return REASON_MEMORY_LIMIT;
    if (block.len > parse->limits->header_bytes)
        return REASON_HEADERS_TOO_LARGE;
    if (!block.len || block.p[block.len - 1] != '\n')
        return REASON_LINE_ENDING_INVALID;
    parse->p = block.p;
    parse->end = block.p + block.len;
    return REASON_NONE;
}

enum reason h1_parse_request(struct str block, const struct wire_limits *limits,
                             struct arena *arena, struct head *head)
{
    struct h1_parse parse = {.head = head, .arena = arena, .limits = limits, .is_request = true};
    enum reason why = start(&parse, block);

    if (!why && block.len > 2 && !memcmp(block.p, "\r\n", 2)) // RFC 9112 2.2
        parse.p += 2;
    if (why == REASON_HEADERS_TOO_LARGE && h1_partial_check(block, limits) == REASON_URI_TOO_LONG)
        why = REASON_URI_TOO_LONG; // the same whether it comes whole or in pieces
    if (!why)
        why = parse_request_line(&parse);
    if (!why)
        why = parse_fields(&parse);
    return why ? why : h1_field_check(&parse);
}

static enum reason to_response(enum reason why)
{
    switch (why) {
    case REASON_NONE:
    case REASON_MEMORY_LIMIT:
        return why;
    case REASON_HEADERS_TOO_LARGE:
    case REASON_TOO_MANY_HEADERS:
        return REASON_HTTP_RESPONSE_HEADER_SIZE;
    default:
        return REASON_HTTP_PROTOCOL_ERROR;
    }
}

enum reason h1_parse_response(struct str block, const struct wire_limits *limits,
                              struct arena *arena, struct head *head)
{
    struct h1_parse parse = {.head = head, .arena = arena, .limits = limits};
    enum reason why = start(&parse, block);

    if (!why)
        why = parse_status_line(&parse);
    if (!why)
        why = parse_fields(&parse);
    return to_response(why ? why : h1_field_check(&parse));
}

/* RFC 9110 6.5.1: what routes, frames, authenticates or describes content comes too late here. */
static bool is_forbidden_trailer(const struct header *header)
{
    static const enum header_id allowed[] = {HDR_OTHER, HDR_DATE, HDR_VIA, HDR_SERVER};
    static const struct str refused[] = {
        {"x-forwarded-", 12}, {"content-", 8},          {"cache-control", 13}, {"proxy-", 6},
        {"range", 5},         {"www-authenticate", 16}, {"max-forwards", 12},  {"if-", 3},
    };
    bool is_allowed = false;

    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        is_allowed = is_allowed || header->id == allowed[i];
    for (size_t i = 0; i < ARRAY_LEN(refused) && is_allowed; i++)
        if (header->name_len >= refused[i].len &&
            h1_equal_fold((struct str){header->name, refused[i].len}, refused[i]))
            is_allowed = false;
    return !is_allowed;
}

enum reason h1_parse_trailers(struct str block, const struct wire_limits *limits,
                              struct arena *arena, struct head *head)
{
    struct h1_parse parse = {.head = head, .arena = arena, .limits = limits, .is_trailer = true};
    enum reason why = start(&parse, block);
    uint16_t kept = 0;

    if (!why)
        why = parse_fields(&parse);
    head->present = 0;
    for (unsigned i = 0; i < head->count; i++) {
        if (is_forbidden_trailer(&head->headers[i]))
            continue;
        head->present |= UINT64_C(1) << head->headers[i].id;
        head->headers[kept++] = head->headers[i];
    }
    head->count = kept;
    if (!why || why == REASON_MEMORY_LIMIT || why == REASON_HEADERS_TOO_LARGE)
        return why;
    return REASON_TRAILER_INVALID;
}

/* A request line that is whole and wrong is refused at once: an HTTP/0.9 client would wait for
 * ever. */
static enum reason check_first_line(struct str in, const struct wire_limits *limits)
{
    const char *end = memchr(in.p, '\n', in.len);
    struct head head = {0};
    struct h1_parse parse = {.head = &head,
                             .limits = limits,
                             .p = in.p,
                             .end = end ? end + 1 : in.p,
                             .is_request = true};

    return end && in.p[0] != '\r' ? parse_request_line(&parse) : REASON_NONE;
}

enum reason h1_partial_check(struct str in, const struct wire_limits *limits)
{
    const char *space = memchr(in.p, ' ', in.len <= H1_METHOD_MAX + 1 ? in.len : H1_METHOD_MAX + 1);
    size_t rest = space ? (size_t)(in.p + in.len - space - 1) : 0;

    if (in.len && !h1_is(in.p[0], H1_TOKEN) && in.p[0] != '\r')
        return REASON_REQUEST_LINE_INVALID;
    if (rest > limits->uri_bytes && !memchr(space + 1, ' ', (size_t)limits->uri_bytes + 1) &&
        !memchr(space + 1, '\n', (size_t)limits->uri_bytes + 1))
        return REASON_URI_TOO_LONG;
    if (in.len >= limits->header_bytes)
        return REASON_HEADERS_TOO_LARGE;
    return check_first_line(in, limits);
}
