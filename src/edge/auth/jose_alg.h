/* SPDX-License-Identifier: Apache-2.0
 *
 * The signature algorithms there are (RFC 7518 section 3.1, RFC 8037 section 3.1). "none" is not
 * among them, so nothing can choose it. Immutable tables; any thread.
 */
#ifndef EDGE_AUTH_JOSE_ALG_H
#define EDGE_AUTH_JOSE_ALG_H

#include "sluice/types.h"

struct evp_md_st; /* OpenSSL's EVP_MD */

enum jose_alg {
    JOSE_HS256,
    JOSE_HS384,
    JOSE_HS512,
    JOSE_RS256,
    JOSE_RS384,
    JOSE_RS512,
    JOSE_PS256,
    JOSE_PS384,
    JOSE_PS512,
    JOSE_ES256,
    JOSE_ES384,
    JOSE_ES512,
    JOSE_EDDSA,
    JOSE_ALG_COUNT
};

/* A key belongs to one family, an algorithm takes keys of one: they cannot be mixed up. */
enum jose_family { JOSE_OCT, JOSE_RSA, JOSE_EC, JOSE_OKP };

struct jose_alg_info {
    const char *name;
    enum jose_family family;
    bool is_pss;                             /* RSASSA-PSS, MGF1 with the same hash */
    uint8_t half;                            /* EC: bytes of a coordinate, and of r and s */
    uint8_t hash;                            /* bytes of the hash; 0 for EdDSA */
    const struct evp_md_st *(*digest)(void); /* NULL for EdDSA */
};

/* By its exact name; JOSE_ALG_COUNT when there is none. */
enum jose_alg jose_alg_find(struct str name);
/* What `alg` is; alg < JOSE_ALG_COUNT. */
const struct jose_alg_info *jose_alg_info(enum jose_alg alg);

#endif
