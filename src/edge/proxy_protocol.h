/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of the PROXY protocol (haproxy.org, "The PROXY protocol", versions 1 and 2), by which
 * a proxy that passes bytes on says who sent them. Pure; any thread.
 */
#ifndef EDGE_PROXY_PROTOCOL_H
#define EDGE_PROXY_PROTOCOL_H

#include "base/ip.h"

enum {
    PROXY_V1 = 1 << 0,
    PROXY_V2 = 1 << 1,
    PROXY_V1_MAX = 107,  /* bytes, with CR LF (2.1) */
    PROXY_V2_MAX = 4096, /* bytes with what may follow the addresses, which is read over */
};

struct proxy_header {
    uint8_t ip[IP_LEN]; /* of the client */
    bool is_local; /* the proxy speaks for itself, or does not know: its own address holds (2.2) */
};

/* Reads the header that `in`, all that came so far, begins with; `versions` are those allowed. OK:
 * *used bytes are it. E_AGAIN: it may become one. E_PROTOCOL: it is none. */
MUST_USE enum status proxy_header_read(struct str in, unsigned versions,
                                       struct proxy_header *header, size_t *used);

#endif
