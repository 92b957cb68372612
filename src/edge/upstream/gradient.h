/* SPDX-License-Identifier: Apache-2.0
 *
 * How many requests at once a service bears, learned from its latency: Gradient2 of Netflix's
 * concurrency-limits (https://github.com/Netflix/concurrency-limits, Gradient2Limit.java). Latency
 * above its long-term mean is a queue that we fill: the limit falls by their ratio; otherwise it
 * grows by its square root. Unlike there, latency that our own requests make is learned ten times
 * slower: else a long overload would become the norm, and the limit would double every few minutes.
 * Pure; one thread.
 */
#ifndef EDGE_UPSTREAM_GRADIENT_H
#define EDGE_UPSTREAM_GRADIENT_H

#include "sluice/types.h"

enum { GRADIENT_START = 20 }; /* the first limit, within min and max */

struct gradient_rule {
    uint32_t min, max;              /* of the limit; min of 0 counts as 1, max below min as min */
    uint32_t tolerance_thousandths; /* times the mean that latency may rise; below 1000 as 1000 */
};

/* What came in one span of time; spans are of about equal length, some 100 ms or more. */
struct gradient_sample {
    uint64_t answers;
    uint64_t latency_us_sum; /* over the answers */
    uint32_t in_flight_max;
};

struct gradient {
    double limit;
    double long_us;   /* the long-term mean of latency */
    double recent_us; /* the mean over some ten samples */
    uint32_t samples; /* learned from, up to those of the warm-up */
};

/* GRADIENT_START, or what the rule makes of it; nothing is learned yet. */
void gradient_init(struct gradient *gradient, const struct gradient_rule *rule);

/* Learns from a sample; the new limit, at least 1. A sample without answers changes nothing. With
 * fewer requests in flight than half the limit the limit stays: what was not tried is not known. */
uint32_t gradient_next(struct gradient *gradient, const struct gradient_rule *rule,
                       const struct gradient_sample *sample);

#endif
