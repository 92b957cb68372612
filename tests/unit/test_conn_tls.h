/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection under test with TLS on it, its other end, and a codec that gives back what it is
 * fed.
 */
#ifndef TEST_CONN_TLS_H
#define TEST_CONN_TLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "edge/conn.h"

enum { PATIENCE_S = 60, STORM = 3 * TLS_SHAKES_A_TURN, ROOM = 2 * 1024 * 1024 };

struct bench {
    struct loop loop;
    SSL_CTX *ours, *theirs; /* the certificate is ours in the server role */
    SSL_SESSION *session;   /* the other end's, to be resumed */
    char *bytes, *read;
};

/* A connection and its other end. */
struct side {
    struct conn conn;
    struct wire wire;
    struct bench *bench;
    SSL *ssl;
    BIO *in, *out; /* of ssl */
    int fd;
    size_t fed;
    enum reason why; /* it was closed with */
    unsigned secured, insecure, closing, closed, ended;
    bool holds;    /* what is fed is not given back */
    bool blasts;   /* it is answered with ROOM bytes */
    bool has_left; /* the other end is gone */
};

/* --- the codec */

static const struct wire_limits limits = {.header_bytes = 1024, .uri_bytes = 512, .headers = 10};

static inline struct side *side_of(struct wire *wire)
{
    return CONTAINER_OF(wire, struct side, wire);
}

static inline enum status open_wire(struct wire *wire, enum role role)
{
    wire->role = role;
    wire->is_idle = true;
    return OK;
}

static inline enum status feed(struct wire *wire, struct str in, size_t *used)
{
    *used = in.len;
    side_of(wire)->fed += in.len;
    if (side_of(wire)->holds)
        return OK;
    if (!wire->out && !(wire->out = outq_take(wire->outqs)))
        return E_NOMEM;
    if (side_of(wire)->blasts)
        in = (struct str){side_of(wire)->bench->bytes, ROOM};
    return outq_ref(wire->out, in);
}

static inline void eof(struct wire *wire)
{
    side_of(wire)->ended++;
    wire->wants_close = true;
}

static inline void wrote(struct wire *wire)
{
    (void)wire;
}

static inline void close_wire(struct wire *wire, enum reason why)
{
    side_of(wire)->why = why;
    outq_give(&wire->out);
}

static const struct codec echo = {
    .open = open_wire, .feed = feed, .eof = eof, .wrote = wrote, .close = close_wire};

/* --- the owner */

static inline struct side *owner(struct conn *conn)
{
    return CONTAINER_OF(conn, struct side, conn);
}

static inline void on_closing(struct conn *conn)
{
    owner(conn)->closing++;
}

static inline void on_closed(struct conn *conn)
{
    owner(conn)->closed++;
}

static inline void ignore(struct conn *conn)
{
    (void)conn;
}

static inline void on_secure(struct conn *conn)
{
    owner(conn)->secured++;
    assert_int_equal(conn_speak(conn, &echo), OK);
}

static inline void on_insecure(struct conn *conn, enum reason why)
{
    owner(conn)->insecure++;
    owner(conn)->why = why;
}

static const struct conn_ops ops = {.on_closing = on_closing,
                                    .on_closed = on_closed,
                                    .on_idle = ignore,
                                    .on_begin = ignore,
                                    .on_timeout = ignore,
                                    .on_secure = on_secure,
                                    .on_insecure = on_insecure};

#endif
