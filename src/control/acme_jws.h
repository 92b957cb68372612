/* SPDX-License-Identifier: Apache-2.0
 *
 * What ACME signs (RFC 8555 section 6.2): base64url without padding (RFC 4648 section 5), the
 * thumbprint of a key (RFC 7638), and a request as a flattened JWS with ES256 (RFC 7515, RFC 7518
 * section 3.4). Pure but for the randomness in a signature; results live in the arena, and are
 * absent when memory ended or OpenSSL refused. Control's one thread.
 */
#ifndef CONTROL_ACME_JWS_H
#define CONTROL_ACME_JWS_H

#include "base/arena.h"

struct evp_pkey_st;

struct acme_jws {
    struct str url;   /* exactly as requested */
    struct str nonce; /* of an earlier reply */
    struct str kid;   /* URL of the account; absent: the key itself is shown instead */
};

struct str acme_jws_base64(struct arena *arena, struct str bytes);
/* Of the public half, as base64url of SHA-256. */
struct str acme_jws_thumbprint(struct arena *arena, const struct evp_pkey_st *key);
/* The JSON of a request. `payload` empty: a POST-as-GET (RFC 8555 section 6.3). */
struct str acme_jws_sign(struct arena *arena, struct evp_pkey_st *key, const struct acme_jws *jws,
                         struct str payload);

#endif
