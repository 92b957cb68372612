/* SPDX-License-Identifier: Apache-2.0
 *
 * A key that verifies signatures: from a JWK (RFC 7517, 7518 section 6, 8037 section 2), from PEM,
 * or a shared secret. A key knows its family and, where there is only one, its algorithm; what it
 * may not be used for it refuses. Immutable after it was read; any thread.
 */
#ifndef EDGE_AUTH_JWK_H
#define EDGE_AUTH_JWK_H

#include "base/arena.h"
#include "edge/auth/jose_alg.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */
struct json_t;

enum { JWK_RSA_BITS_MIN = 2048, JWK_RSA_BITS_MAX = 8192, JWK_SECRET_MAX = 4096 };

struct jwk {
    enum jose_family family;
    enum jose_alg alg; /* the only one it is for; JOSE_ALG_COUNT: any of its family */
    struct str kid;    /* absent: it has no name */
    struct str secret; /* JOSE_OCT alone, in the arena */
    struct evp_pkey_st *public;
};

/* Fills *jwk; what it refuses leaves nothing to free, and `why` says it for a person (static text).
 * E_INVALID: not a key, or not one for verifying. E_NOMEM. */
MUST_USE enum status jwk_read(struct jwk *jwk, const struct json_t *json, struct arena *arena,
                              const char **why);
/* A public key or a certificate in PEM; a private key is refused, it has no business here. */
MUST_USE enum status jwk_read_pem(struct jwk *jwk, struct str pem, const char **why);
/* A shared secret, at least 32 bytes (RFC 7518 section 3.2); `secret` is copied. */
MUST_USE enum status jwk_read_secret(struct jwk *jwk, struct str secret, struct arena *arena,
                                     const char **why);
/* Gives back what is outside the arena, and wipes the secret. */
void jwk_fini(struct jwk *jwk);

/* Whether it may verify with `alg`. */
bool jwk_fits(const struct jwk *jwk, enum jose_alg alg);

#endif
