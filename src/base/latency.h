/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets of latency, log-linear: eight to an octave, so that an edge lies within 12.5 % of any
 * time (the layout of HdrHistogram, http://hdrhistogram.org). Both the edge that counts and control
 * that compares use them. Pure.
 */
#ifndef BASE_LATENCY_H
#define BASE_LATENCY_H

#include "sluice/types.h"

enum {
    LATENCY_SUB_BITS = 3, /* eight to an octave */
    LATENCY_BITS = 27,    /* times of 2^27 us, 134 s, and longer are in the last bucket */
    LATENCY_BUCKETS = ((LATENCY_BITS - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS) + 1,
};

/* Of a time in microseconds. */
static inline unsigned latency_bucket(uint64_t us)
{
    unsigned octave;

    if (us < UINT64_C(1) << LATENCY_SUB_BITS)
        return (unsigned)us;
    if (us >> LATENCY_BITS)
        return LATENCY_BUCKETS - 1;
    octave = 63 - (unsigned)__builtin_clzll(us) - LATENCY_SUB_BITS;
    return (octave << LATENCY_SUB_BITS) + (unsigned)(us >> octave);
}

/* The least time in a bucket, in microseconds. */
static inline uint64_t latency_least_us(unsigned bucket)
{
    unsigned octave = bucket >> LATENCY_SUB_BITS;
    uint64_t sub = bucket & ((1U << LATENCY_SUB_BITS) - 1);

    if (!octave)
        return sub;
    return (sub + (UINT64_C(1) << LATENCY_SUB_BITS)) << (octave - 1);
}

#endif
