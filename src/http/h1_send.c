/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of the HTTP/1.1 codec: decides the framing of a message (RFC 9112 section 6) and
 * queues head, body and trailers. What the caller promised in the head and did not keep ends the
 * connection rather than shifting the next message.
 */
#include <string.h>

#include "base/outq.h"
#include "http/h1_impl.h"

/* Hex digits of a size_t, and two line ends. */
enum { CHUNK_FRAME = 16 + 4 };

struct outq *h1_out(struct h1 *h1)
{
    if (!h1->wire.out)
        h1->wire.out = outq_take(h1->wire.outqs);
    return h1->wire.out;
}

/* The message is queued to its end. */
static void finish(struct h1 *h1)
{
    h1->write = H1_WRITE_DONE;
    h1->stream->sent = true;
    if (h1->is_closing && h1->wire.role == ROLE_SERVER && !h1->stream->in_tunnel)
        h1->wire.wants_close = true;
}

static void note_backlog(struct h1 *h1)
{
    if (outq_pending(h1->wire.out) >= WIRE_LOW_WATER)
        h1->is_high = true;
}

/* Half a message may be queued: it must not be taken for a whole one. */
static enum status fail(struct h1 *h1)
{
    h1->is_closing = true;
    h1->wire.wants_close = true;
    return E_NOMEM;
}

static bool has_no_body(const struct stream *stream, uint16_t status)
{
    return stream->is_head || status == 204 || status == 205 || status == 304; // RFC 9110 6.4.1
}

static void frame_bodiless(struct h1_frame *frame, const struct head *head)
{
    frame->mode = H1_WRITE_NONE;
    if (head->status == 205) // RFC 9110 15.3.6
        frame->length = 0;
    else if (head->status != 204) // RFC 9110 8.6
        frame->length = head->content_length;
}

static struct h1_frame frame_response(const struct h1 *h1, const struct head *head, bool last)
{
    struct h1_frame frame = {.length = -1};

    if (head->status == 101 || (h1->asked_connect && head->status / 100 == 2)) {
        frame.mode = H1_WRITE_TUNNEL;
        frame.is_upgrade = head->status == 101;
        return frame;
    }
    if (has_no_body(h1->stream, head->status)) {
        frame_bodiless(&frame, head);
    } else if (last || head->content_length >= 0) {
        frame.mode = last ? H1_WRITE_NONE : H1_WRITE_LENGTH;
        frame.length = last ? 0 : head->content_length;
    } else {
        frame.mode = h1->minor ? H1_WRITE_CHUNKED : H1_WRITE_TO_CLOSE; // RFC 9112 6.1
    }
    frame.is_close = h1->is_closing || h1->is_leaving || h1->stream->close_after ||
                     frame.mode == H1_WRITE_TO_CLOSE;
    frame.is_keep_alive = !h1->minor;
    frame.is_upgrade = head->status == 426 && head_find(head, HDR_UPGRADE); // RFC 9110 15.5.22
    return frame;
}

static bool wants_zero_length(const struct head *head)
{
    return head->content_length >= 0 || head->method == METHOD_POST || head->method == METHOD_PUT ||
           head->method == METHOD_PATCH; // RFC 9110 8.6
}

static struct h1_frame frame_request(const struct h1 *h1, const struct head *head, bool last)
{
    struct h1_frame frame = {.length = -1, .mode = H1_WRITE_NONE};

    if (last && wants_zero_length(head))
        frame.length = 0;
    if (!last)
        frame.mode = head->content_length >= 0 ? H1_WRITE_LENGTH : H1_WRITE_CHUNKED;
    if (frame.mode == H1_WRITE_LENGTH)
        frame.length = head->content_length;
    frame.is_upgrade = head->is_upgrade;
    frame.is_close = h1->stream->close_after || h1->is_leaving;
    return frame;
}

static enum status write_head(struct h1 *h1, const struct head *head, bool last)
{
    struct outq *out = h1_out(h1);
    struct h1_frame frame;
    enum status status;

    if (!out)
        return E_NOMEM;
    if (h1->wire.role == ROLE_SERVER) {
        frame = frame_response(h1, head, last);
        status = h1_write_response(out, head, frame);
    } else {
        frame = frame_request(h1, head, last);
        status = h1_write_request(out, head, frame);
        h1->stream->is_head = head->method == METHOD_HEAD;
        h1->asked_upgrade = head->is_upgrade;
        h1->asked_connect = head->method == METHOD_CONNECT;
    }
    if (status)
        return fail(h1);
    h1->write = (uint8_t)frame.mode;
    h1->out_left = frame.length > 0 ? (uint64_t)frame.length : 0;
    h1->is_closing = h1->is_closing || frame.is_close;
    return OK;
}

