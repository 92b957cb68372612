/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by tls_server.c, which builds one, and tls_server_call.c, what OpenSSL calls during a
 * handshake.
 */
#ifndef EDGE_TLS_TLS_SERVER_IMPL_H
#define EDGE_TLS_TLS_SERVER_IMPL_H

#include "edge/tls/tls_names.h"
#include "edge/tls/tls_server.h"

struct tls_server {
    uint32_t refs; /* atomic */
    SSL_CTX *context;
    struct arena arena;               /* of entries and texts */
    struct tls_server_entry *entries; /* each owns its certificate */
    uint32_t count, capacity;
    struct tls_names names;
    struct tls_names_set standard;         /* shown when no name is asked for; the context's own */
    unsigned char trust[TLS_TRUST_DIGEST]; /* whose certificates clients may show; zeros: none */
    bool http2, rejects_unknown;
    struct tls_tickets *tickets;       /* borrowed; NULL: none */
    struct tls_challenges *challenges; /* borrowed; NULL: none */
    EVP_CIPHER *cipher;                /* of tickets: fetched once, since each fetch takes locks */
};

/* Sets the callbacks of server->context, whose app data is the server. */
void tls_server_call_install(struct tls_server *server);
/* What is shown for `name`; NULL: an alert. */
const struct tls_names_set *tls_server_call_choose(const struct tls_server *server,
                                                   struct str name);

#endif
