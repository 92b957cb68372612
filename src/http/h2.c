/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/2 (RFC 9113) as a codec (sluice/codec.h), on nghttp2: the life of a wire and of its streams.
 * Receiving is in h2_read.c and h2_block.c, sending in h2_send.c. Invariant: stream->half,
 * stream->wire and half->stream are set and cleared together; nghttp2 is never entered from one of
 * its callbacks (is_busy).
 */
#include <string.h>

#include "http/h2_impl.h"

static void *take(size_t n, void *heap)
{
    return heap_take(heap, n);
}

static void give(void *object, void *heap)
{
    heap_give(heap, object);
}

static void *take_zeroed(size_t count, size_t size, void *heap)
{
    size_t n;
    void *object = __builtin_mul_overflow(count, size, &n) ? NULL : heap_take(heap, n);

    return object ? memset(object, 0, n) : NULL;
}

static void *resize(void *object, size_t n, void *heap)
{
    return heap_resize(heap, object, n);
}

/* --- streams */

struct h2_half *h2_half_new(struct h2 *h2, struct stream *stream, int32_t id)
{
    struct h2_half *half = heap_take(h2->wire.heap, sizeof(*half));

    if (!half)
        return NULL;
    memset(half, 0, sizeof(*half));
    half->id = id;
    half->next = h2->halves;
    if (half->next)
        half->next->prev = half;
    h2->halves = half;
    h2->wire.streams++;
    h2->wire.is_idle = false;
    half->stream = stream;
    stream->half = half;
    stream->wire = &h2->wire;
    stream->codec = &h2_codec;
    stream->id = (uint32_t)id;
    stream->is_head = stream->received = stream->sent = false;
    stream->close_after = stream->in_tunnel = stream->must_switch = false;
    return half;
}

void h2_half_free(struct h2 *h2, struct h2_half *half)
{
    if (half->prev)
        half->prev->next = half->next;
    else
        h2->halves = half->next;
    if (half->next)
        half->next->prev = half->prev;
    h2->wire.streams--;
    h2->wire.queued -= (uint32_t)outq_pending(half->queue);
    if (h2->receiving == half)
        h2_end_receiving(h2);
    if (h2->held == half)
        h2->held = NULL;
    outq_give(&half->queue);
    outq_give(&half->early);
    heap_give(h2->wire.heap, half->trailers);
    heap_give(h2->wire.heap, half);
}

void h2_end_receiving(struct h2 *h2)
{
    h2->receiving = NULL;
    h2->wire.is_partial = false;
}

void h2_let_go(struct h2 *h2, struct h2_half *half)
{
    struct stream *stream = half->stream;

    if (!stream)
        return;
    half->stream = NULL;
    half->block.head = NULL;
    half->is_mute = true;
    stream->wire = NULL;
    stream->half = NULL;
    if (!h2->is_dead)
        nghttp2_session_consume_connection(h2->session, half->unpaid + outq_pending(half->early));
    half->unpaid = 0;
    outq_give(&half->early);
}

void h2_break(struct h2 *h2, struct h2_half *half, enum reason why)
{
    struct stream *stream = half->stream;

    h2_let_go(h2, half);
    if (stream)
        stream->sink->on_reset(stream, why);
}

/* --- the wire */

static bool is_over(const struct h2 *h2)
{
    if (h2->is_dead)
        return true;
    if (h2->wire.role == ROLE_CLIENT && (h2->has_goaway || h2->is_leaving) && !h2->halves)
        return true;
    if (nghttp2_session_want_read(h2->session) || nghttp2_session_want_write(h2->session))
        return false;
    for (const struct h2_half *half = h2->halves; half; half = half->next)
        if (half->is_over)
            return false;
    return true;
}

/* Neither side said goodbye: nghttp2 has found a fault and told the client by GOAWAY. */
static bool ends_unasked(const struct h2 *h2)
{
    return h2->wire.role == ROLE_SERVER && !h2->is_dead && !h2->is_leaving && !h2->has_goaway &&
           !h2->wire.fault;
}

void h2_settle(struct h2 *h2)
{
    bool is_open = h2->wire.role == ROLE_SERVER || h2->is_ready, has_ended = is_over(h2);

    h2->wire.wants_close |= has_ended;
    if (has_ended && ends_unasked(h2))
        h2->wire.fault = REASON_FRAME_INVALID;
    h2->wire.is_idle = is_open && !h2->halves;
    h2->wire.has_room = h2->is_ready && !h2->has_goaway && !h2->is_leaving && !h2->is_dead &&
                        h2->wire.streams < h2->wire.streams_max &&
                        h2->wire.streams < h2->remote_streams;
}

