/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over a window of samples, each counted by the part of it that lies within.
 */
#include "control/scale/load.h"

#include <math.h>

#define LATE_S 2.0 /* a sample may be on its way for so long */

static bool is_sound(const struct scale_sample *sample)
{
    double sum = sample->in_flight + sample->held + sample->arrivals;

    return isfinite(sum) && isfinite(sample->at_s) && isfinite(sample->span_s) &&
           sample->span_s > 0 && sample->in_flight >= 0 && sample->held >= 0 &&
           sample->arrivals >= 0;
}

/* Seconds of a sample that lie in a window. */
static double overlap(const struct scale_sample *sample, double from_s, double to_s)
{
    double least = fmax(sample->at_s - sample->span_s, from_s);

    return fmax(0, fmin(sample->at_s, to_s) - least);
}

struct scale_load scale_load_over(const struct scale_samples *samples, double now_s,
                                  double window_s)
{
    struct scale_load load = {0};

    for (size_t i = 0; i < samples->count; i++) {
        const struct scale_sample *sample = &samples->at[i];
        double part_s = is_sound(sample) ? overlap(sample, now_s - window_s, now_s) : 0;

        if (part_s <= 0)
            continue;
        load.in_flight += sample->in_flight * part_s;
        load.held += sample->held * part_s;
        load.rate += sample->arrivals * part_s / sample->span_s;
        load.seen_s += part_s;
        load.known_s += sample->is_partial ? 0 : part_s;
    }
    if (load.seen_s > 0) {
        load.in_flight /= load.seen_s;
        load.held /= load.seen_s;
        load.rate /= load.seen_s;
    }
    return load;
}

bool scale_load_is_idle(const struct scale_samples *samples, double now_s, double idle_s)
{
    struct scale_load load = scale_load_over(samples, now_s, idle_s);

    return load.in_flight <= 0 && load.held <= 0 && load.rate <= 0 && load.known_s > 0 &&
           load.known_s >= idle_s - LATE_S;
}
