/* SPDX-License-Identifier: Apache-2.0
 *
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2), read strictly: one text for
 * each run of bytes, so that no token has a second spelling. Pure; any thread.
 */
#ifndef EDGE_AUTH_JOSE_BASE64_H
#define EDGE_AUTH_JOSE_BASE64_H

#include "base/arena.h"

/* Bytes that `text` stands for, in `arena` and terminated by a NUL that is not counted. E_INVALID
 * for padding, white space, other alphabets, a length that cannot be and bits left over. */
MUST_USE enum status jose_base64_read(struct str text, struct arena *arena, struct str *bytes);

/* The same into `out`, which has room for `size`; how many bytes, -1 when it is not valid or does
 * not fit. */
int jose_base64_decode(struct str text, uint8_t *out, size_t size);

/* Writes (4 * bytes.len + 2) / 3 digits at `out`, not terminated; the new end. */
char *jose_base64_encode(char *out, struct str bytes);

#endif
