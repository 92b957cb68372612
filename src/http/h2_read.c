/* SPDX-License-Identifier: Apache-2.0
 *
 * The receiving half of the HTTP/2 codec: the callbacks of nghttp2, turned into the events of a
 * sink. A sink may end its stream or the whole wire in a call: after each one `half` is looked at
 * anew, and when the wire is dead the session is left at once.
 */
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "http/h2_impl.h"

enum { FAIL = NGHTTP2_ERR_CALLBACK_FAILURE };

static struct h2_half *find(const struct h2 *h2, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h2->session, id);
}

/* What the stream's own message is wrong with: the other end is told by a RST_STREAM, or by an
 * answer of the sink's. */
static void refuse(struct h2 *h2, struct h2_half *half, enum reason why)
{
    struct stream *stream = half->stream;

    half->is_mute = true;
    if (h2->wire.role == ROLE_SERVER) {
        stream->sink->on_refuse(stream, half->block.head, why);
        return;
    }
    nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, half->id, NGHTTP2_PROTOCOL_ERROR);
    h2_break(h2, half, why);
}

/* --- what nghttp2 would let by */

/* Windows as they are before a SETTINGS frame moves them. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *owner)
{
    struct h2 *h2 = owner;

    if (h2->is_dead)
        return FAIL;
    if (hd->type == NGHTTP2_SETTINGS)
        for (struct h2_half *half = h2->halves; half; half = half->next)
            half->window = nghttp2_session_get_stream_remote_window_size(session, half->id);
    return 0;
}

/* --- header blocks */

static int lack_memory(struct h2 *h2)
{
    h2->fault = REASON_MEMORY_LIMIT;
    return FAIL;
}

static int begin_request(struct h2 *h2, int32_t id)
{
    struct stream *stream = h2->wire.sink->on_open(h2->wire.owner);
    struct h2_half *half;

    if (h2->is_dead)
        return FAIL;
    half = stream ? h2_half_new(h2, stream, id) : NULL;
    if (stream && !half)
        stream->sink->on_reset(stream, REASON_MEMORY_LIMIT);
    if (!half)
        return nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM)
                   ? lack_memory(h2)
                   : 0;
    nghttp2_session_set_stream_user_data(h2->session, id, half);
    if (!h2_block_begin(h2, half))
        half->block.why = REASON_MEMORY_LIMIT;
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half;

    (void)session;
    if (h2->is_dead)
        return FAIL;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        return begin_request(h2, frame->hd.stream_id);
    half = find(h2, frame->hd.stream_id);
    if (half && half->stream && !h2_block_begin(h2, half))
        half->block.why = REASON_HEADERS_TOO_LARGE;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half = h2->is_dead ? NULL : find(h2, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (h2->is_dead)
        return FAIL;
    if (!half)
        return 0;
    if (h2_block_add(h2, half, (struct str){(const char *)name, name_len},
                     (struct str){(const char *)value, value_len}))
        return 0;
    h2->fault = REASON_TOO_MUCH_ABUSE;
    return FAIL;
}

static void end_request(struct h2 *h2, struct h2_half *half)
{
    struct stream *stream = half->stream;
    enum reason why = h2_block_request(h2, half);

    if (why) {
        refuse(h2, half, why);
        return;
    }
    half->has_head = true;
    stream->is_head = half->block.head->method == METHOD_HEAD;
    stream->received = half->is_remote_done || half->wants_tunnel;
    stream->sink->on_head(stream, half->block.head, stream->received);
}

static void end_response(struct h2 *h2, struct h2_half *half)
{
    struct stream *stream = half->stream;
    struct head *head = half->block.head;
    enum reason why = h2_block_response(half);

    if (why) {
        refuse(h2, half, why);
        return;
    }
    if (head->status >= 200) // a refusal of a tunnel has a body like any answer
        half->wants_tunnel = false;
    if (head->status < 200 && head->status != 101) {
        stream->sink->on_interim(stream, head);
        return;
    }
    half->has_head = true;
    stream->received = half->is_remote_done && head->status != 101;
    stream->sink->on_head(stream, head, stream->received);
}

static void end_trailers(struct h2 *h2, struct h2_half *half)
{
    struct stream *stream = half->stream;

    if (half->block.why) {
        refuse(h2, half, half->block.why);
        return;
    }
    head_strip_hop_by_hop(half->block.head, false);
    head_remove(half->block.head, HDR_CONTENT_LENGTH); // RFC 9110 6.5.1
    head_remove(half->block.head, HDR_HOST);
    stream->received = true;
    stream->sink->on_trailers(stream, half->block.head);
}

