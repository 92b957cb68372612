/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a request is of, when several filters of a route can tell: the first that does. Consumer and
 * tier are one statement: those after it change neither, nor add a tier to another's consumer. A
 * worker's thread.
 */
#ifndef EDGE_FILTER_IDENTITY_H
#define EDGE_FILTER_IDENTITY_H

#include "sluice/filter.h"

/* Says whose the request is, unless a filter before has; both texts are copied, tier may be absent
 * or empty: none. E_NOMEM: nothing is said. */
MUST_USE enum status identity_set(struct visit *visit, struct str consumer, struct str tier);

#endif
