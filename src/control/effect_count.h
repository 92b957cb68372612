/* SPDX-License-Identifier: Apache-2.0
 *
 * A short history of what a service answered: requests, failures and latency by slots of time, so
 * that the time before a change can be compared with the time after it. Pure.
 */
#ifndef CONTROL_EFFECT_COUNT_H
#define CONTROL_EFFECT_COUNT_H

#include <jansson.h>

#include "base/latency.h"

/* Two spans of ten, two slots that lie between them, and what is to be had while they are compared.
 */
enum { EFFECT_SPAN = 10, EFFECT_SLOTS = 2 * EFFECT_SPAN + 6 };

struct effect_sum {
    uint64_t requests, failures, latency[LATENCY_BUCKETS];
};

struct effect_slot {
    int64_t number; /* of the slot since 1970 */
    uint64_t requests, failures;
    uint32_t latency[LATENCY_BUCKETS];
};

struct effect_ring {
    struct effect_slot slots[EFFECT_SLOTS]; /* by number modulo their count */
};

/* What an edge had counted of one release. Begins as {0}. */
struct effect_seen {
    struct effect_sum sum;
};

/* Adds what is new since the last time in {"requests", "failures", "latency": [[bucket, count]]} to
 * a slot; with `ring` NULL it is only seen. What has become less has begun anew. */
void effect_take(struct effect_seen *seen, const json_t *told, struct effect_ring *ring,
                 int64_t number);

/* The sum of EFFECT_SPAN slots, from `first` on. */
void effect_sum(const struct effect_ring *ring, int64_t first, struct effect_sum *sum);

/* {"requests", "failures", "p50_us", "p95_us"}; the last two are of those that did not fail,
 * as the upper end of their bucket, and left out when there are none. NULL: no memory. */
json_t *effect_json(const struct effect_sum *sum);

#endif
