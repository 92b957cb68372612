/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed tokens in compact form (RFC 7515 section 7.1). Read strictly, and verified only with keys
 * that the gateway has: what the header says of keys (jwk, jku, x5c, x5u) is never looked at. Any
 * thread.
 */
#ifndef EDGE_AUTH_JWS_H
#define EDGE_AUTH_JWS_H

#include "base/arena.h"
#include "edge/auth/fault.h"
#include "edge/auth/jose_alg.h"

struct jwk;

enum { JWS_TOKEN_MAX = 16 * 1024 };

struct jws {
    enum jose_alg alg;
    struct str kid;       /* in the arena; absent: none is named */
    struct str input;     /* what was signed: header and payload as they came */
    struct str payload;   /* its bytes, in the arena: not to be believed before jws_verify() */
    struct str signature; /* its bytes, in the arena */
};

/* Decodes the parts of a token and reads its header. */
enum fault jws_read(struct jws *jws, struct str token, struct arena *arena);
/* FAULT_NONE or FAULT_SIGNATURE. The key must fit: see jwk_fits(). */
enum fault jws_verify(const struct jws *jws, const struct jwk *jwk);

#endif
