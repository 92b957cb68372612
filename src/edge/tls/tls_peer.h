/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of the other end, read once a connection when a filter first asks. One thread.
 */
#ifndef EDGE_TLS_TLS_PEER_H
#define EDGE_TLS_TLS_PEER_H

#include "edge/tls/tls_link.h"
#include "sluice/peer_cert.h"

struct tls_peer;

/* Reads it, also when there is none. NULL: memory. */
struct tls_peer *tls_peer_new(const struct tls_link *link);
/* Clears the pointer; it may be NULL. */
void tls_peer_free(struct tls_peer **peer);

/* What it says; NULL: none was shown, or none that was verified or can be read. */
const struct peer_cert *tls_peer_cert(const struct tls_peer *peer);

#endif
