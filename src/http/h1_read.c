/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiving half of the HTTP/1.1 codec: one step function per state of the message, each of
 * which ends with at most one call of the sink. A sink may end the stream or the wire in that call,
 * so the driver looks at the state anew after each step and no step uses the stream after its call.
 */
#include <string.h>

#include "base/arena.h"
#include "base/outq.h"
#include "http/h1_impl.h"

/* Eats from *in; true when there may be more to do with what is left. */
typedef bool step_fn(struct h1 *h1, struct str *in);

static void advance(struct str *in, size_t n)
{
    in->p += n;
    in->len -= n;
}

static bool swallow(struct h1 *h1, struct str *in)
{
    (void)h1;
    advance(in, in->len);
    return false;
}

/* The other end's message is wrong. */
static bool fail(struct h1 *h1, struct str *in, struct head *head, enum reason why)
{
    advance(in, in->len);
    if (h1->wire.role == ROLE_CLIENT) {
        h1_reset(h1, why);
        return false;
    }
    h1->read = H1_READ_SWALLOW;
    h1->is_closing = true;
    h1->stream->sink->on_refuse(h1->stream, head, why);
    return false;
}

/* The message is in. What lies behind an answer is nobody's, and must not become the next one's. */
static void finish(struct h1 *h1, const struct str *rest)
{
    h1->read = H1_READ_DONE;
    h1->stream->received = true;
    if (h1->wire.role == ROLE_CLIENT && rest->len)
        h1->is_closing = true;
}

/* No memory in the arena: because of its own ceiling, or the worker's? */
static enum reason memory_reason(const struct h1 *h1, const struct arena *arena, size_t need)
{
    bool is_own =
        arena->limit && (arena->used >= arena->limit || need > arena->limit - arena->used);

    if (!is_own)
        return REASON_MEMORY_LIMIT;
    return h1->wire.role == ROLE_SERVER ? REASON_HEADERS_TOO_LARGE
                                        : REASON_HTTP_RESPONSE_HEADER_SIZE;
}

/* A copy of the block in the stream's arena and a head beside it. */
static struct head *adopt(struct stream *stream, struct str *block)
{
    struct head *head = arena_alloc(stream->arena, sizeof(*head));

    if (!head)
        return NULL;
    *block = arena_copy(stream->arena, *block);
    return block->p ? head : NULL;
}

/* RFC 9112 2.2: one empty line before a request is nothing. True when the rest may be a request. */
static bool skip_empty_line(struct h1 *h1, struct str *in)
{
    if (in->p[0] != '\r' || h1->has_skipped)
        return true;
    if (in->len == 1) {
        h1->wire.is_partial = true;
        h1->wire.is_idle = false;
        return false;
    }
    if (in->p[1] == '\n') {
        advance(in, 2);
        h1->has_skipped = true;
    }
    return in->len > 0;
}

bool h1_put_bare_503(struct h1 *h1)
{
    struct outq *out = h1_out(h1);

    return out && !outq_put(out, STR("HTTP/1.1 503 Service Unavailable\r\n"
                                     "Content-Length: 0\r\nConnection: close\r\n\r\n"));
}

static bool send_bare_503(struct h1 *h1, struct str *in)
{
    advance(in, in->len);
    h1->read = H1_READ_SWALLOW;
    h1->wire.wants_close = true;
    if (!h1_put_bare_503(h1))
        h1->read = H1_READ_CLOSED;
    return false;
}

/* Asks for a stream; NULL: the wire has dealt with it. */
static struct stream *open_stream(struct h1 *h1, struct str *in)
{
    struct stream *stream = h1->wire.sink->on_open(h1->wire.owner);

    if (h1->read != H1_READ_HEAD) {
        advance(in, in->len);
        return NULL;
    }
    if (!stream) {
        send_bare_503(h1, in);
        return NULL;
    }
    h1_attach(h1, stream);
    return stream;
}

static bool wait_request(struct h1 *h1, struct str *in)
{
    bool is_second_empty = in->p[0] == '\r' && h1->has_skipped;
    enum reason why =
        is_second_empty ? REASON_REQUEST_LINE_INVALID : h1_partial_check(*in, h1->wire.limits);

    h1->wire.is_partial = true;
    h1->wire.is_idle = false;
    if (!why)
        return false;
    return open_stream(h1, in) ? fail(h1, in, NULL, why) : false;
}

static bool begin_body(struct h1 *h1, const struct head *head)
{
    if (head->chunked) {
        h1->read = H1_READ_CHUNKED;
        h1->chunked = (struct chunked){0};
        return true;
    }
    if (head->content_length <= 0)
        return false;
    h1->read = H1_READ_LENGTH;
    h1->in_left = (uint64_t)head->content_length;
    return true;
}

