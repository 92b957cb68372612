/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks all edges for their counters at the end of each slot of time, and keeps a short history of
 * each service. Called by effect.c. Control's one thread.
 */
#ifndef CONTROL_EFFECT_POLL_H
#define CONTROL_EFFECT_POLL_H

#include <jansson.h>

#include "control/edges.h"

struct effect_poll; /* private */

/* So that the times before and after a change are `span_ms` long. NULL: no memory. */
struct effect_poll *effect_poll_new(struct edges *edges, uint32_t span_ms);
void effect_poll_tick(struct effect_poll *poll);
/* Whether all is counted that is compared for a change at a time, Unix. */
bool effect_poll_is_over(const struct effect_poll *poll, int64_t time_ms);
/* {"known": true, "over_ms", "before", "after"}, the last two of effect_json(), with "partial":
 * true when an edge did not answer meanwhile; or {"known": false, "why"}. NULL: no memory. */
json_t *effect_poll_compare(const struct effect_poll *poll, const char *service, int64_t time_ms);
/* Ends its calls. */
void effect_poll_free(struct effect_poll **poll);

#endif
