/* SPDX-License-Identifier: Apache-2.0
 *
 * The circuit breaker of one target (Nygard, Release It!): too many failures or slow answers in a
 * sliding window open it, and nothing is sent; after a while a few trials decide whether it closes.
 * Pure: times are milliseconds of one monotonic clock, given by the caller. One thread.
 */
#ifndef EDGE_UPSTREAM_BREAKER_H
#define EDGE_UPSTREAM_BREAKER_H

#include "sluice/types.h"

enum {
    BREAKER_SLOTS = 10,
    BREAKER_LONGEST = 10, /* times open_ms, when it opened often */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_rule {
    uint32_t errors_ppm; /* failures a request that open it; 0: off */
    uint32_t slow_ppm;   /* slow ones a request that open it; 0: off */
    uint32_t over_ms;    /* the window, rounded up to slots of whole milliseconds */
    uint32_t minimum;    /* requests in the window before it may open; 0 counts as 1 */
    uint32_t open_ms;    /* the first time */
    uint32_t trials;     /* good requests in a row that close it; 0 counts as 1 */
};

/* What ended since the last call. */
struct breaker_sample {
    uint64_t requests, failures, slow;
};

struct breaker {
    enum breaker_state state;
    uint32_t openings;                          /* in short order: each doubles the time */
    uint64_t good;                              /* trials in a row */
    uint64_t since_ms;                          /* when the state began */
    uint64_t slot;                              /* number of the newest, from time 0 on */
    struct breaker_sample slots[BREAKER_SLOTS]; /* by number, modulo */
};

/* Closed, with an empty window. */
void breaker_init(struct breaker *breaker, uint64_t now_ms);

/* To be called at intervals well below a slot, with nothing new as well; true when the state
 * changed, which happens once a call.
 * Closed: opens when the window has the minimum of requests and its share of failures or of slow
 * ones reaches errors_ppm or slow_ppm.
 * Open: samples are dropped, as they are of requests from before; after open_ms, which doubles with
 * each opening up to BREAKER_LONGEST times, it is half open.
 * Half open: a sample with a failure (or, with slow_ppm, a slow one) opens it again; `trials` good
 * ones in a row close it, with an empty window. The caller sees to it that few are under way, and
 * that the sample is of requests that began in this state.
 * Opening again within over_ms of closing goes on doubling; later it starts anew. A rule with both
 * shares off closes it. */
bool breaker_note(struct breaker *breaker, const struct breaker_rule *rule,
                  const struct breaker_sample *sample, uint64_t now_ms);

#endif
