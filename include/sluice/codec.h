/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of an HTTP version: a pure codec between the bytes of one connection (a wire) and
 * the messages on it (streams), for both roles. It does no I/O, reads no clock and owns no socket:
 * the connection feeds it what was read, and writes what it left in wire->out. The exchange speaks
 * to streams alone and does not learn which version they are. One thread.
 *
 * Slices given to a sink are valid during that call only, but for heads: those live in the
 * arena of their stream. A sink may call any codec function, also ones that end the stream;
 * memory of a wire lives until codec->close, and the codec touches no stream after it let go of it.
 */
#ifndef SLUICE_CODEC_H
#define SLUICE_CODEC_H

#include "sluice/wire.h"

struct codec {
    const char *alpn; /* "http/1.1", "h2" */
    bool is_shared;   /* several streams at once */
    size_t wire_size; /* bytes of the codec's state, struct wire first */

    /* Starts a wire whose public fields sink, owner, outqs and limits are set. */
    enum status (*open)(struct wire *wire, enum role role);
    /* Takes what was read. *used says how much was eaten: what is left must be kept by the
     * connection and offered again, with what came since, after the next read or when the
     * wire becomes idle. Not re-entered. A status other than OK: drop the connection. */
    enum status (*feed)(struct wire *wire, struct str in, size_t *used);
    /* The other end will send no more. Streams whose message is cut are reset or refused. */
    void (*eof)(struct wire *wire);

    /* Server role: gives up on a message whose head is partly in: on_open, then on_refuse without a
     * head. */
    void (*refuse)(struct wire *wire, enum reason why);

    /* Client role: begins a stream. E_AGAIN: no more streams on this wire now. */
    enum status (*begin)(struct wire *wire, struct stream *stream);
    /* Queues a head: role client: the request; role server: the final response. The codec decides
     * the framing (RFC 9112 section 6) from content_length and `last`, and writes Content-Length,
     * Transfer-Encoding, Connection and Upgrade itself. */
    enum status (*head)(struct stream *stream, const struct head *head, bool last);
    /* Server role: a 1xx head; dropped for clients that do not know them (HTTP/1.0). */
    enum status (*interim)(struct stream *stream, const struct head *head);
    /* Queues body bytes, by reference where that is cheaper: valid until the connection flushes. */
    enum status (*body)(struct stream *stream, struct str bytes, bool last);
    /* Queues trailers and ends the message; without chunked framing they are dropped. */
    enum status (*trailers)(struct stream *stream, const struct head *trailers);
    /* Bytes of on_body have been passed on. */
    void (*credit)(struct stream *stream, size_t n);
    /* Bytes of this stream that wait to be written. */
    size_t (*backlog)(const struct stream *stream);
    /* After a 101 on both sides: the stream carries raw bytes from here on. */
    void (*tunnel)(struct stream *stream);
    /* Lets go of the stream at once; what it queued is still sent. Unless both directions were
     * complete the message cannot go on: a wire of one stream wants_close, else the stream alone is
     * reset. */
    void (*detach)(struct stream *stream);
    /* Lets go of the stream and sees to it that the other end cannot take what it got for a whole
     * message: the connection's reset or the stream's. */
    void (*reset)(struct stream *stream, enum reason why);

    /* Fills wire->out from streams, once a turn before the connection writes; NULL: nothing to do.
     */
    void (*pull)(struct wire *wire);
    /* The connection wrote: calls on_drain of streams whose backlog fell. */
    void (*wrote)(struct wire *wire);
    /* No new messages after the current ones (Connection: close, GOAWAY). */
    void (*bye)(struct wire *wire);
    /* Some seconds have passed: resets streams of whose waiting bytes the reader took fewer than
     * `least` twice in a row, and forgives old sins of the peer. NULL: nothing to do. */
    void (*check)(struct wire *wire, uint32_t least);
    /* Client role: asks for a sign of life; wire->unanswered_pings counts until it comes. NULL: it
     * cannot. */
    void (*ping)(struct wire *wire);
    /* Frees what the wire holds; its streams are reset first with `why`. */
    void (*close)(struct wire *wire, enum reason why);
};

extern const struct codec h1_codec;
extern const struct codec h2_codec;

enum {
    WIRE_WINDOW = 64 * 1024,     /* unpaid bytes after which the connection stops reading */
    WIRE_HIGH_WATER = 64 * 1024, /* backlog above which the exchange withholds credit */
    WIRE_LOW_WATER = 16 * 1024,  /* backlog below which on_drain is called */
};

#endif
