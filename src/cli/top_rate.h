/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts that only grow, at two times: what was added, and how the added latencies lie. Pure.
 */
#ifndef CLI_TOP_RATE_H
#define CLI_TOP_RATE_H

#include <jansson.h>

#include "sluice/types.h"

enum { TOP_BUCKETS = 256 };

/* What was added to a count. One that went back began anew from zero. */
double top_rate_added(json_int_t now, json_int_t before);

/* How many there were in each bucket. */
struct top_latency {
    double counts[TOP_BUCKETS];
    double sum;
};

/* Adds what came to pairs of [bucket, count] since they were `before` (NULL: nothing was). */
void top_rate_latency(struct top_latency *latency, const json_t *now, const json_t *before);

/* A quantile in milliseconds, even within its bucket; `edges_us` are the upper edges of all buckets
 * but the last, whose lower edge stands for it. NAN: there are none. */
double top_rate_quantile(const struct top_latency *latency, const json_t *edges_us,
                         double quantile);

#endif
