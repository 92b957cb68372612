/* SPDX-License-Identifier: Apache-2.0
 *
 * Content-Digest (RFC 9530 section 2) with SHA-256 and SHA-512; digests of other algorithms are
 * passed over. Pure; any thread.
 */
#ifndef EDGE_AUTH_CONTENT_DIGEST_H
#define EDGE_AUTH_CONTENT_DIGEST_H

#include "sluice/types.h"

struct content_digest {
    bool has_256, has_512;
    uint8_t sha256[32], sha512[64];
};

/* From the field's value. False: it is malformed, names an algorithm twice, or has neither of the
 * two. */
bool content_digest_read(struct str value, struct content_digest *digest);
/* Whether all that it has are of this content. */
bool content_digest_is(const struct content_digest *digest, struct str content);

#endif
