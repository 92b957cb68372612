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

#include "sluice/types.h"

struct tls_server;

void tls_server_ref(struct tls_server *server);
/* Any thread. Clears the pointer; NULL is fine. */
void tls_server_unref(struct tls_server **server);

/* For SSL_new(), by any worker. The caller holds a reference to `server` until the handshake is
 * over: the context's callbacks use it. */
SSL_CTX *tls_server_context(const struct tls_server *server);

/* Whether a connection that asked for `name` (SNI, lower case) may carry a request for `host`
 * (without port, any case): the same certificates answer for both. RFC 9110 7.4, RFC 9113 9.1.1. */
bool tls_server_is_same(const struct tls_server *server, struct str name, struct str host);

#endif