/* Each is gone before its sink is told, for that may close the wire. */
static void break_all(struct h2 *h2, enum reason why)
{
    for (struct h2_half *half; (half = h2->halves);) {
        struct stream *stream = half->stream;

        h2_let_go(h2, half);
        h2_half_free(h2, half);
        if (stream)
            stream->sink->on_reset(stream, why);
    }
}

/* RFC 9113 6.8, written by hand since the session is past its use. */
static void put_goaway(struct h2 *h2, uint32_t code)
{
    uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(h2->session);
    const char frame[17] = {0,
                            0,
                            8,
                            NGHTTP2_GOAWAY,
                            0,
                            0,
                            0,
                            0,
                            0,
                            (char)(last >> 24),
                            (char)(last >> 16),
                            (char)(last >> 8),
                            (char)last,
                            (char)(code >> 24),
                            (char)(code >> 16),
                            (char)(code >> 8),
                            (char)code};
    struct outq *out = h2_out(h2);

    if (out && outq_put(out, (struct str){frame, sizeof(frame)}))
        outq_give(&h2->wire.out);
}

void h2_die(struct h2 *h2, uint32_t code, enum reason why)
{
    if (h2->is_dead)
        return;
    h2->is_dead = true;
    h2->wire.fault = why;
    if (h2->is_torn) // a GOAWAY would be taken for what the frame lacks
        h2->wire.wants_abort = true;
    else
        put_goaway(h2, code);
    break_all(h2, why);
    h2_settle(h2);
}

bool h2_charge(struct h2 *h2, int32_t cost)
{
    if (h2->wire.role == ROLE_CLIENT) // a target is trusted that far
        return true;
    h2->grace -= cost;
    if (h2->grace >= 0)
        return true;
    h2->fault = REASON_TOO_MUCH_ABUSE;
    return false;
}

void h2_expect_updates(struct h2 *h2)
{
    h2_forgive(h2, 2 * H2_UPDATE_COST);
    if (h2->updates_due < H2_UPDATES_MAX)
        h2->updates_due += 2;
}

void h2_forgive(struct h2 *h2, int32_t n)
{
    h2->grace += n;
    if (h2->grace > H2_GRACE_MAX)
        h2->grace = H2_GRACE_MAX;
}

void h2_leave(struct h2 *h2)
{
    h2->is_busy = false;
    if (!h2->is_closed)
        return;
    nghttp2_session_del(h2->session);
    h2->session = NULL;
}

static int new_session(struct h2 *h2, const nghttp2_session_callbacks *callbacks)
{
    nghttp2_mem memory = {h2->wire.heap, take, give, take_zeroed, resize};
    nghttp2_option *option;
    int failed;

    if (nghttp2_option_new(&option))
        return NGHTTP2_ERR_NOMEM;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_ACKS_MAX);
    nghttp2_option_set_max_send_header_block_length(option, H2_HEAD_MAX);
    nghttp2_option_set_max_continuations(option, 8 + h2->wire.limits->header_bytes / 16384);
    if (h2->wire.role == ROLE_SERVER)
        failed = nghttp2_session_server_new3(&h2->session, callbacks, h2, option, &memory);
    else
        failed = nghttp2_session_client_new3(&h2->session, callbacks, h2, option, &memory);
    nghttp2_option_del(option);
    return failed;
}

static int say_settings(struct h2 *h2)
{
    nghttp2_settings_entry entries[6] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->wire.limits->header_bytes},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, // RFC 9218 2.1
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    size_t count = 5;

    if (h2->wire.role == ROLE_CLIENT) {
        entries[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
        count = 3;
    }
    return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, count);
}

/* What a client may have on its way to us has an end. Of a target's answers only each stream's has:
 * readers that stall must not take the window of all others. */
static int open_window(struct h2 *h2)
{
    int32_t bytes = h2->wire.role == ROLE_SERVER ? H2_CONNECTION_WINDOW : H2_TARGET_WINDOW;

    return nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, bytes);
}

static enum status open(struct wire *wire, enum role role)
{
    struct h2 *h2 = h2_of(wire);
    nghttp2_session_callbacks *callbacks;
    int failed;

