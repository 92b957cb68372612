/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of an API that come in pieces: events for all that follow, and bodies of one call with a
 * length or until the connection ends. The loop's thread.
 */
#ifndef REST_STREAM_H
#define REST_STREAM_H

#include "rest/rest.h"

/* Answers with a stream of events that ends when the client goes: the call is over. */
void rest_follow(struct rest_call *call);
/* Whether anybody follows. */
bool rest_is_followed(const struct rest_server *server);
/* Sends all that follow the same bytes; one that reads too slowly is cut. */
void rest_tell(struct rest_server *server, struct str bytes);
/* Begins an answer whose body, of `len` bytes or until the connection ends (-1), comes in pieces.
 * As of the next two, false: the client is gone. */
bool rest_begin(struct rest_call *call, unsigned status, struct str type, int64_t len);
/* A piece; copied. */
bool rest_send(struct rest_call *call, struct str bytes);
/* More is to be sent only when on_room says so. */
bool rest_is_full(const struct rest_call *call);
/* Ends the call. Not whole: the client sees the connection break. */
void rest_end(struct rest_call *call, bool is_whole);

#endif
