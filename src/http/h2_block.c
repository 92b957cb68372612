/* SPDX-License-Identifier: Apache-2.0
 *
 * Header blocks of HTTP/2 into heads (RFC 9113 section 8). nghttp2 has checked names, values and
 * the order of pseudo-header fields already; what is checked here is what it leaves open, and our
 * own limits. A field over a limit is dropped and the block read on, since HPACK's state must
 * follow it.
 */
#include <string.h>

#include "http/h2_impl.h"

enum { ROOM = 1024, FIELD_OVERHEAD = 32, FIELDS_GUESS = 16, SKIPPED_FACTOR = 4 };

bool h2_block_begin(struct h2 *h2, struct h2_half *half)
{
    struct arena *arena = half->stream->arena;
    struct head *head = arena_alloc(arena, sizeof(*head));

    half->block = (struct h2_block){0};
    if (!head || head_init(head, arena, FIELDS_GUESS))
        return false;
    head->minor = HEAD_HTTP2;
    half->block.head = head;
    h2->receiving = half;
    h2->wire.is_partial = true;
    return true;
}

/* Bytes that stay where they are for as long as the head. */
static char *reserve(struct h2_block *block, struct arena *arena, size_t n)
{
    size_t room = n > ROOM ? n : ROOM;
    char *at = block->at;

    if (!at || (size_t)(block->end - at) < n) {
        at = arena_text(arena, room);
        if (!at)
            return NULL;
        block->end = at + room;
    }
    block->at = at + n;
    return at;
}

static enum reason add_pseudo(struct h2_half *half, struct str name, struct str value)
{
    struct h2_block *block = &half->block;
    char *copy = reserve(block, half->stream->arena, value.len);
    struct str kept = {copy, value.len};

    if (!copy)
        return REASON_HEADERS_TOO_LARGE;
    if (value.len)
        memcpy(copy, value.p, value.len);
    if (name.len == 7 && name.p[1] == 'm')
        block->method = kept;
    else if (name.len == 7 && name.p[2] == 'c')
        block->scheme = kept;
    else if (name.len == 5)
        block->path = kept;
    else if (name.len == 10)
        block->authority = kept;
    else if (name.len == 9)
        block->protocol = kept;
    else if (name.len == 7 && value.len == 3) // :status
        block->head->status =
            (uint16_t)((value.p[0] - '0') * 100 + (value.p[1] - '0') * 10 + value.p[2] - '0');
    return REASON_NONE;
}

/* "name: value\r\n", as if it had come over HTTP/1.1. */
static enum reason add_field(struct h2_half *half, struct str name, struct str value)
{
    struct h2_block *block = &half->block;
    struct head *head = block->head;
    char *line = reserve(block, half->stream->arena, name.len + value.len + 4);

    if (!line)
        return REASON_HEADERS_TOO_LARGE;
    memcpy(line, name.p, name.len);
    memcpy(line + name.len, ": ", 2);
    if (value.len)
        memcpy(line + name.len + 2, value.p, value.len);
    memcpy(line + name.len + 2 + value.len, "\r\n", 2);
    if (head_add(head, half->stream->arena, (struct str){line, name.len},
                 (struct str){line + name.len + 2, value.len}))
        return REASON_HEADERS_TOO_LARGE;
    head->headers[head->count - 1].reserved = H1_AS_READ;
    if (head->headers[head->count - 1].id == HDR_COOKIE && block->cookies < 2)
        block->cookies++;
    return REASON_NONE;
}

static enum reason over_limit(const struct h2 *h2, const struct h2_block *block, struct str name)
{
    const struct wire_limits *limits = h2->wire.limits;

    if (block->bytes > limits->header_bytes)
        return REASON_HEADERS_TOO_LARGE;
    if (name.p[0] != ':' && block->head->count >= limits->headers)
        return REASON_TOO_MANY_HEADERS;
    return REASON_NONE;
}

bool h2_block_add(struct h2 *h2, struct h2_half *half, struct str name, struct str value)
{
    struct h2_block *block = &half->block;
    uint32_t size = (uint32_t)(name.len + value.len) + FIELD_OVERHEAD;

    block->bytes += size;
    if (block->head && !block->why)
        block->why = over_limit(h2, block, name);
    if (block->head && !block->why)
        block->why =
            name.p[0] == ':' ? add_pseudo(half, name, value) : add_field(half, name, value);
    if (block->head && !block->why)
        return true;
    block->skipped += size; // a few bytes can stand for very many (an HPACK bomb)
    return block->skipped <= SKIPPED_FACTOR * h2->wire.limits->header_bytes;
}

/* --- requests */

/* RFC 9113 8.2.3: crumbs become one field for those who know no other way. */
static enum reason join_cookies(struct head *head, struct arena *arena)
{
    size_t len = 0;
    char *text, *at;

    for (unsigned i = 0; i < head->count; i++)
        if (head->headers[i].id == HDR_COOKIE)
            len += head->headers[i].value_len + 2;
    at = text = arena_text(arena, len);
    if (!text)
        return REASON_HEADERS_TOO_LARGE;
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        if (header->id != HDR_COOKIE)
            continue;
        memcpy(at, header->value, header->value_len);
        memcpy(at + header->value_len, "; ", 2);
        at += header->value_len + 2;
    }
    return head_set(head, arena, STR("cookie"), (struct str){text, len - 2})
               ? REASON_HEADERS_TOO_LARGE
               : REASON_NONE;
}

/* RFC 9113 8.3.1: Host may stand for :authority, or beside it with the same value. */
static enum reason take_host(struct h2_half *half)
{
    struct head *head = half->block.head;
    struct str host = head_value(head, HDR_HOST);

