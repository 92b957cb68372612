/* SPDX-License-Identifier: Apache-2.0
 *
 * What the certificate says that a client showed on its own TLS connection, and that was verified
 * against the listener's authorities. What proxies say of a certificate is nothing to this.
 * Immutable; lives as long as the connection.
 */
#ifndef SLUICE_PEER_CERT_H
#define SLUICE_PEER_CERT_H

#include "sluice/types.h"

enum { PEER_CERT_PRINT = 32 };

/* Kinds of names. */
enum peer_name { PEER_CN, PEER_DNS, PEER_URI, PEER_EMAIL, PEER_NAME_COUNT };

struct peer_names {
    struct str *items; /* printable, never empty */
    uint32_t count;
};

struct peer_cert {
    /* PEER_CN: of the subject, and none when it has several; the others are of subjectAltName
     * (RFC 5280 4.2.1.6): dNSName in lower case, uniformResourceIdentifier, rfc822Name. */
    struct peer_names names[PEER_NAME_COUNT];
    uint8_t print[PEER_CERT_PRINT]; /* SHA-256 of it all, in DER */
    uint64_t not_after_ms;          /* Unix time at which it ends */
};

#endif
