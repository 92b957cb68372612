/* SPDX-License-Identifier: Apache-2.0
 *
 * The load of services at all edges: each is asked once a second for its counters, and what they
 * say is summed. An edge that was not heard makes a sample partial, unless it was given up.
 * Control's one thread.
 */
#ifndef CONTROL_SCALE_METER_H
#define CONTROL_SCALE_METER_H

#include "control/edges.h"
#include "control/scale/load.h"

struct meter; /* private */

/* `edges` is borrowed and outlives it. NULL: no memory. */
struct meter *meter_new(struct edges *edges);
/* Whether the round that runs is over, at a monotonic time: meter_sample() is of it then. */
bool meter_is_over(struct meter *meter, int64_t now_ms);
/* Of a service in this round, at this Unix time. */
struct scale_sample meter_sample(const struct meter *meter, const char *service, double now_s);
/* Begins the next one. */
void meter_begin(struct meter *meter, int64_t now_ms);
void meter_free(struct meter **meter);

#endif
