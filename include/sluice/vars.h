/* SPDX-License-Identifier: Apache-2.0
 *
 * What filters know of a request beside its message. Texts stand in the exchange's arena. One
 * thread.
 */
#ifndef SLUICE_VARS_H
#define SLUICE_VARS_H

#include "sluice/types.h"

/* What filters tell those after them of a request; absent until one has. */
struct vars {
    struct str consumer; /* who it is: of a key, a token, a password, a certificate, a signature */
    struct str tier;     /* of the consumer, by the same word: see edge/filter/identity.h */
    struct str claims;   /* the payload of a verified token, JSON */
    struct str country;  /* of the address, ISO 3166-1 alpha-2, or "unknown" */
    uint32_t asn;        /* of the address */
};

#endif
