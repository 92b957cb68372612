/* SPDX-License-Identifier: Apache-2.0
 *
 * The generic cell rate algorithm: a token bucket in one number, the theoretical arrival time (TAT)
 * at which it would be full again. The bucket holds `burst` tokens and gets one each interval; what
 * is spent moves the TAT on by an interval a token. A TAT that is not after now is a full bucket,
 * so 0 is one that nobody has used. Nanoseconds of a monotonic clock. Pure; any thread.
 */
#ifndef EDGE_LIMIT_GCRA_H
#define EDGE_LIMIT_GCRA_H

#include "sluice/types.h"

/* A token that will never be there; and the longest time in which a bucket may fill: 400 days. */
#define GCRA_NEVER UINT64_MAX
#define GCRA_SPAN_MAX_NS (UINT64_C(400) * 86400 * 1000000000)

struct gcra_rate {
    uint64_t burst;       /* tokens */
    uint64_t interval_ns; /* between two of them, rounded up: never more than what was asked for */
    uint64_t span_ns;     /* in which an empty bucket is full: burst * interval_ns */
};

struct gcra_answer {
    bool passes;
    uint64_t tat_ns;    /* to keep if it passes; else where it stands, at most a span from now */
    uint64_t remaining; /* whole tokens left */
    uint64_t reset_ns;  /* until the bucket is full */
    uint64_t retry_ns;  /* until the same ask would pass if nobody else asks: 0 when it passes,
                         * GCRA_NEVER when the bucket cannot hold so much */
};

/* `count` tokens each period and `burst` at once. E_INVALID: one is 0, or it would take longer than
 * GCRA_SPAN_MAX_NS to fill. */
MUST_USE enum status gcra_rate_init(struct gcra_rate *rate, uint64_t count, uint64_t period_ms,
                                    uint64_t burst);
/* May `cost` tokens be taken? Asks of cost 0 always pass and say how things stand. */
struct gcra_answer gcra_ask(const struct gcra_rate *rate, uint64_t tat_ns, uint64_t now_ns,
                            uint64_t cost);
/* Makes an answer say how things stand once `cost` tokens are given back. */
void gcra_undo(struct gcra_answer *answer, const struct gcra_rate *rate, uint64_t cost);
/* The TAT once `cost` tokens, at most the burst, are given back. */
uint64_t gcra_refund(const struct gcra_rate *rate, uint64_t tat_ns, uint64_t cost);

#endif
