/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake of RFC 6455 where one side speaks it and the other RFC 8441, which has none: keys
 * made and answered by the gateway. Pure but for the key's randomness; any thread.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "sluice/types.h"

enum { WEBSOCKET_KEY_SIZE = 25, WEBSOCKET_ACCEPT_SIZE = 29 }; /* with NUL */

/* A fresh Sec-WebSocket-Key (section 4.1). False: no randomness. */
bool websocket_key(char key[WEBSOCKET_KEY_SIZE]);
/* The Sec-WebSocket-Accept that answers `key` (section 4.2.2). False: not a key, or no memory. */
bool websocket_accept(struct str key, char accept[WEBSOCKET_ACCEPT_SIZE]);

#endif
