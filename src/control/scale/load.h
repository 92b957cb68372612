/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service's edges counted lately, over windows of time. What was not counted is no zero:
 * each window says how much of it is known. Pure; any thread.
 */
#ifndef CONTROL_SCALE_LOAD_H
#define CONTROL_SCALE_LOAD_H

#include "sluice/types.h"

/* An interval, summed over all edges. */
struct scale_sample {
    double at_s, span_s; /* Unix time of its end, and its length */
    double in_flight;    /* at targets, on average */
    double held;         /* waiting for a target, on average */
    double arrivals;     /* that passed all filters */
    bool is_partial;     /* an edge did not answer: there was at least so much */
};

/* Ascending in time. */
struct scale_samples {
    const struct scale_sample *at;
    size_t count;
};

struct scale_load {
    double in_flight, held; /* on average */
    double rate;            /* arrivals a second */
    double known_s;         /* of the window, in which all edges were heard */
    double seen_s;          /* in which any was; 0: the averages are 0 and say nothing */
};

/* Over the `window_s` seconds before `now_s`. A sample with a number that is none, or negative, is
 * as one that is missing. */
struct scale_load scale_load_over(const struct scale_samples *samples, double now_s,
                                  double window_s);
/* Whether there was nothing at all for so long, and all of that time is known but for the newest
 * two seconds or so, which may be on their way. */
bool scale_load_is_idle(const struct scale_samples *samples, double now_s, double idle_s);

#endif
