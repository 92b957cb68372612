/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of keys (RFC 7517 section 5) and what of a token it can verify. Immutable after it was
 * read; any thread.
 */
#ifndef EDGE_AUTH_JWKS_H
#define EDGE_AUTH_JWKS_H

#include "edge/auth/fault.h"
#include "edge/auth/jwk.h"
#include "edge/auth/jws.h"

enum { JWKS_TEXT_MAX = 256 * 1024, JWKS_KEYS_MAX = 100, JWKS_TRIES_MAX = 4 };

struct jwks {
    struct arena arena; /* of all that is in it */
    struct jwk *keys;
    uint32_t count;
    uint64_t serial;  /* tells one set of a source from another */
    uint32_t skipped; /* keys of the text that are not for verifying signatures */
};

/* A set from its JSON; keys that cannot be used are skipped (RFC 7517 section 5). NULL, and *why
 * says it: not a set, or no key in it can be used. Freed with jwks_free(). */
struct jwks *jwks_read(struct str text, const char **why);
/* A set of one key. */
struct jwks *jwks_read_pem(struct str pem, const char **why);
struct jwks *jwks_read_secret(struct str secret, const char **why);
/* NULL is allowed. */
void jwks_free(struct jwks *jwks);

/* Verifies with the keys that the token's kid and alg allow: those of that name or without one, at
 * most JWKS_TRIES_MAX. FAULT_KEY: none fits. FAULT_SIGNATURE. */
enum fault jwks_verify(const struct jwks *jwks, const struct jws *jws);

#endif
