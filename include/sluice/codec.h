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

#include "sluice/head.h"
#include "sluice/reason.h"

struct arena;
struct heap;
struct outq;
struct slab;
struct stream;

enum role {
    ROLE_SERVER, /* the other end is a client: requests come in */
    ROLE_CLIENT, /* the other end is a target: responses come in */
};

/* Ceilings of one message, from `limits` and fixed for the wire's next message. */
struct wire_limits {
    uint32_t header_bytes; /* whole head block or trailer section */
    uint32_t uri_bytes;    /* request target */
    uint16_t headers;      /* fields */
};

/* What a codec tells its user. Every hook is set. `owner` hooks speak of the connection. */
struct sink {
    /* Server: a request head is complete. Gives the stream to build it in (with arena and owner
     * set), or NULL when memory is short: the codec then sends a bare 503 and ends the wire. */
    struct stream *(*on_open)(void *wire_owner);
    /* Server: the request head; client: the final response head. `last`: no body follows.
     * The head is the arena's, and the sink may change it. */
    void (*on_head)(struct stream *stream, struct head *head, bool last);
    /* Client: a 1xx head other than 101. */
    void (*on_interim)(struct stream *stream, struct head *head);
    /* Body bytes, decoded; in a tunnel raw ones. May be empty with `last`. Each byte must be given
     * back by codec->credit once it is passed on; unpaid bytes make the sender wait. */
    void (*on_body)(struct stream *stream, struct str bytes, bool last);
    /* Trailer fields; the message ends with them. */
    void (*on_trailers)(struct stream *stream, struct head *trailers);
    /* Server: the client's message is malformed (head: partial or NULL). The sink answers or
     * resets; nothing more is read from this stream. */
    void (*on_refuse)(struct stream *stream, struct head *head, enum reason why);
    /* The stream broke: nothing follows, the codec has let go of it. For role client: `why` is
     * CONNECTION_TERMINATED when not one byte of the answer had come, else what was wrong. */
    void (*on_reset)(struct stream *stream, enum reason why);
    /* What the stream had queued for writing fell below the low-water mark. */
    void (*on_drain)(struct stream *stream);
};

/* One message pair. Embedded in its user; the user sets the first group before the codec sees it.
 */
struct stream {
    const struct sink *sink; /* borrowed */
    struct arena *arena;     /* borrowed; heads are built here */
    void *owner;

    struct wire *wire; /* NULL once the codec has let go of it */
    const struct codec *codec;
    uint32_t id;
    bool is_head;     /* the request was HEAD: the answer has no body */
    bool received;    /* the whole message from the other end is in */
    bool sent;        /* our whole message is out (queued) */
    bool close_after; /* set before codec->head: the connection ends with this message */
    bool in_tunnel;
    void *half; /* the codec's own, while it holds the stream */
};

/* One connection. Embedded at the start of each codec's own state, see codec->wire_size. */
struct wire {
    const struct codec *codec;
    const struct sink *sink; /* borrowed: on_open of the server role */
    void *owner;             /* the connection */
    struct slab *outqs;      /* borrowed */
    struct heap *heap;       /* borrowed */
    struct outq *out;        /* what waits to be written; NULL: nothing. The connection writes it */
    const struct wire_limits *limits; /* borrowed; lives as long as the wire or is replaced */
    enum role role;
    uint32_t unpaid;  /* body bytes given to sinks and not yet credited: read no more past 64 KiB */
    uint32_t queued;  /* body bytes that wait in streams, behind `out` */
    uint32_t streams; /* held by the codec now */
    uint32_t streams_max; /* client role: at once; the other end may allow fewer */
    bool has_room;        /* client role: begin() will do */
    bool wants_close;     /* end the connection once `out` is written */
    bool wants_abort; /* end it at once with a reset: a cut message must not be taken for a whole */
    bool wants_shutdown;   /* end our direction once `out` is written (tunnels) */
    bool is_idle;          /* between messages: it may wait, be pooled, or be closed without loss */
    bool is_partial;       /* the first bytes of a message are in, its head is not whole */
    uint32_t keep_alive_s; /* client role: the target's Keep-Alive timeout; 0: it said none */
    uint32_t unanswered_pings;
    enum reason fault; /* what the other end did wrong to the connection as a whole */
};

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
    /* Some seconds have passed: resets streams whose reader does not move, forgives old sins of the
     * peer. NULL: nothing to do. */
    void (*check)(struct wire *wire);
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
