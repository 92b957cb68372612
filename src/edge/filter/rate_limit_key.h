/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bucket a request draws on, and whether on any. For rate_limit.c alone. Worker's thread.
 */
#ifndef EDGE_FILTER_RATE_LIMIT_KEY_H
#define EDGE_FILTER_RATE_LIMIT_KEY_H

#include "edge/filter/rate_limit_conf.h"
#include "edge/limit/limiter.h"
#include "edge/limit/shared.h"

/* False: it has no address to go by. */
bool rate_limit_key(const struct visit *visit, const struct limit *limit, struct limiter_key *key);
/* The same bucket as all gateways call it; for one that has a key. */
struct shared_name rate_limit_shared_name(const struct visit *visit, const struct limit *limit);
/* The bucket of what is given back or not counted, beside the one of that key. */
struct limiter_key rate_limit_grace_key(const struct limiter *limiter, struct limiter_key key);
/* Whether the request is not limited at all. */
bool rate_limit_is_exempt(const struct visit *visit, const struct exempt *exempt);
/* Whether the answer is one that a page loads many of and that is asked for rarely: not modified,
 * or to be kept for an hour or more (RFC 9111 5.2.2.1, 5.2.2.9; RFC 8246). */
bool rate_limit_is_asset(const struct head *request, const struct head *response);

#endif
