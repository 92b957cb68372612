/* SPDX-License-Identifier: Apache-2.0
 *
 * What a route asks of a request beside host and path: method, header fields, query. Private to
 * this folder; pure, no allocation.
 */
#ifndef EDGE_ROUTE_CONDITION_H
#define EDGE_ROUTE_CONDITION_H

#include "config/conf.h"
#include "sluice/head.h"

/* How many conditions: one for `methods`, one for each header and query pair. */
uint32_t route_condition_count(const struct conf_route *route);
/* Whether two routes have the same conditions, in any order. */
bool route_condition_equal(const struct conf_route *a, const struct conf_route *b);

/* Case counts (RFC 9110 section 9.1); HEAD fits where GET is listed. */
bool route_condition_method(const struct conf_route *route, struct str method);
/* The first pair that does not fit, NULL when all fit. Of a field or parameter that stands twice,
 * one must fit. */
const struct conf_pair *route_condition_header(const struct conf_route *route,
                                               const struct head *request);
const struct conf_pair *route_condition_query(const struct conf_route *route,
                                              const struct head *request);

/* Whether two texts are the same bytes; absent and empty are equal. */
bool route_str_equal(struct str a, struct str b);

#endif
