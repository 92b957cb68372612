/* SPDX-License-Identifier: Apache-2.0
 *
 * How the targets of one service are spoken to over TLS: trust, the gateway's own certificate,
 * ALPN. Immutable and counted: made on the builder thread from the service's configuration, held by
 * snapshots and by connections in handshake. Any worker uses it.
 */
#ifndef EDGE_TLS_TLS_CLIENT_H
#define EDGE_TLS_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "config/conf_service.h"

struct tls_client;

/* For a service with tls (or what poses as one); reads its files, builder thread. `system` has the
 * machine's roots and is shared; needed by services that trust them. What is wrong goes to `diag`
 * at its line; NULL: an error. */
struct tls_client *tls_client_new(const struct conf_service *service, X509_STORE *system,
                                  struct diag *diag);
void tls_client_ref(struct tls_client *client);
/* Any thread. Clears the pointer; NULL is fine. */
void tls_client_unref(struct tls_client **client);

/* What it was configured with, as a number: targets' connections are shared by services that say
 * the same. Never 0. */
uint64_t tls_client_identity(const struct tls_client *client);

/* A client's SSL for a target at `host` (name or address as configured, without port), with SNI,
 * name check and ALPN set; the caller sets the BIOs. Sessions go to no store: the caller keeps them
 * beside the tls_client they were made with, for what they skip was checked by its roots. NULL:
 * memory. */
SSL *tls_client_ssl(const struct tls_client *client, struct str host);

#endif
