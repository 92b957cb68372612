/* SPDX-License-Identifier: Apache-2.0
 *
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4) under a key that is prepared once: both of its blocks are
 * hashed already, so that a short message costs two blocks and no look-up of algorithms. Immutable;
 * any thread.
 */
#ifndef BASE_MAC_H
#define BASE_MAC_H

#include "sluice/types.h"

enum { MAC_SIZE = 32 };

struct mac;

/* The key may go afterwards. NULL: memory. */
struct mac *mac_new(struct str key);
/* Clears the pointer; it may be NULL. */
void mac_free(struct mac **mac);

/* Of the parts one behind the other. False: memory; `sum` is not set. */
bool mac_sum(const struct mac *mac, const struct str *parts, size_t count, uint8_t sum[MAC_SIZE]);
/* Whether two sums are one, in a time that does not tell where they differ. */
bool mac_same(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE]);

#endif
