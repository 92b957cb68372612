/* SPDX-License-Identifier: Apache-2.0
 *
 * What a codec (codec.h) works on: a connection's wire, the streams on it, and the sink that hears
 * of them. One thread.
 */
#ifndef SLUICE_WIRE_H
#define SLUICE_WIRE_H

#include "sluice/head.h"
#include "sluice/reason.h"

struct arena;
struct codec;
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
    bool must_switch; /* server: the client takes a 2xx for a tunnel (RFC 8441 5), give it a 101 or
                         none */
    void *half;       /* the codec's own, while it holds the stream */
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

#endif
