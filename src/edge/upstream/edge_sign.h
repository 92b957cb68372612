/* SPDX-License-Identifier: Apache-2.0
 *
 * X-Sluice-Signature: by a key that they share a target knows that a request came through the
 * gateway, from whom, and when. HMAC-SHA-256 over "<seconds>\n<client>\n<METHOD>\n<path>[?query]".
 * Pure.
 */
#ifndef EDGE_UPSTREAM_EDGE_SIGN_H
#define EDGE_UPSTREAM_EDGE_SIGN_H

#include "base/arena.h"
#include "base/mac.h"
#include "sluice/head.h"

extern const struct str edge_sign_field;

/* "t=1795884219,v1=<64 hexadecimal digits>", of the request as it is sent; in the arena. `client`:
 * as the target is told its address. `now_ms`: Unix time. Absent: memory. */
struct str edge_sign(const struct mac *mac, struct arena *arena, const struct head *request,
                     struct str client, uint64_t now_ms);

#endif
