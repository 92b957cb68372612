/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks (RFC 4632, RFC 4291 2.3): an address and how many of its bits count. Pure; any thread.
 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include "base/ip.h"

struct cidr {
    uint8_t ip[IP_LEN]; /* bits past `bits` are zero */
    uint8_t bits;       /* of 128: an IPv4 /8 has 104 */
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. False: it is none, or bits past the prefix are
 * set, which is a slip of the writer's. */
bool cidr_parse(struct str text, struct cidr *cidr);
bool cidr_has(const struct cidr *cidr, const uint8_t ip[IP_LEN]);
/* Whether one of `count` has it; a walk. */
bool cidr_list_has(const struct cidr *list, size_t count, const uint8_t ip[IP_LEN]);

#endif
