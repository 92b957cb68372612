/* SPDX-License-Identifier: Apache-2.0
 *
 * A JWT from its text to what it says (RFC 7519 section 7.2): read, verified, its claims checked,
 * in that order, so that nothing of an unsigned payload is looked at. Any thread.
 */
#ifndef EDGE_AUTH_JWT_H
#define EDGE_AUTH_JWT_H

#include "base/arena.h"
#include "edge/auth/claims.h"
#include "edge/auth/jose_alg.h"

struct jwks;

/* A claim that the target gets as a field. */
struct jwt_forward {
    struct str claim;  /* terminated; as in claims_need */
    struct str header; /* its name */
};

struct jwt_rules {
    uint32_t algs; /* 1 << enum jose_alg of those allowed */
    struct claims_rules claims;
    const struct jwt_forward *forwards;
    uint32_t forward_count;
};

/* What a good token says, in the arena. */
struct jwt {
    struct str claims;   /* the payload, JSON */
    struct str subject;  /* absent: it names none */
    struct str *forward; /* a value for each forward; absent where the token has no such claim */
    struct str failed;   /* of one that is not good: see claims_failed() */
    uint64_t ends_ms;    /* Unix time after which it is not good; UINT64_MAX: never */
};

/* Every algorithm there is, for `algs`. */
#define JWT_ALGS_ALL ((1U << JOSE_ALG_COUNT) - 1)

/* What is asked: is this token good, by these keys and rules, at this Unix time? */
struct jwt_ask {
    struct str token;
    const struct jwks *jwks;
    const struct jwt_rules *rules;
    uint64_t now_ms;
};

/* *jwt is filled only when FAULT_NONE, but for `failed`. */
enum fault jwt_read(struct jwt *jwt, const struct jwt_ask *ask, struct arena *arena);

#endif
