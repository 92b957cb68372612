/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 as a codec (sluice/codec.h): the life of a wire and of the one stream on it. Reading is
 * in h1_read.c, writing in h1_send.c. Invariant: h1->stream and its stream->wire are set and
 * cleared together; a wire whose message did not end cleanly in both directions is never reused.
 */
#include "base/outq.h"
#include "http/h1_impl.h"

static struct h1 *of(const struct stream *stream)
{
    return (struct h1 *)stream->wire;
}

static enum status open(struct wire *wire, enum role role)
{
    struct h1 *h1 = (struct h1 *)wire;

    *h1 = (struct h1){.wire = {.codec = &h1_codec,
                               .sink = wire->sink,
                               .owner = wire->owner,
                               .outqs = wire->outqs,
                               .limits = wire->limits,
                               .role = role,
                               .is_idle = true}};
    return OK;
}

void h1_attach(struct h1 *h1, struct stream *stream)
{
    h1->stream = stream;
    h1->wire.streams = 1;
    h1->scanned = 0;
    h1->wire.is_idle = h1->wire.is_partial = false;
    stream->wire = &h1->wire;
    stream->codec = &h1_codec;
    stream->id = ++h1->next_id;
    stream->is_head = stream->received = stream->sent = false;
    stream->close_after = stream->in_tunnel = false;
}

static struct stream *release(struct h1 *h1)
{
    struct stream *stream = h1->stream;

    h1->stream = NULL;
    h1->wire.streams = 0;
    h1->wire.unpaid = 0;
    h1->wire.is_partial = false;
    if (stream)
        stream->wire = NULL;
    return stream;
}

static void end(struct h1 *h1)
{
    h1->read = H1_READ_SWALLOW;
    h1->wire.wants_close = true;
    h1->wire.is_idle = h1->wire.is_partial = false;
}

/* Ready for the next message. */
static void renew(struct h1 *h1)
{
    h1->read = H1_READ_HEAD;
    h1->write = H1_WRITE_HEAD;
    h1->scanned = 0;
    h1->interims = 0;
    h1->is_closing = h1->has_skipped = h1->has_answer = false;
    h1->asked_upgrade = h1->asked_connect = false;
    h1->wire.is_idle = true;
}

void h1_reset(struct h1 *h1, enum reason why)
{
    struct stream *stream = release(h1);

    end(h1);
    if (stream)
        stream->sink->on_reset(stream, why);
}

static bool is_clean(const struct h1 *h1)
{
    const struct stream *stream = h1->stream;

    if (h1->is_closing || h1->is_leaving || h1->wire.wants_close || stream->in_tunnel)
        return false;
    if (h1->wire.role == ROLE_CLIENT && h1->write == H1_WRITE_HEAD && !h1->has_answer)
        return true; // begun, but not a byte was exchanged
    return stream->received && stream->sent;
}

void h1_detach(struct stream *stream)
{
    struct h1 *h1 = of(stream);
    bool can_go_on, is_whole;

    if (!h1)
        return;
    can_go_on = is_clean(h1);
    is_whole = stream->received && stream->sent && !stream->in_tunnel;
    release(h1);
    if (can_go_on)
        renew(h1);
    else
        end(h1);
    h1->wire.is_idle = can_go_on || is_whole; // nothing of a message is on its way
}

static void reset(struct stream *stream, enum reason why)
{
    struct h1 *h1 = of(stream);
    bool is_unanswered = h1 && h1->wire.role == ROLE_SERVER && h1->write == H1_WRITE_HEAD;

    if (!h1)
        return;
    release(h1);
    end(h1);
    h1->wire.wants_abort = !is_unanswered || why != REASON_MEMORY_LIMIT || !h1_put_bare_503(h1);
}

/* Half of a tunnel, or an answer that lasts until the end, is over. */
static void end_body(struct h1 *h1)
{
    h1->read = h1->stream->in_tunnel ? H1_READ_SWALLOW : H1_READ_DONE;
    h1->stream->received = true;
    h1->stream->sink->on_body(h1->stream, STR(""), true);
}

static void eof_server(struct h1 *h1)
{
    h1_reset(h1, h1->stream->received ? REASON_CLIENT_GONE : REASON_BODY_INCOMPLETE);
}

static void eof_client(struct h1 *h1)
{
    if (h1->read == H1_READ_TO_CLOSE) // RFC 9112 6.3
        end_body(h1);
    else if (h1->read == H1_READ_DONE)
        h1->is_closing = true;
    else
        h1_reset(h1,
                 h1->has_answer ? REASON_HTTP_RESPONSE_INCOMPLETE : REASON_CONNECTION_TERMINATED);
}

static void eof(struct wire *wire)
{
    struct h1 *h1 = (struct h1 *)wire;

    if (h1->read == H1_READ_CLOSED)
        return;
    if (!h1->stream) {
        end(h1);
        return;
    }
    if (h1->stream->in_tunnel) {
        if (!h1->stream->received)
            end_body(h1);
        return;
    }
    if (wire->role == ROLE_SERVER)
        eof_server(h1);
    else
        eof_client(h1);
}

static enum status begin(struct wire *wire, struct stream *stream)
{
    struct h1 *h1 = (struct h1 *)wire;

    if (wire->role != ROLE_CLIENT)
        return E_INVALID;
    if (h1->stream || !wire->is_idle || wire->wants_close || h1->is_leaving)
        return E_AGAIN;
    h1_attach(h1, stream);
    return OK;
}

static void credit(struct stream *stream, size_t n)
{
    struct wire *wire = stream->wire;

    if (wire)
        wire->unpaid -= n < wire->unpaid ? (uint32_t)n : wire->unpaid;
}

static size_t backlog(const struct stream *stream)
{
    return stream->wire ? outq_pending(stream->wire->out) : 0;
}

static void tunnel(struct stream *stream)
{
    struct h1 *h1 = of(stream);

    if (!h1)
        return;
    stream->in_tunnel = true;
    stream->received = stream->sent = false;
    h1->read = H1_READ_TUNNEL;
    h1->write = H1_WRITE_TUNNEL;
    h1->is_closing = true;
}

static void pull(struct wire *wire)
{
    (void)wire;
}

static void wrote(struct wire *wire)
{
    struct h1 *h1 = (struct h1 *)wire;

    if (!h1->is_high || outq_pending(wire->out) >= WIRE_LOW_WATER)
        return;
    h1->is_high = false;
    if (h1->stream)
        h1->stream->sink->on_drain(h1->stream);
}

static void bye(struct wire *wire)
{
    struct h1 *h1 = (struct h1 *)wire;

    h1->is_leaving = true;
    if (!h1->stream && !wire->is_partial)
        end(h1);
}

static void close(struct wire *wire, enum reason why)
{
    struct h1 *h1 = (struct h1 *)wire;

    h1_reset(h1, why);
    outq_give(&wire->out);
    h1->read = H1_READ_CLOSED;
}

const struct codec h1_codec = {
    .alpn = "http/1.1",
    .wire_size = sizeof(struct h1),
    .open = open,
    .feed = h1_feed,
    .eof = eof,
    .refuse = h1_refuse,
    .begin = begin,
    .head = h1_head,
    .interim = h1_interim,
    .body = h1_body,
    .trailers = h1_trailers,
    .credit = credit,
    .backlog = backlog,
    .tunnel = tunnel,
    .detach = h1_detach,
    .reset = reset,
    .pull = pull,
    .wrote = wrote,
    .bye = bye,
    .close = close,
};
