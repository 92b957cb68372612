/* SPDX-License-Identifier: Apache-2.0
 *
 * Errands (sluice/errand.h) as the worker sees them.
 */
#ifndef EDGE_ERRAND_H
#define EDGE_ERRAND_H

#include "edge/exchange_host.h"
#include "sluice/errand.h"

/* The worker ends: breaks off all there are; nobody is told. */
void errand_cancel_all(struct exchange_host *host);

#endif