static void end_block(struct h2 *h2, struct h2_half *half)
{
    h2_end_receiving(h2);
    if (!half->stream || half->is_mute)
        return;
    if (!half->block.head)
        refuse(h2, half, half->block.why);
    else if (half->has_head)
        end_trailers(h2, half);
    else if (h2->wire.role == ROLE_SERVER)
        end_request(h2, half);
    else
        end_response(h2, half);
}

/* --- bodies */

static void give(struct h2_half *half, struct str bytes, bool last)
{
    half->unpaid += (uint32_t)bytes.len;
    half->stream->sink->on_body(half->stream, bytes, last);
}

static bool keep_early(struct h2 *h2, struct h2_half *half, struct str bytes)
{
    if (!half->early)
        half->early = outq_take(h2->wire.outqs);
    return half->early && !outq_put(half->early, bytes);
}

static void give_kept(struct h2 *h2, struct h2_half *half)
{
    struct outq *early = half->early;

    half->early = NULL; // a sink that ends the stream must not free what it is given
    while (!h2->is_dead && half->stream && outq_pending(early)) {
        struct iovec vector;

        outq_vectors(early, &vector, 1);
        give(half, (struct str){vector.iov_base, vector.iov_len}, false);
        outq_sent(early, vector.iov_len);
    }
    if (!h2->is_dead)
        nghttp2_session_consume_connection(h2->session, outq_pending(early));
    outq_give(&early);
    if (!h2->is_dead && half->stream && half->is_remote_done) {
        half->stream->received = true;
        give(half, STR(""), true);
    }
}

/* The sink is called as if from inside nghttp2, so that `half` stays until it is done. */
void h2_give_early(struct h2 *h2, struct h2_half *half)
{
    bool was_busy = h2->is_busy;

    h2->held = half;
    if (!was_busy)
        h2_drain(h2); // our head may lie in memory that the sink gives back
    if (h2->held != half)
        return;
    h2->held = NULL;
    h2->is_busy = true;
    give_kept(h2, half);
    if (!was_busy)
        h2_leave(h2);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half = h2->is_dead ? NULL : find(h2, id);
    struct str bytes = {(const char *)data, len};

    (void)flags;
    if (h2->is_dead)
        return FAIL;
    if (len)
        h2_forgive(h2, 4);
    if (!half || !half->stream || half->is_mute || !half->has_head)
        return nghttp2_session_consume(session, id, len);
    if (!half->wants_tunnel || half->in_tunnel)
        give(half, bytes, false);
    else if (!keep_early(h2, half, bytes))
        return lack_memory(h2);
    return h2->is_dead ? FAIL : 0;
}

static void end_data(struct h2_half *half)
{
    if (!half->stream || half->is_mute || !half->has_head)
        return;
    if (half->wants_tunnel && !half->in_tunnel)
        return;
    half->stream->received = true;
    give(half, STR(""), true);
}

/* --- whole frames */

/* RFC 9113 6.9.2: a window that this makes too large is a fault of the connection. */
static bool has_overflow(struct h2 *h2)
{
    uint32_t window =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    int64_t change = (int64_t)window - h2->remote_window;

    h2->remote_window = window;
    for (struct h2_half *half = h2->halves; half && change > 0; half = half->next)
        if (half->window + change > INT32_MAX)
            return true;
    return false;
}

static void take_settings(struct h2 *h2, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        return;
    if (has_overflow(h2))
        h2->code = NGHTTP2_FLOW_CONTROL_ERROR;
    h2->is_ready = true;
    h2->remote_streams =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    struct h2 *h2 = owner;
    bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_half *half;

    (void)session;
    if (h2->is_dead)
        return FAIL;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        take_settings(h2, frame);
    if (h2->code)
        return FAIL;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        h2->has_goaway = true;
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        h2->wire.unanswered_pings = 0;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    half = find(h2, frame->hd.stream_id);
    if (!half)
        return 0;
    half->is_remote_done |= is_last;
    if (frame->hd.type == NGHTTP2_HEADERS)
        end_block(h2, half);
    else if (is_last)
        end_data(half);
    return h2->is_dead ? FAIL : 0;
}

