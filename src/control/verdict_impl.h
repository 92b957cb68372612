/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verdict's two halves share: verdict.c takes what was counted, verdict_look.c reads it.
 */
#ifndef CONTROL_VERDICT_IMPL_H
#define CONTROL_VERDICT_IMPL_H

#include "control/verdict.h"

/* How many requests are in a bucket or above. */
struct verdict_tails {
    double at[LATENCY_BUCKETS + 1];
};

void verdict_sum_tails(struct verdict_tails *tails, const double latency[LATENCY_BUCKETS]);
/* The bucket next above a quantile; LATENCY_BUCKETS: nothing is known. */
unsigned verdict_bucket_above(const struct verdict_tails *tails, double quantile);

#endif
