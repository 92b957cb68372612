/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the API server: ports and connections.
 */
#ifndef REST_IMPL_H
#define REST_IMPL_H

#include "http/h1.h"
#include "rest/rest.h"
#include "rest/rest_tls.h"

enum {
    REST_STREAM_MAX = 256 * 1024, /* of what waits for a slow reader */
};
enum rest_state {
    REST_SHAKE, /* a TLS handshake */
    REST_READ_HEAD,
    REST_READ_BODY,
    REST_ANSWER, /* a call runs, or its answer is being written */
    REST_STREAM, /* events */
    REST_PIECES, /* a call runs whose answer comes in pieces */
    REST_LINGER, /* answered for the last time: what comes is dropped */
};

union rest_handle {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};
struct rest_port {
    union rest_handle uv;
    struct rest_server *server;
    struct rest_port *next;
    char bind[REST_BIND];
    unsigned tag;
    bool is_unix;
};

struct rest_conn {
    union rest_handle uv;
    struct rest_server *server;
    struct rest_conn *next, **back;
    unsigned tag;
    bool is_unix, is_loopback;
    uint64_t client; /* hash of its address; 0: none */
    enum rest_state state;
    bool is_writing, is_eof, is_paused, close_after, is_endless;
    bool is_last;                /* the answer to come ends the connection */
    size_t unsent;               /* at the last tick */
    struct buf in, out, queued;  /* read; being written; to be written next */
    struct rest_tls *tls;        /* NULL: plain */
    struct buf cipher;           /* being written, if there is TLS: */
    uint32_t sealed;             /* so much of `out` */
    bool has_spoken, waits_turn; /* bytes came; the handshake goes on in another turn */
    size_t scanned;              /* of an incomplete head */
    uint64_t body_left;          /* of a body with a length */
    struct chunked chunked;
    uint64_t deadline_ms; /* of the loop's clock */
    struct rest_call *call;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

/* --- conn.c */
/* A connection waits at the port. */
void rest_conn_accept(struct rest_port *port);
/* Drops it; a call that runs goes on without it. */
void rest_conn_close(struct rest_conn *conn);
/* Appends to what is written and begins to write; memory or a broken connection closes it. */
void rest_conn_send(struct rest_conn *conn, struct str bytes);
/* The answer that came in pieces is whole. */
void rest_conn_finish(struct rest_conn *conn);
/* A second has passed. */
void rest_conn_tick(struct rest_conn *conn, uint64_t now_ms);
/* What the client sent, without TLS: bytes, and their end (of libuv). */
void rest_conn_take(struct rest_conn *conn, struct str bytes);
void rest_conn_take_end(struct rest_conn *conn, ssize_t why);
/* Ciphertext waits: writes it unless something is being written. */
void rest_conn_write(struct rest_conn *conn);
/* Says goodbye, and waits a little for the client to do so. */
void rest_conn_linger(struct rest_conn *conn);
/* It has so long from now on. */
void rest_conn_set_deadline(struct rest_conn *conn, uint64_t ms);

/* --- conn_tls.c */
/* Before anything is read. False: there is nothing to speak TLS with. */
bool rest_conn_secure(struct rest_conn *conn);
/* Ciphertext came. */
void rest_conn_take_cipher(struct rest_conn *conn, struct str bytes);
/* Seals the next piece of `out`, with what else waits, into `cipher`. False: no memory. */
bool rest_conn_seal(struct rest_conn *conn);
/* There is something to seal, or sealed. */
bool rest_conn_has_cipher(const struct rest_conn *conn);
/* The timer of the server for handshakes. */
void rest_conn_turn(uv_timer_t *timer);

/* --- relay.c */
/* Ends those that take too long. */
void rest_relay_tick(struct rest_server *server, uint64_t now_ms);
/* Ends all: their calls are dropped. */
void rest_relay_close(struct rest_server *server);

/* --- reply.c */
/* The usual words for a status; empty for those that no API here answers with. */
const char *rest_phrase(unsigned status);

#endif