static bool step_request(struct h1 *h1, struct str *in)
{
    struct stream *stream;
    struct str block;
    struct head *head;
    enum reason why;

    if (h1->wire.wants_close)
        return swallow(h1, in);
    if (outq_pending(h1->wire.out) >= WIRE_HIGH_WATER)
        return false; // who does not read the answers gets no further ones
    if (!skip_empty_line(h1, in))
        return false;
    block = *in;
    block.len = h1_head_length(*in, &h1->scanned);
    if (!block.len)
        return wait_request(h1, in);
    stream = open_stream(h1, in);
    if (!stream)
        return false;
    head = adopt(stream, &block);
    if (!head)
        return fail(h1, in, NULL, memory_reason(h1, stream->arena, block.len + sizeof(*head)));
    advance(in, block.len);
    why = h1_parse_request(block, h1->wire.limits, stream->arena, head);
    if (!why && block.p[0] == '\r')
        why = REASON_REQUEST_LINE_INVALID;
    h1->minor = why ? 1 : head->minor;
    stream->is_head = head->method == METHOD_HEAD;
    if (why)
        return fail(h1, in, head, why);
    h1->is_closing = head->wants_close;
    h1->asked_connect = head->method == METHOD_CONNECT;
    if (!begin_body(h1, head))
        finish(h1, in);
    stream->sink->on_head(stream, head, h1->read == H1_READ_DONE);
    return true;
}

/* Body length of a response (RFC 9112 6.3). */
static void begin_answer(struct h1 *h1, const struct head *head, const struct str *rest)
{
    bool is_bodiless = h1->stream->is_head || head->status == 204 || head->status == 304;

    if (h1->asked_connect && head->status / 100 == 2) {
        h1->read = H1_READ_HOLD;
        return;
    }
    h1->is_closing = h1->is_closing || head->wants_close;
    if (is_bodiless || (!begin_body(h1, head) && head->content_length == 0)) {
        finish(h1, rest);
        return;
    }
    if (h1->read != H1_READ_HEAD)
        return;
    if (head->status == 205) { // RFC 9110 15.3.6
        finish(h1, rest);
        return;
    }
    h1->read = H1_READ_TO_CLOSE;
    h1->is_closing = true;
}

/* "timeout=N" of Keep-Alive. */
static void note_keep_alive(struct h1 *h1, const struct head *head)
{
    struct str list = head_value(head, HDR_KEEP_ALIVE);
    struct str item;

    while (h1_list_next(&list, &item)) {
        int64_t n;

        if (item.len <= 8 || !h1_equal_fold((struct str){item.p, 8}, STR("timeout=")))
            continue;
        n = h1_decimal((struct str){item.p + 8, item.len - 8});
        if (n > 0)
            h1->wire.keep_alive_s = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    }
}

static bool take_answer(struct h1 *h1, struct str *in, struct head *head)
{
    struct stream *stream = h1->stream;

    if (head->status == 101) {
        if (!h1->asked_upgrade || !head->is_upgrade) // RFC 9110 15.2.2
            return fail(h1, in, head, REASON_HTTP_UPGRADE_FAILED);
        h1->read = H1_READ_HOLD;
        stream->sink->on_head(stream, head, false);
        return true;
    }
    if (head->status < 200) {
        if (++h1->interims > H1_INTERIM_MAX)
            return fail(h1, in, head, REASON_HTTP_PROTOCOL_ERROR);
        stream->sink->on_interim(stream, head);
        return true;
    }
    note_keep_alive(h1, head);
    begin_answer(h1, head, in);
    stream->sink->on_head(stream, head, h1->read == H1_READ_DONE);
    return true;
}

static bool wait_answer(struct h1 *h1, struct str *in)
{
    static const char start[] = "HTTP/1.";
    size_t n = in->len < sizeof(start) - 1 ? in->len : sizeof(start) - 1;

    if (memcmp(in->p, start, n) != 0)
        return fail(h1, in, NULL, REASON_HTTP_PROTOCOL_ERROR);
    if (in->len >= h1->wire.limits->header_bytes)
        return fail(h1, in, NULL, REASON_HTTP_RESPONSE_HEADER_SIZE);
    h1->wire.is_partial = true;
    return false;
}

static bool step_answer(struct h1 *h1, struct str *in)
{
    struct str block = *in;
    struct head *head;
    enum reason why;

    if (!h1->stream) { // an answer to nothing
        h1->wire.wants_close = true;
        h1->wire.is_idle = false;
        return swallow(h1, in);
    }
    if (h1->write == H1_WRITE_HEAD) // it cannot be the answer to what was not asked yet
        return fail(h1, in, NULL, REASON_CONNECTION_TERMINATED);
    h1->has_answer = true;
    block.len = h1_head_length(*in, &h1->scanned);
    if (!block.len)
        return wait_answer(h1, in);
    h1->scanned = 0;
    h1->wire.is_partial = false;
    head = adopt(h1->stream, &block);
    if (!head)
        return fail(h1, in, NULL, memory_reason(h1, h1->stream->arena, block.len + sizeof(*head)));
    advance(in, block.len);
    why = h1_parse_response(block, h1->wire.limits, h1->stream->arena, head);
    return why ? fail(h1, in, head, why) : take_answer(h1, in, head);
}

static bool step_head(struct h1 *h1, struct str *in)
{
    return h1->wire.role == ROLE_SERVER ? step_request(h1, in) : step_answer(h1, in);
}

