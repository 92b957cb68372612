/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by conn.c and conn_tls.c, and by nothing else.
 */
#ifndef EDGE_CONN_IMPL_H
#define EDGE_CONN_IMPL_H

#include "edge/conn.h"

/* Bytes for the codec. */
void conn_take_input(struct conn *conn, struct str in);
/* The other end said that nothing follows (UV_EOF), or reading failed with this libuv error. */
void conn_take_end(struct conn *conn, ssize_t error);
/* Writes the alert that TLS left, if the socket takes it now: the connection is about to close. */
void conn_try_alert(struct conn *conn);
/* Ciphertext from the socket, all of it: nothing stays but in the handshake. */
void conn_take_cipher(struct conn *conn, struct str in);

#endif