    *h2 = (struct h2){.wire = {.codec = &h2_codec,
                               .sink = wire->sink,
                               .owner = wire->owner,
                               .outqs = wire->outqs,
                               .heap = wire->heap,
                               .limits = wire->limits,
                               .role = role,
                               .streams_max = wire->streams_max,
                               .is_idle = role == ROLE_SERVER},
                      .grace = H2_GRACE_MAX,
                      .remote_window = NGHTTP2_INITIAL_WINDOW_SIZE};
    h2_scan_init(&h2->scan, role == ROLE_SERVER);
    if (nghttp2_session_callbacks_new(&callbacks))
        return E_NOMEM;
    h2_set_callbacks(callbacks);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, h2_on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, h2_on_sent);
    failed = new_session(h2, callbacks);
    nghttp2_session_callbacks_del(callbacks);
    if (failed)
        return E_NOMEM;
    if (!say_settings(h2) && !open_window(h2))
        return OK;
    nghttp2_session_del(h2->session);
    h2->session = NULL;
    return E_NOMEM;
}

static void eof(struct wire *wire)
{
    struct h2 *h2 = h2_of(wire);

    if (h2->is_closed)
        return;
    h2->is_dead = true;
    break_all(h2, wire->role == ROLE_SERVER ? REASON_CLIENT_GONE : REASON_CONNECTION_TERMINATED);
    h2_settle(h2);
}

/* A block that does not end, or a connection that must. */
static void refuse(struct wire *wire, enum reason why)
{
    h2_die(h2_of(wire), NGHTTP2_ENHANCE_YOUR_CALM, why);
}

static enum status begin(struct wire *wire, struct stream *stream)
{
    struct h2 *h2 = h2_of(wire);

    if (wire->role != ROLE_CLIENT)
        return E_INVALID;
    if (wire->has_room && nghttp2_session_get_next_stream_id(h2->session) > INT32_MAX) {
        h2->has_goaway = true; // RFC 9113 5.1.1: no numbers are left
        h2_settle(h2);
    }
    if (!wire->has_room)
        return E_AGAIN;
    if (!h2_half_new(h2, stream, 0))
        return E_NOMEM;
    h2_settle(h2);
    return OK;
}

static void credit(struct stream *stream, size_t n)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2;

    if (!half)
        return;
    h2 = h2_of(stream->wire);
    if (n > half->unpaid)
        n = half->unpaid;
    half->unpaid -= (uint32_t)n;
    if (n && !h2->is_dead)
        nghttp2_session_consume(h2->session, half->id, n);
}

static size_t backlog(const struct stream *stream)
{
    return stream->half ? h2_waiting(h2_half_of(stream)) : 0;
}

static void tunnel(struct stream *stream)
{
    struct h2_half *half = h2_half_of(stream);

    if (!half)
        return;
    stream->in_tunnel = half->in_tunnel = true;
    stream->received = stream->sent = false;
    h2_give_early(h2_of(stream->wire), half);
}

static uint32_t code_of(enum reason why)
{
    switch (why) {
    case REASON_CLIENT_GONE:
    case REASON_DEADLINE_EXCEEDED:
    case REASON_STREAM_IDLE:
    case REASON_TUNNEL_IDLE:
    case REASON_CLIENT_SLOW:
        return NGHTTP2_CANCEL;
    case REASON_TOO_MUCH_ABUSE:
        return NGHTTP2_ENHANCE_YOUR_CALM;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}

/* Sends a RST_STREAM, unless the stream is over or was never begun. */
static void say_reset(struct h2 *h2, struct h2_half *half, uint32_t code)
{
    if (half->is_over || !half->id) {
        h2_half_free(h2, half);
        return;
    }
    h2->wire.queued -= (uint32_t)outq_pending(half->queue);
    outq_give(&half->queue);
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, half->id, code))
        h2_die(h2, NGHTTP2_INTERNAL_ERROR, REASON_MEMORY_LIMIT);
}

/* What was submitted by reference must be out before the exchange's memory goes. */
static void part(struct h2 *h2)
{
    if (!h2->is_busy && !h2->is_dead)
        h2_drain(h2);
    h2_settle(h2);
}

static void detach(struct stream *stream)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2;

    if (!half)
        return;
    h2 = h2_of(stream->wire);
    h2_let_go(h2, half);
    if (half->is_over)
        h2_half_free(h2, half);
    else if (h2->wire.role == ROLE_CLIENT && !(half->is_remote_done && half->is_last_given))
        say_reset(h2, half, NGHTTP2_CANCEL);
    else if (!half->is_last_given)
        say_reset(h2, half, NGHTTP2_INTERNAL_ERROR);
    else if (half->is_sent && !half->is_remote_done) // RFC 9113 8.1
        say_reset(h2, half, NGHTTP2_NO_ERROR);
    part(h2);
}

