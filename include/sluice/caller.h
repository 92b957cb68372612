/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: the one client address that limits, logs and targets go by, and what it asked for as
 * its first hop saw it. Decided once a request, see edge/trust.h. Immutable; lives as long as what
 * holds it: the connection, or the exchange's arena.
 */
#ifndef SLUICE_CALLER_H
#define SLUICE_CALLER_H

#include "sluice/types.h"

struct caller {
    struct str text;   /* its address; "unix:" for a unix socket */
    uint8_t ip[16];    /* network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2); zeros: none */
    struct str scheme; /* "http" or "https" */
    struct str host;   /* that the client asked for; absent: the request's authority */
    uint64_t hash;     /* of what counts as one client: an IPv4 address, an IPv6 /64; 0: none */
    bool is_told;      /* fields of the request said it, whose word is believed */
};

#endif
