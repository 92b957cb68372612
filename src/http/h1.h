/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 (RFC 9112) for both roles, as a codec (sluice/codec.h), and its pure parts for tests,
 * fuzzers and the admin API. Strict: what RFC 9112 lets a recipient refuse is refused. One thread.
 */
#ifndef HTTP_H1_H
#define HTTP_H1_H

#include "sluice/codec.h"

/* Length of the head block at the start of `in`, with its closing empty line; 0 when it is not
 * whole yet. `scanned` carries over what was already looked at, 0 at first. A bare LF counts as a
 * line end here so that a malformed head is found, and refused, at once. */
size_t h1_head_length(struct str in, size_t *scanned);

/* Parses a whole head block (h1_head_length bytes, living in `arena`), checks syntax, framing, and
 * for requests Host and target. REASON_NONE when it is valid; otherwise `head` holds what was
 * understood. */
enum reason h1_parse_request(struct str block, const struct wire_limits *limits,
                             struct arena *arena, struct head *head);
/* The same for a response head; errors are HTTP_PROTOCOL_ERROR or HTTP_RESPONSE_HEADER_SIZE. */
enum reason h1_parse_response(struct str block, const struct wire_limits *limits,
                              struct arena *arena, struct head *head);

/* Chunked decoding (RFC 9112 section 7.1), restartable at any byte. */
struct chunked {
    uint64_t left;     /* bytes of data left in the current chunk */
    uint32_t overhead; /* bytes of extensions seen in this body: bounded */
    uint8_t state;     /* private */
    uint8_t digits;
    uint16_t line; /* bytes of extensions on this chunk's line: bounded */
};

enum chunk_event { CHUNK_MORE, CHUNK_DATA, CHUNK_TRAILERS, CHUNK_BAD };

/* Eats from the front of *in up to the next event: CHUNK_DATA sets *data; CHUNK_TRAILERS: the last
 * chunk is over and *in begins with the trailer section (at least its empty line). */
enum chunk_event chunked_next(struct chunked *chunked, struct str *in, struct str *data);

#endif