static void reset(struct stream *stream, enum reason why)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2;

    if (!half)
        return;
    h2 = h2_of(stream->wire);
    h2_let_go(h2, half);
    say_reset(h2, half, code_of(why));
    part(h2);
}

static void pull(struct wire *wire)
{
    struct h2 *h2 = h2_of(wire);

    if (!h2->is_dead && !h2->is_busy)
        h2_drain(h2);
    h2_settle(h2);
}

static struct h2_half *find_drained(const struct h2 *h2)
{
    struct h2_half *half = h2->halves;

    while (half && (!half->is_queue_high || h2_waiting(half) >= WIRE_LOW_WATER))
        half = half->next;
    return half;
}

static void wrote(struct wire *wire)
{
    struct h2 *h2 = h2_of(wire);
    struct h2_half *half;

    if (!h2->has_waiting_drain)
        return;
    h2->has_waiting_drain = false;
    while ((half = find_drained(h2))) { // from the start each time: a sink may end any stream
        half->is_queue_high = false;
        if (half->stream)
            half->stream->sink->on_drain(half->stream);
    }
}

/* RFC 9113 6.8: first a GOAWAY that refuses nothing, for requests that are on their way; when it is
 * called again, the one that does. */
static void bye(struct wire *wire)
{
    struct h2 *h2 = h2_of(wire);

    h2->is_leaving = true;
    if (h2->is_dead)
        return;
    if (wire->role == ROLE_SERVER && !h2->has_notified) {
        h2->has_notified = true;
        nghttp2_submit_shutdown_notice(h2->session);
    } else {
        h2->wants_goaway = true;
    }
    h2_settle(h2);
}

/* Has this stream something to send, and does its reader take less than it should of it? */
static void look_at(const struct h2 *h2, struct h2_half *half, uint32_t least)
{
    uint64_t taken = half->out_bytes - half->seen;
    int32_t stream = nghttp2_session_get_stream_remote_window_size(h2->session, half->id);
    int32_t all = nghttp2_session_get_remote_window_size(h2->session);
    bool is_blocked = stream < H2_BLOCKED || all < H2_BLOCKED;
    bool is_slow =
        h2_waiting(half) && !half->in_tunnel && !half->is_over && is_blocked && taken < least;

    half->seen = half->out_bytes;
    half->stalled = is_slow ? (uint8_t)(half->stalled + 1) : 0;
}

static struct h2_half *find_stalled(const struct h2 *h2)
{
    struct h2_half *half = h2->halves;

    while (half && half->stalled < H2_STALLED_CHECKS)
        half = half->next;
    return half;
}

/* The stream is reset before its sink is told, for that may end others, or all. */
static void give_up(struct h2 *h2, struct h2_half *half)
{
    struct stream *stream = half->stream;

    half->stalled = 0;
    h2_let_go(h2, half);
    say_reset(h2, half, NGHTTP2_CANCEL);
    if (stream)
        stream->sink->on_reset(stream, REASON_CLIENT_SLOW);
}

static void check(struct wire *wire, uint32_t least)
{
    struct h2 *h2 = h2_of(wire);
    struct h2_half *half;

    h2_forgive(h2, H2_GRACE_REFILL);
    for (half = h2->halves; half && !h2->is_dead; half = half->next)
        look_at(h2, half, least);
    while (!h2->is_dead && (half = find_stalled(h2)))
        give_up(h2, half);
    h2_settle(h2);
}

static void ping(struct wire *wire)
{
    struct h2 *h2 = h2_of(wire);

    if (!h2->is_dead && !nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL))
        wire->unanswered_pings++;
}

static void close(struct wire *wire, enum reason why)
{
    struct h2 *h2 = h2_of(wire);

    if (h2->is_closed)
        return;
    h2->is_closed = h2->is_dead = true;
    break_all(h2, why);
    if (!h2->is_busy)
        h2_leave(h2);
    h2_settle(h2);
    outq_give(&wire->out);
}

const struct codec h2_codec = {
    .alpn = "h2",
    .is_shared = true,
    .wire_size = sizeof(struct h2),
    .open = open,
    .feed = h2_feed,
    .eof = eof,
    .refuse = refuse,
    .begin = begin,
    .head = h2_head,
    .interim = h2_interim,
    .body = h2_body,
    .trailers = h2_trailers,
    .credit = credit,
    .backlog = backlog,
    .tunnel = tunnel,
    .detach = detach,
    .reset = reset,
    .pull = pull,
    .wrote = wrote,
    .bye = bye,
    .check = check,
    .ping = ping,
    .close = close,
};
