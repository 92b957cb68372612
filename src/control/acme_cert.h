/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates as ACME sees them: the request for one (PKCS #10, RFC 8555 section 7.4), and what
 * must hold of the chain that comes back before anybody serves it. Pure; control's one thread.
 */
#ifndef CONTROL_ACME_CERT_H
#define CONTROL_ACME_CERT_H

#include "base/arena.h"

struct evp_pkey_st;

enum { ACME_CERT_FINGERPRINT = 64 };

struct acme_names {
    const struct str *items; /* lower case, no wildcards */
    uint32_t count;
};

struct acme_cert {
    int64_t not_before_ms, not_after_ms;         /* Unix */
    char fingerprint[ACME_CERT_FINGERPRINT + 1]; /* SHA-256 of the leaf, lower-case hex */
    struct str renewal_id; /* RFC 9773 section 4.1; absent: the leaf has no key identifier */
    struct str error;      /* a sentence without full stop */
};

/* The request as DER, in `arena`; absent: no memory. */
struct str acme_cert_request(struct arena *arena, struct evp_pkey_st *key,
                             const struct acme_names *names);

/* Reads a chain in PEM, the leaf first, and checks that it is for `key` and every one of `names`,
 * and that each certificate is issued by the next. E_INVALID: `cert->error` says why. What `cert`
 * points at lives in `arena`. */
MUST_USE enum status acme_cert_read(struct arena *arena, struct str chain,
                                    const struct evp_pkey_st *key, const struct acme_names *names,
                                    struct acme_cert *cert);

#endif