enum status h1_head(struct stream *stream, const struct head *head, bool last)
{
    struct h1 *h1 = (struct h1 *)stream->wire;
    enum status status;

    if (!h1)
        return E_CLOSED;
    if (h1->write != H1_WRITE_HEAD)
        return E_INVALID;
    if (h1->wire.role == ROLE_CLIENT && !h1_can_write(head))
        return E_INVALID;
    status = write_head(h1, head, last);
    if (status)
        return status;
    if (last && h1->write != H1_WRITE_TUNNEL)
        finish(h1);
    note_backlog(h1);
    return OK;
}

enum status h1_interim(struct stream *stream, const struct head *head)
{
    struct h1 *h1 = (struct h1 *)stream->wire;
    struct h1_frame frame = {.length = -1, .mode = H1_WRITE_NONE};
    struct outq *out;

    if (!h1)
        return E_CLOSED;
    if (h1->wire.role != ROLE_SERVER || h1->write != H1_WRITE_HEAD)
        return E_INVALID;
    if (!h1->minor) // RFC 9110 15.2
        return OK;
    out = h1_out(h1);
    if (!out)
        return E_NOMEM;
    return h1_write_response(out, head, frame) ? fail(h1) : OK;
}

static size_t put_hex(char *to, size_t n)
{
    unsigned shift = 4 * (unsigned)(sizeof(n) * 2 - 1);
    size_t len = 0;

    while (shift && !(n >> shift))
        shift -= 4;
    for (;; shift -= 4) {
        to[len++] = "0123456789abcdef"[n >> shift & 15];
        if (!shift)
            return len;
    }
}

/* Size line, data and line end in one piece. */
static enum status send_small_chunk(struct outq *out, struct str bytes)
{
    char *start = outq_reserve(out, bytes.len + CHUNK_FRAME);
    char *p = start;

    if (!p)
        return E_NOMEM;
    p += put_hex(p, bytes.len);
    memcpy(p, "\r\n", 2);
    memcpy(p + 2, bytes.p, bytes.len);
    p += 2 + bytes.len;
    memcpy(p, "\r\n", 2);
    outq_commit(out, (size_t)(p + 2 - start));
    return OK;
}

static enum status send_chunk(struct outq *out, struct str bytes)
{
    char line[CHUNK_FRAME];
    size_t len;

    if (!bytes.len)
        return OK;
    if (bytes.len < OUTQ_COPY_BELOW)
        return send_small_chunk(out, bytes);
    len = put_hex(line, bytes.len);
    memcpy(line + len, "\r\n", 2);
    if (outq_put(out, (struct str){line, len + 2}) || outq_ref(out, bytes))
        return E_NOMEM;
    return outq_put(out, STR("\r\n"));
}

static enum status send_length(struct h1 *h1, struct outq *out, struct str bytes, bool last)
{
    bool is_over = bytes.len > h1->out_left;

    if (is_over)
        bytes.len = (size_t)h1->out_left;
    h1->out_left -= bytes.len;
    if (is_over || (last && h1->out_left))
        h1->is_closing = h1->wire.wants_close = true;
    return outq_ref(out, bytes);
}

static enum status send(struct h1 *h1, struct str bytes, bool last)
{
    struct outq *out;
    enum status status;

    if (h1->write == H1_WRITE_NONE)
        return OK;
    out = h1_out(h1);
    if (!out)
        return E_NOMEM;
    if (h1->write == H1_WRITE_LENGTH)
        return send_length(h1, out, bytes, last);
    if (h1->write != H1_WRITE_CHUNKED)
        return outq_ref(out, bytes);
    status = send_chunk(out, bytes);
    return status || !last ? status : outq_put(out, STR("0\r\n\r\n"));
}

enum status h1_body(struct stream *stream, struct str bytes, bool last)
{
    struct h1 *h1 = (struct h1 *)stream->wire;

    if (!h1)
        return E_CLOSED;
    if (h1->write == H1_WRITE_HEAD || h1->write == H1_WRITE_DONE)
        return E_INVALID;
    if (send(h1, bytes, last))
        return fail(h1);
    if (last)
        finish(h1);
    h1->wire.wants_shutdown |= last && stream->in_tunnel;
    note_backlog(h1);
    return OK;
}

enum status h1_trailers(struct stream *stream, const struct head *trailers)
{
    struct h1 *h1 = (struct h1 *)stream->wire;
    struct outq *out;

    if (!h1 || h1->write != H1_WRITE_CHUNKED) // RFC 9110 6.5.1: dropped where they cannot be sent
        return h1_body(stream, STR(""), true);
    out = h1_out(h1);
    if (!out || h1_write_trailers(out, trailers))
        return fail(h1);
    finish(h1);
    note_backlog(h1);
    return OK;
}