    head->authority = half->block.authority;
    if (host.p && head->authority.p && !h1_equal_fold(host, head->authority))
        return REASON_HOST_INVALID;
    if (!head->authority.p)
        head->authority = host;
    if (head_remove(head, HDR_HOST) > 1)
        return REASON_HOST_INVALID;
    if (!head->authority.p)
        return REASON_HOST_MISSING;
    return h1_host_is_valid(head->authority) ? REASON_NONE : REASON_HOST_INVALID;
}

/* RFC 8441 as the handshake of RFC 6455 that it stands for. */
static enum reason take_tunnel(struct h2_half *half)
{
    struct head *head = half->block.head;
    struct arena *arena = half->stream->arena;
    char key[WEBSOCKET_KEY_SIZE];
    struct str text;

    if (!h1_equal_fold(half->block.protocol, STR("websocket")))
        return REASON_METHOD_UNKNOWN; // RFC 9220 3
    half->wants_tunnel = head->is_upgrade = half->stream->must_switch = true;
    head->method = METHOD_GET;
    head->method_name = STR("GET");
    if (head_set(head, arena, STR("upgrade"), half->block.protocol))
        return REASON_HEADERS_TOO_LARGE;
    if (!websocket_key(key) || !websocket_accept((struct str){key, strlen(key)}, half->accept))
        return REASON_INTERNAL_ERROR;
    text = arena_copy(arena, (struct str){key, strlen(key)});
    return !text.p || head_set(head, arena, STR("sec-websocket-key"), text)
               ? REASON_HEADERS_TOO_LARGE
               : REASON_NONE;
}

static bool is_clean(struct str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (!h1_is(target.p[i], H1_TARGET))
            return false;
    return true;
}

static enum reason take_target(const struct h2 *h2, struct h2_half *half)
{
    struct head *head = half->block.head;
    struct str path = half->block.path;

    head->method_name = half->block.method;
    head->method = method_parse(head->method_name);
    if (head->method == METHOD_CONNECT && !half->block.protocol.p)
        path = half->block.authority;
    if (path.len > h2->wire.limits->uri_bytes)
        return REASON_URI_TOO_LONG;
    if (half->block.protocol.p) {
        enum reason why = take_tunnel(half);

        if (why)
            return why;
    }
    if (!path.len || !is_clean(path))
        return REASON_TARGET_INVALID;
    if (head->method != METHOD_CONNECT && path.p[0] != '/' && path.p[0] != '*')
        return REASON_TARGET_INVALID; // RFC 9113 8.3.1
    return h1_target_parse(head, path);
}

static enum reason take_length(struct head *head, enum reason otherwise)
{
    struct str length = head_value(head, HDR_CONTENT_LENGTH);

    if (!length.p)
        return REASON_NONE;
    head->content_length = h1_decimal(length);
    return head->content_length < 0 ? otherwise : REASON_NONE;
}

/* A body that shall have no bytes and has not ended: were its length passed on, a target would take
 * the request for whole before we know that it is. */
static void distrust_length(const struct h2_half *half)
{
    struct head *head = half->block.head;

    if (head->content_length || half->is_remote_done)
        return;
    head->content_length = -1;
    head_remove(head, HDR_CONTENT_LENGTH);
}

static enum reason take_expectation(struct head *head)
{
    struct str expect = head_value(head, HDR_EXPECT);

    if (!expect.p)
        return REASON_NONE;
    head->expects_continue = h1_equal_fold(expect, STR("100-continue"));
    return head->expects_continue ? REASON_NONE : REASON_EXPECTATION_FAILED; // RFC 9110 10.1.1
}

enum reason h2_block_request(struct h2 *h2, struct h2_half *half)
{
    struct head *head = half->block.head;
    enum reason why = half->block.why;

    if (!why)
        why = take_target(h2, half);
    if (!why)
        why = take_host(half);
    if (!why)
        why = take_length(head, REASON_CONTENT_LENGTH_INVALID);
    distrust_length(half);
    if (!why)
        why = take_expectation(head);
    if (!why && half->block.cookies > 1)
        why = join_cookies(head, half->stream->arena);
    return why;
}

/* --- responses */

/* The 2xx to an extended CONNECT is the 101 of HTTP/1.1. */
static enum reason take_switch(struct h2_half *half)
{
    struct head *head = half->block.head;
    struct arena *arena = half->stream->arena;
    struct str accept;

    head->status = 101;
    head->is_upgrade = true;
    if (head_set(head, arena, STR("upgrade"), STR("websocket")))
        return REASON_HTTP_RESPONSE_HEADER_SIZE;
    if (!half->accept[0])
        return REASON_NONE;
    accept = arena_copy(arena, (struct str){half->accept, strlen(half->accept)});
    return !accept.p || head_set(head, arena, STR("Sec-WebSocket-Accept"), accept)
               ? REASON_HTTP_RESPONSE_HEADER_SIZE
               : REASON_NONE;
}

enum reason h2_block_response(struct h2_half *half)
{
    struct head *head = half->block.head;

    if (half->block.why)
        return REASON_HTTP_RESPONSE_HEADER_SIZE;
    if (head->status < 100 || head->status > 599 || head->status == 101) // RFC 9113 8.6
        return REASON_HTTP_PROTOCOL_ERROR;
    if (half->wants_tunnel && head->status / 100 == 2)
        return take_switch(half);
    return take_length(head, REASON_HTTP_PROTOCOL_ERROR);
}
