/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS on one connection, between the bytes of its socket and those of its codec, without any I/O:
 * ciphertext is read where the socket's read put it, and left in an out queue for the socket. What
 * a worker shares among its links is its engine. One thread.
 */
#ifndef EDGE_TLS_TLS_LINK_H
#define EDGE_TLS_TLS_LINK_H

#include <openssl/ssl.h>
#include <sys/types.h>

#include "base/outq.h"
#include "sluice/reason.h"

enum {
    TLS_PLAIN_BUFFER = 64 * 1024, /* bytes; one for all connections of the worker */
    TLS_OUT_MAX = 64 * 1024, /* ciphertext of a link that may wait: more is not encrypted yet */
    TLS_SHAKES_A_TURN = 8,   /* handshakes begun in a turn of the loop; others wait for the next */
};

struct tls_engine {
    BIO_METHOD *method;
    char *plain;     /* TLS_PLAIN_BUFFER bytes for what a read decrypts */
    unsigned shakes; /* that may still begin in this turn */
};

struct tls_link {
    SSL *ssl;
    struct str in;      /* ciphertext that is being taken; borrowed */
    struct outq *out;   /* ciphertext to be written */
    struct slab *outqs; /* borrowed */
    bool is_server;
    bool is_begun; /* the handshake's expensive part has been done */
    bool is_open;  /* the handshake is over */
    bool got_bye;  /* the other end said close_notify (RFC 8446 6.1) */
    bool said_bye;
    bool is_slim;      /* its record buffers were given back */
    enum reason fault; /* why the handshake failed */
    const char *error; /* what failed last, in OpenSSL's words; static; NULL: it has none */
};

/* E_NOMEM leaves nothing behind. */
MUST_USE enum status tls_engine_init(struct tls_engine *engine);
void tls_engine_fini(struct tls_engine *engine);

/* Readies `link` (whose address stays) on `ssl`, which it owns from here on, also on failure. */
MUST_USE enum status tls_link_init(struct tls_link *link, const struct tls_engine *engine, SSL *ssl,
                                   bool is_server, struct slab *outqs);
void tls_link_fini(struct tls_link *link);

/* Goes on with the handshake, eating from *in. OK: it is over; E_AGAIN: more must come; else it
 * failed, link->fault says why, and an alert may wait in `out`. */
MUST_USE enum status tls_link_shake(struct tls_link *link, struct str *in);
/* Decrypts from *in into at most `size` bytes at `to`; 0: nothing more without more input; -1: a
 * broken record, an alert may wait in `out`. */
ssize_t tls_link_read(struct tls_link *link, struct str *in, char *to, size_t size);
/* Encrypts what waits in `plain` while fewer than TLS_OUT_MAX bytes of ciphertext wait. */
MUST_USE enum status tls_link_write(struct tls_link *link, struct outq *plain);
/* Queues close_notify, once. */
void tls_link_bye(struct tls_link *link);
/* Gives the record buffers back until they are needed again. */
void tls_link_slim(struct tls_link *link);

/* The protocol that was agreed on (RFC 7301); empty: none. */
struct str tls_link_alpn(const struct tls_link *link);
/* Server: the name that was asked for (SNI); absent: none. Lives as long as the link. */
struct str tls_link_name(const struct tls_link *link);
/* The subject of the other end's verified certificate (RFC 2253) into `text`; its length, 0: there
 * is none. */
size_t tls_link_subject(const struct tls_link *link, char *text, size_t size);
/* Client: the session to resume next time, the caller's; NULL: none. */
SSL_SESSION *tls_link_session(const struct tls_link *link);

#endif
