/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTP/2 codec share. A wire holds one nghttp2 session; each stream of it has
 * a half: what the codec keeps of it, which may outlive the exchange's part when bytes still wait
 * to be sent. Private to src/http.
 */
#ifndef HTTP_H2_IMPL_H
#define HTTP_H2_IMPL_H

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/outq.h"
#include "http/h1_impl.h"
#include "http/h2_block.h"
#include "http/h2_scan.h"
#include "http/websocket.h"

enum {
    H2_STREAMS_MAX = 128,               /* that a client may have open (RFC 9113 5.1.2) */
    H2_STREAM_WINDOW = 256 * 1024,      /* body bytes of a stream that may be on their way to us */
    H2_CONNECTION_WINDOW = 1024 * 1024, /* and of all streams of a client's connection */
    H2_TARGET_WINDOW = 1 << 30,         /* of a target's: the streams' windows are the limit */
    H2_OUT_MAX = 64 * 1024,             /* bytes of `out` past which DATA waits in its stream */
    H2_GRACE_MAX = 1600,                /* see h2_charge() */
    H2_GRACE_REFILL = 800,              /* each check */
    H2_UPDATE_COST = 4,                 /* of a WINDOW_UPDATE that nothing asked for */
    H2_UPDATES_MAX = 128 * 1024,        /* WINDOW_UPDATEs that may still be due */
    H2_ACKS_MAX = 400,                  /* answers to PING and SETTINGS that may wait */
    H2_STALLED_CHECKS = 2,
    H2_BLOCKED = 1024,         /* bytes of a window below which its owner keeps us waiting */
    H2_HEAD_MAX = 1024 * 1024, /* of a head that we send: more than any limit lets in */
};

struct h2_trailers; /* private to h2_send.c: one object of the heap */

struct h2_half {
    struct h2_half *prev, *next;
    struct stream *stream; /* NULL: let go of */
    int32_t id;            /* 0: a request that is not queued yet */
    struct outq *queue;    /* our body bytes that wait; owned copies */
    struct str now;        /* and those that codec->body is being given, behind them; borrowed */
    struct outq *early;    /* bytes of a tunnel that is not open yet */
    struct h2_trailers *trailers; /* owned */
    struct h2_block block;
    uint32_t unpaid;                    /* body bytes given to the sink and not credited */
    uint64_t out_bytes;                 /* body bytes sent so far */
    uint64_t seen;                      /* out_bytes at the last check */
    int32_t window;                     /* for our bytes, before the SETTINGS that are being read */
    char accept[WEBSOCKET_ACCEPT_SIZE]; /* of the handshake on the other side; empty: none */
    uint8_t stalled;
    bool is_queue_high : 1;  /* the queue was above the low-water mark */
    bool has_provider : 1;   /* our head is queued, DATA may follow */
    bool is_deferred : 1;    /* nghttp2 waits for more of our body */
    bool is_last_given : 1;  /* the body's end is in the queue */
    bool is_sent : 1;        /* END_STREAM is on its way */
    bool is_remote_done : 1; /* END_STREAM came in */
    bool has_head : 1;       /* the final head was given to the sink */
    bool is_mute : 1;        /* nothing more goes to the sink */
    bool wants_tunnel : 1;   /* extended CONNECT (RFC 8441) */
    bool in_tunnel : 1;
    bool is_bodiless : 1; /* our answer has no body (RFC 9110 6.4.1) */
    bool is_over : 1;     /* nghttp2 has closed it; its user has yet to let go */
};

struct h2 {
    struct wire wire;
    nghttp2_session *session;
    struct h2_half *halves;    /* newest first */
    struct h2_half *receiving; /* whose header block is not whole; NULL: none */
    struct h2_half *held;      /* cleared when it goes: for those who need it after nghttp2 ran */
    int32_t grace;             /* see h2_charge() */
    int32_t updates_due;       /* WINDOW_UPDATEs that answer DATA of ours */
    uint32_t remote_streams;   /* client role: what the other end allows */
    enum reason fault;         /* why the connection must end */
    uint32_t code;             /* and what its GOAWAY says; 0: what follows from the fault */
    struct h2_scan scan;
    uint32_t remote_window; /* SETTINGS_INITIAL_WINDOW_SIZE of the other end */
    bool is_busy : 1;       /* inside nghttp2: nothing may be sent now */
    bool is_dead : 1;       /* the session can do no more */
    bool is_torn : 1;       /* a part of a frame is in `out`, and the rest is not */
    bool is_closed : 1;
    bool is_leaving : 1;   /* bye was called */
    bool has_notified : 1; /* the first of its two GOAWAYs is sent */
    bool wants_goaway : 1; /* the second is to be sent: it names what came until then */
    bool has_goaway : 1;   /* client role: the other end takes no more, or there are no numbers */
    bool is_ready : 1;     /* the other end's SETTINGS are in */
    bool has_waiting_drain : 1;
};

/* The wire as what it is. */
static inline struct h2 *h2_of(const struct wire *wire)
{
    return (struct h2 *)wire;
}

/* NULL: the codec has let go of it. */
static inline struct h2_half *h2_half_of(const struct stream *stream)
{
    return stream->half;
}

/* --- h2.c */
/* NULL: memory. */
struct h2_half *h2_half_new(struct h2 *h2, struct stream *stream, int32_t id);
/* Frees it; its stream must be let go of. */
void h2_half_free(struct h2 *h2, struct h2_half *half);
/* Parts stream and half: what the sink was given and did not pay is paid. */
void h2_let_go(struct h2 *h2, struct h2_half *half);
/* The header block is whole, or broken. */
void h2_end_receiving(struct h2 *h2);
/* The stream is broken: let go, and the sink is told. */
void h2_break(struct h2 *h2, struct h2_half *half, enum reason why);
/* Whether wire is idle, or at its end; after everything that may change that. */
void h2_settle(struct h2 *h2);
/* The session can do no more: says `code` in a GOAWAY, breaks all streams, ends the wire. */
void h2_die(struct h2 *h2, uint32_t code, enum reason why);
/* Out of nghttp2 again; when the wire was closed meanwhile, the session goes. */
void h2_leave(struct h2 *h2);
/* Frames that cost us more than their sender, or serve to probe us, draw on a connection's grace;
 * honest work and time give it back. False: it is used up, the connection must end (DESIGN 7). */
bool h2_charge(struct h2 *h2, int32_t cost);
void h2_forgive(struct h2 *h2, int32_t n);
/* A DATA frame was sent: a WINDOW_UPDATE of its stream and one of the connection may answer it. */
void h2_expect_updates(struct h2 *h2);

/* --- h2_read.c */
enum status h2_feed(struct wire *wire, struct str in, size_t *used);
void h2_set_callbacks(nghttp2_session_callbacks *callbacks);
/* Gives a tunnel the bytes that came before it was open. */
void h2_give_early(struct h2 *h2, struct h2_half *half);

/* --- h2_send.c */
enum status h2_head(struct stream *stream, const struct head *head, bool last);
enum status h2_interim(struct stream *stream, const struct head *head);
enum status h2_body(struct stream *stream, struct str bytes, bool last);
enum status h2_trailers(struct stream *stream, const struct head *trailers);
/* Moves what may be sent into `out`. Not from inside nghttp2. */
void h2_drain(struct h2 *h2);
/* Callbacks of nghttp2. */
int h2_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                    size_t length, nghttp2_data_source *source, void *owner);
int h2_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner);
/* Body bytes that wait in the stream. */
size_t h2_waiting(const struct h2_half *half);
struct outq *h2_out(struct h2 *h2);

#endif