/* nghttp2 answers by itself, with RST_STREAM or GOAWAY; that costs, too. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half = h2->is_dead ? NULL : find(h2, frame->hd.stream_id);

    (void)session;
    if (h2->is_dead)
        return FAIL;
    if (h2->receiving == half)
        h2_end_receiving(h2);
    if (half && half->stream)
        h2_break(h2, half,
                 h2->wire.role == ROLE_SERVER ? REASON_HEADER_VALUE_INVALID
                                              : REASON_HTTP_PROTOCOL_ERROR);
    return !h2->is_dead && h2_charge(h2, code == NGHTTP2_ERR_REFUSED_STREAM ? 1 : 12) ? 0 : FAIL;
}

/* Why the target gave up a stream. */
static enum reason reason_of(const struct h2_half *half, uint32_t code)
{
    if (code == NGHTTP2_REFUSED_STREAM) // also what is past the last stream of a GOAWAY
        return half->has_head ? REASON_HTTP_RESPONSE_INCOMPLETE : REASON_REFUSED_STREAM;
    if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_NO_ERROR)
        return REASON_HTTP_PROTOCOL_ERROR;
    return REASON_HTTP_RESPONSE_INCOMPLETE;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half = h2->is_dead ? NULL : find(h2, id);

    (void)session;
    if (h2->is_dead)
        return FAIL;
    if (!half)
        return 0;
    nghttp2_session_set_stream_user_data(h2->session, id, NULL);
    if (half->is_remote_done && half->is_sent)
        h2_forgive(h2, 12);
    if (half->stream && (half->stream->received || half->is_remote_done) && half->stream->sent)
        half->is_over = true; // its user has all, and will let go
    else if (half->stream)
        h2_break(h2, half,
                 h2->wire.role == ROLE_SERVER ? REASON_CLIENT_GONE : reason_of(half, code));
    if (h2->is_dead)
        return FAIL;
    if (!half->is_over)
        h2_half_free(h2, half);
    return 0;
}

void h2_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}

/* --- the driver */

static void fail(struct h2 *h2, ssize_t error)
{
    bool is_server = h2->wire.role == ROLE_SERVER;

    if (h2->fault == REASON_TOO_MUCH_ABUSE || error == NGHTTP2_ERR_FLOODED)
        h2_die(h2, NGHTTP2_ENHANCE_YOUR_CALM, REASON_TOO_MUCH_ABUSE);
    else if (error == NGHTTP2_ERR_NOMEM || h2->fault == REASON_MEMORY_LIMIT)
        h2_die(h2, NGHTTP2_INTERNAL_ERROR, REASON_MEMORY_LIMIT);
    else
        h2_die(h2, h2->code ? h2->code : NGHTTP2_PROTOCOL_ERROR,
               is_server ? REASON_FRAME_INVALID : REASON_HTTP_PROTOCOL_ERROR);
}

/* Lets nghttp2 have it. False: the session is over. */
static bool read_frames(struct h2 *h2, struct str in)
{
    ssize_t taken;

    h2->is_busy = true;
    taken = nghttp2_session_mem_recv(h2->session, (const uint8_t *)in.p, in.len);
    h2_leave(h2);
    if (h2->is_closed)
        return false;
    if (taken < 0)
        fail(h2, taken);
    return !h2->is_dead;
}

/* WINDOW_UPDATEs that answer what we sent cost nothing, however late and many at once they come: a
 * reader of many small messages was behind, and owns up. */
static int32_t charge_of(struct h2 *h2, const struct h2_scanned *found)
{
    int32_t due = found->updates < h2->updates_due ? found->updates : h2->updates_due;

    h2->updates_due -= due;
    return found->cost + H2_UPDATE_COST * (found->updates - due);
}

enum status h2_feed(struct wire *wire, struct str in, size_t *used)
{
    struct h2 *h2 = h2_of(wire);
    struct h2_scanned found;

    *used = in.len;
    if (h2->is_dead || h2->is_busy)
        return h2->is_closed ? E_CLOSED : OK;
    found = h2_scan_next(&h2->scan, in);
    if (!h2_charge(h2, charge_of(h2, &found))) {
        fail(h2, 0);
    } else if (read_frames(h2, (struct str){in.p, found.len}) && found.code) {
        h2->code = found.code;
        fail(h2, 0);
    }
    if (h2->is_closed)
        return E_CLOSED;
    h2_settle(h2);
    return OK;
}
