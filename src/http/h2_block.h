/* SPDX-License-Identifier: Apache-2.0
 *
 * Header blocks of HTTP/2 that come in. Private to src/http.
 */
#ifndef HTTP_H2_BLOCK_H
#define HTTP_H2_BLOCK_H

#include "http/h1_impl.h"

struct h2;
struct h2_half;

/* Fields of a block that is coming in, laid out as HTTP/1.1 would: a later h1_write_*() copies them
 * by the run. */
struct h2_block {
    struct head *head; /* in the stream's arena; NULL: none is expected, or it is over a limit */
    char *at, *end;    /* room in that arena */
    uint32_t bytes;    /* names and values, as RFC 9113 6.5.2 counts them */
    uint32_t skipped;  /* the same of fields that were dropped for a limit */
    struct str method, scheme, path, authority, protocol;
    uint8_t cookies;
    enum reason why;
};

/* Room for a block in the stream's arena. False: it is full. */
bool h2_block_begin(struct h2 *h2, struct h2_half *half);
/* One field. False: the connection must end. */
bool h2_block_add(struct h2 *h2, struct h2_half *half, struct str name, struct str value);
/* Makes a request of it. REASON_NONE, or why it is refused. */
enum reason h2_block_request(struct h2 *h2, struct h2_half *half);
/* Makes a response of it. */
enum reason h2_block_response(struct h2_half *half);

#endif
