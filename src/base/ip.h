/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses of both families in one form: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC
 * 4291 2.5.5.2). Pure; any thread.
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "sluice/types.h"

struct sockaddr;

enum { IP_LEN = 16, IP_TEXT_MAX = 46 /* with the NUL */ };

/* "192.0.2.1", "2001:db8::1"; no brackets, no zone. False: it is none, `ip` is undefined. */
bool ip_parse(struct str text, uint8_t ip[IP_LEN]);
/* False: of another family, `ip` is zeros. */
bool ip_of(const struct sockaddr *address, uint8_t ip[IP_LEN]);
/* Its usual text (RFC 5952), with a NUL; an IPv4 address as such. Returns the length. */
size_t ip_print(const uint8_t ip[IP_LEN], char text[IP_TEXT_MAX]);
bool ip_is_v4(const uint8_t ip[IP_LEN]);
/* Zeros: not known. */
bool ip_is_none(const uint8_t ip[IP_LEN]);
/* Of what counts as one client: the whole IPv4 address, an IPv6 /64. 0 for none. */
uint64_t ip_hash(const uint8_t ip[IP_LEN]);

#endif
