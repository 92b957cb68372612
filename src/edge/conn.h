/* SPDX-License-Identifier: Apache-2.0
 *
 * One socket with a codec on it: reads into the worker's buffer and feeds the wire, keeps what the
 * wire did not eat, writes what the wire left (uv_try_write first, uv_write for the rest), and ends
 * the connection without losing the last bytes. Knows no HTTP. Embedded in its owner (a client or a
 * target's connection), whose memory may go only when ops->on_closed has been called. One thread.
 */
#ifndef EDGE_CONN_H
#define EDGE_CONN_H

#include "base/buf.h"
#include "edge/loop.h"
#include "edge/tls/tls_link.h"
#include "sluice/codec.h"

struct conn;

struct conn_ops {
    /* The connection is no longer of use, its streams have been reset: forget it. */
    void (*on_closing)(struct conn *conn);
    /* The last callback of the socket has run: give the memory back. */
    void (*on_closed)(struct conn *conn);
    /* The wire became idle or got its last byte out after it had been busy; input may wait in
     * `partial`. */
    void (*on_idle)(struct conn *conn);
    /* The first bytes of a message came in while the wire was idle. */
    void (*on_begin)(struct conn *conn);
    /* conn->timer ran out. */
    void (*on_timeout)(struct conn *conn);
    /* Server, while conn->awaits_preface: what came so far, all of it, before anything else is made
     * of it. OK: *used bytes were it. E_AGAIN: more must come. Else the connection is closed. */
    enum status (*on_preface)(struct conn *conn, struct str in, size_t *used);
    /* Server: the codec for a plain connection that begins with `in`; NULL: more must come. */
    const struct codec *(*on_first)(struct conn *conn, struct str in);
    /* The TLS handshake is over: conn_speak() is next, or conn_close(). */
    void (*on_secure)(struct conn *conn);
    /* It failed; the connection closes once an alert is out. */
    void (*on_insecure)(struct conn *conn, enum reason why);
};

struct conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct loop *loop;
    const struct conn_ops *ops; /* borrowed */
    struct loop_timer timer;
    struct conn *dirty_next, *late_next; /* in the loop's lists */
    struct tls_link *tls;                /* of the loop's heap; NULL: plain */
    struct conn *shake_next;             /* in the loop's queue of handshakes */
    struct conn *prev, *next;            /* all of the loop's */
    struct buf partial;                  /* input the wire has not eaten */
    uint32_t partial_max;                /* bytes; past it reading stops until the wire eats */
    uint64_t read_bytes, written_bytes;
    uv_write_t *writing; /* the uv_write in flight, owned; NULL: none */
    size_t writing_len;
    bool is_dirty : 1, is_late : 1, is_reading : 1, is_feeding : 1, is_closing : 1;
    bool got_eof : 1, is_waiting_shake : 1, is_lingering : 1, did_shutdown : 1, is_working : 1;
    bool was_paused : 1; /* reading stood still because its consumer was behind; the owner clears it
                          */
    bool awaits_preface : 1; /* set before conn_start(): see on_preface */
    bool is_mute : 1;        /* writing failed: output is dropped, input goes on */
    bool is_broken : 1;      /* output was lost for want of memory: close instead of writing */
    uv_shutdown_t *shutting;
    struct wire *wire; /* in the memory behind this struct's owner */
};

/* Readies `conn` (zeroed but for loop, ops and wire) and its handle, TCP or unix; no socket yet.
 * E_IO when libuv says no: then nothing is to be closed. */
MUST_USE enum status conn_init(struct conn *conn, bool is_unix);
/* Reads from an open socket, with this codec or, NULL, with one that is chosen later. Any failure:
 * conn_close is the caller's. */
MUST_USE enum status conn_start(struct conn *conn, const struct codec *codec, enum role role);
/* Puts TLS before the codec, before conn_start(); takes `ssl` over. The same on failure. */
MUST_USE enum status conn_secure(struct conn *conn, SSL *ssl, enum role role);
/* The codec is known now. On failure the connection is closing. */
MUST_USE enum status conn_speak(struct conn *conn, const struct codec *codec);
/* A handshake that waited for its turn may go on. Called by the loop. */
void conn_shake(struct conn *conn);

/* Says that the wire has output or changed its mind about reading; acted on when the callback ends.
 */
void conn_touch(struct conn *conn);
/* Feeds what waits in `partial`; for the owner when the wire is free again. */
void conn_resume(struct conn *conn);
/* Writes what it can now. Called by the loop. */
void conn_flush(struct conn *conn);
/* Closes at once; what is unwritten is lost; the wire's streams are reset with `why`. May be called
 * twice. */
void conn_close(struct conn *conn, enum reason why);
/* The same with a reset instead of an end, so that a cut answer cannot be taken for a whole one. */
void conn_reset(struct conn *conn, enum reason why);
/* Closes every connection of the loop. */
void conn_close_all(struct loop *loop);
/* Bytes that wait for the socket. */
size_t conn_pending(const struct conn *conn);
/* Bytes written so far that the peer's kernel has acknowledged; *waiting: those that are on their
 * way or still here. One system call. */
uint64_t conn_acked(const struct conn *conn, uint64_t *waiting);

#endif
