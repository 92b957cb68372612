/* SPDX-License-Identifier: Apache-2.0
 *
 * Private keys on P-256: of accounts and of certificates. Called by the other parts of ACME; a key
 * has one owner, who frees it. Control's one thread.
 */
#ifndef CONTROL_ACME_KEY_H
#define CONTROL_ACME_KEY_H

#include "base/arena.h"

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* A new key; NULL: no memory, or no randomness. */
struct evp_pkey_st *acme_key_new(void);
/* From PEM (PKCS #8); NULL when it is no private key on P-256. */
struct evp_pkey_st *acme_key_read(struct str pem);
/* As PEM (PKCS #8), in `arena`; absent: no memory. */
struct str acme_key_pem(const struct evp_pkey_st *key, struct arena *arena);
/* Frees *key, which may be NULL, and clears it. */
void acme_key_free(struct evp_pkey_st **key);

#endif
