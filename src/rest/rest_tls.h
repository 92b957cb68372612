/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS on one connection of the API server, without any I/O: ciphertext goes in and out by memory.
 * Called by conn_tls.c. The loop's thread.
 */
#ifndef REST_REST_TLS_H
#define REST_REST_TLS_H

#include <sys/types.h>

#include "base/buf.h"
#include "rest/rest_cert.h"

struct rest_tls; /* private */

/* A server's end that shows what `cert` holds now. NULL: memory, or there is none to show. */
struct rest_tls *rest_tls_new(const struct rest_cert *cert);
void rest_tls_free(struct rest_tls **tls);

/* Ciphertext that came; copied. E_INVALID: more than a peer may send ahead; E_NOMEM. */
MUST_USE enum status rest_tls_feed(struct rest_tls *tls, struct str bytes);
/* Goes on with the handshake. OK: it is over; E_AGAIN: more must come; E_PROTOCOL: it failed, and
 * an alert may wait. */
MUST_USE enum status rest_tls_shake(struct rest_tls *tls);
/* Decrypts at most `size` bytes; 0: nothing more without more input; -1: a broken record. */
ssize_t rest_tls_read(struct rest_tls *tls, char *to, size_t size);
/* The peer said close_notify (RFC 8446 6.1). */
bool rest_tls_got_bye(const struct rest_tls *tls);
/* Encrypts all of it. */
MUST_USE enum status rest_tls_write(struct rest_tls *tls, struct str bytes);
/* Says close_notify, once, if the handshake is over. */
void rest_tls_bye(struct rest_tls *tls);

/* Bytes of ciphertext that wait to be written. */
size_t rest_tls_pending(const struct rest_tls *tls);
/* Appends them to a buffer. */
MUST_USE enum status rest_tls_take(struct rest_tls *tls, struct buf *to, struct slab *slab);

#endif