static void give(struct h1 *h1, struct str bytes, bool last)
{
    if (__builtin_add_overflow(h1->wire.unpaid, bytes.len, &h1->wire.unpaid))
        h1->wire.unpaid = UINT32_MAX;
    h1->stream->sink->on_body(h1->stream, bytes, last);
}

static bool step_length(struct h1 *h1, struct str *in)
{
    struct str bytes = *in;

    if (bytes.len > h1->in_left)
        bytes.len = (size_t)h1->in_left;
    h1->in_left -= bytes.len;
    advance(in, bytes.len);
    if (!h1->in_left)
        finish(h1, in);
    give(h1, bytes, !h1->in_left);
    return true;
}

static enum reason body_reason(const struct h1 *h1, enum reason why)
{
    return h1->wire.role == ROLE_SERVER ? why : REASON_HTTP_PROTOCOL_ERROR;
}

static bool step_chunked(struct h1 *h1, struct str *in)
{
    struct str bytes;

    switch (chunked_next(&h1->chunked, in, &bytes)) {
    case CHUNK_DATA:
        give(h1, bytes, false);
        return true;
    case CHUNK_TRAILERS:
        h1->read = H1_READ_TRAILERS;
        h1->scanned = 0;
        return true;
    case CHUNK_BAD:
        return fail(h1, in, NULL, body_reason(h1, REASON_CHUNK_INVALID));
    default:
        return false;
    }
}

static bool end_chunked(struct h1 *h1, struct head *trailers, const struct str *rest)
{
    finish(h1, rest);
    if (trailers && trailers->count)
        h1->stream->sink->on_trailers(h1->stream, trailers);
    else
        give(h1, STR(""), true);
    return true;
}

static bool wait_trailers(struct h1 *h1, struct str *in)
{
    if (in->len < h1->wire.limits->header_bytes)
        return false;
    return fail(h1, in, NULL,
                h1->wire.role == ROLE_SERVER ? REASON_HEADERS_TOO_LARGE
                                             : REASON_HTTP_RESPONSE_HEADER_SIZE);
}

/* trailer-section CRLF (RFC 9112 7.1.2) */
static bool step_trailers(struct h1 *h1, struct str *in)
{
    struct str block = *in;
    struct head *head;
    enum reason why;

    if (in->p[0] == '\r' && in->len < 2)
        return false;
    if (in->p[0] == '\r' && in->p[1] == '\n') {
        advance(in, 2);
        return end_chunked(h1, NULL, in);
    }
    if (in->p[0] == '\r' || in->p[0] == '\n')
        return fail(h1, in, NULL, body_reason(h1, REASON_TRAILER_INVALID));
    block.len = h1_head_length(*in, &h1->scanned);
    if (!block.len)
        return wait_trailers(h1, in);
    h1->scanned = 0;
    head = adopt(h1->stream, &block);
    if (!head)
        return fail(h1, in, NULL, memory_reason(h1, h1->stream->arena, block.len + sizeof(*head)));
    advance(in, block.len);
    why = h1_parse_trailers(block, h1->wire.limits, h1->stream->arena, head);
    return why ? fail(h1, in, NULL, body_reason(h1, why)) : end_chunked(h1, head, in);
}

static bool step_raw(struct h1 *h1, struct str *in)
{
    struct str bytes = *in;

    advance(in, in->len);
    give(h1, bytes, false);
    return false;
}

/* A pipelined request waits for its turn; bytes behind an answer are nobody's. */
static bool step_done(struct h1 *h1, struct str *in)
{
    if (h1->wire.role == ROLE_SERVER)
        return false;
    h1->is_closing = true;
    return swallow(h1, in);
}

static bool step_hold(struct h1 *h1, struct str *in)
{
    (void)h1;
    (void)in;
    return false;
}

static step_fn *const steps[H1_READ_COUNT] = {
    [H1_READ_HEAD] = step_head,       [H1_READ_LENGTH] = step_length,
    [H1_READ_CHUNKED] = step_chunked, [H1_READ_TRAILERS] = step_trailers,
    [H1_READ_TO_CLOSE] = step_raw,    [H1_READ_TUNNEL] = step_raw,
    [H1_READ_DONE] = step_done,       [H1_READ_HOLD] = step_hold,
    [H1_READ_SWALLOW] = swallow,      [H1_READ_CLOSED] = swallow,
};

enum status h1_feed(struct wire *wire, struct str in, size_t *used)
{
    struct h1 *h1 = (struct h1 *)wire;
    struct str rest = in;

    while (rest.len && steps[h1->read](h1, &rest))
        ;
    *used = in.len - rest.len;
    return h1->read == H1_READ_CLOSED ? E_CLOSED : OK;
}

void h1_refuse(struct wire *wire, enum reason why)
{
    struct h1 *h1 = (struct h1 *)wire;
    struct str nothing = STR("");

    if (wire->role != ROLE_SERVER || h1->stream || h1->read != H1_READ_HEAD)
        return;
    if (open_stream(h1, &nothing))
        fail(h1, &nothing, NULL, why);
}
