/* SPDX-License-Identifier: Apache-2.0
 *
 * How the targets of one service are spoken to over TLS: trust, the gateway's own certificate,
 * ALPN. Immutable and counted: made on the builder thread from the service's configuration, held by
 * snapshots and by connections in handshake. Any worker uses it.
 */
#ifndef EDGE_TLS_TLS_CLIENT_H
#define EDGE_TLS_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "sluice/types.h"

struct tls_client;

void tls_client_ref(struct tls_client *client);
/* Any thread. Clears the pointer; NULL is fine. */
void tls_client_unref(struct tls_client **client);

/* A client's SSL for a target at `host` (name or address as configured, without port), with SNI,
 * name check and ALPN set; the caller sets the BIOs. NULL: memory. */
SSL *tls_client_ssl(const struct tls_client *client, struct str host);

#endif
