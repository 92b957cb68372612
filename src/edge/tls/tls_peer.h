/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of the other end, read once a connection when a filter first asks. One thread.
 */
#ifndef EDGE_TLS_TLS_PEER_H
#define EDGE_TLS_TLS_PEER_H

#include "edge/tls/tls_link.h"
#include "edge/tls/tls_server.h"
#include "sluice/peer_cert.h"

struct tls_peer;

/* Reads it, also when there is none; `server` is the one that shook hands. NULL: memory. */
struct tls_peer *tls_peer_new(const struct tls_link *link, const struct tls_server *server);
/* Clears the pointer; it may be NULL. */
void tls_peer_free(struct tls_peer **peer);

/* Verifies it again when `now`, which the listener has by now, asks for certificates of other
 * authorities than it was verified by last. NULL: it asks for none. */
void tls_peer_look(struct tls_peer *peer, const struct tls_link *link,
                   const struct tls_server *now);

/* What it says; NULL: none was shown, or none that was verified, still is, and can be read. */
const struct peer_cert *tls_peer_cert(const struct tls_peer *peer);

#endif
