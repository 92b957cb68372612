/* SPDX-License-Identifier: Apache-2.0
 *
 * Roots to trust, read from a bundle in PEM. Blocking; builder thread.
 */
#ifndef EDGE_TLS_TLS_TRUST_H
#define EDGE_TLS_TLS_TRUST_H

#include "tls/certificate.h"

enum { TLS_TRUST_DIGEST = 32 };

/* What to fill; members may be NULL. */
struct tls_trust {
    X509_STORE *store;                      /* gets the certificates */
    STACK_OF(X509_NAME) * names;            /* gets their subjects, for the request to clients */
    unsigned char digest[TLS_TRUST_DIGEST]; /* of the file's text */
};

/* False: `error` says why. At least one certificate must be there. */
bool tls_trust_load(struct tls_trust *trust, const char *path, struct certificate_error *error);

/* The machine's own roots. Reading them takes 40 ms and a megabyte, so that clients share them. The
 * caller's reference; NULL: memory. */
X509_STORE *tls_trust_system(void);
/* Whether `ca` of a service means those. */
bool tls_trust_is_system(struct str ca);

#endif
