/* SPDX-License-Identifier: Apache-2.0
 *
 * What one TLS listener answers with: protocol settings, and certificates by the names they are
 * for. Immutable and counted: made on the builder thread, held by snapshots, by a listener's door
 * and by each connection whose handshake is not over. The context's callbacks choose certificate
 * and ALPN; they run on the worker that does the handshake.
 */
#ifndef EDGE_TLS_TLS_SERVER_H
#define EDGE_TLS_TLS_SERVER_H

#include <openssl/ssl.h>

#include "config/conf_listener.h"
#include "tls/certificate.h"
#include "edge/tls/tls_challenges.h"
#include "edge/tls/tls_tickets.h"
#include "edge/tls/tls_trust.h"

struct tls_server;

enum tls_source { TLS_SOURCE_FILE, TLS_SOURCE_PUSHED, TLS_SOURCE_SELF_SIGNED };

/* A certificate that came by the API. */
struct tls_pushed {
    struct str name;
    const struct certificate *certificate;
};

/* All borrowed for the call, but for tickets and challenges, which outlive every server. */
struct tls_server_build {
    const struct conf_listener *listener; /* with tls */
    const struct tls_pushed *pushed;
    uint32_t pushed_count;
    struct tls_tickets *tickets;       /* NULL: no tickets */
    struct tls_challenges *challenges; /* NULL: none */
    const struct tls_server *before;   /* what the listener has: its self-signed certificate is kept
                                          while it will do; NULL: nothing */
    bool keeps_old; /* a pair of files that is bad keeps what `before` has of it, with a warning */
};

/* Reads the files; builder thread. What is wrong goes to `diag` at its line; NULL: an error. */
struct tls_server *tls_server_new(const struct tls_server_build *build, struct diag *diag);
void tls_server_ref(struct tls_server *server);
/* Any thread. Clears the pointer; NULL is fine. */
void tls_server_unref(struct tls_server **server);

/* For SSL_new(), by any worker. The caller holds a reference to `server` until the handshake is
 * over: the context's callbacks use it. */
SSL_CTX *tls_server_context(const struct tls_server *server);

/* The digest of the authorities whose certificates clients may show, TLS_TRUST_DIGEST bytes; zeros:
 * there are none. Any thread. */
const unsigned char *tls_server_trust(const struct tls_server *server);

/* Whether a connection that asked for `name` (SNI, lower case; empty: for none) may carry a request
 * for `host` (without port, any case): the same certificates answer for both. RFC 9110 7.4, RFC
 * 9113 9.1.1. */
bool tls_server_is_same(const struct tls_server *server, struct str name, struct str host);

/* One certificate that it may show; for the API. */
struct tls_server_entry {
    enum tls_source source;
    struct str name; /* the path of a file, the name of a pushed one, else empty */
    const struct certificate *certificate;
    struct str error; /* why what is in the files now is not used; empty: it is */
};
uint32_t tls_server_count(const struct tls_server *server);
const struct tls_server_entry *tls_server_entry(const struct tls_server *server, uint32_t i);

#endif
