/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/gradient.h"

#include <math.h>

enum { WARM_UP = 10 }; // samples whose plain mean is the first long-term mean

static const double smoothing = 0.2;
static const double steepest = 0.5;    // one sample never takes more than this share of the limit
static const double learn = 2.0 / 601; // exponential mean over 600 samples
static const double learn_queued = 2.0 / 6001;
static const double settle =
    0.1; // of the recent mean: one sample does not say that there is a queue
static const double unlearn = 0.9; // a sample, while latency is below half of the mean

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static double clamp_limit(double limit, const struct gradient_rule *rule)
{
    double low = rule->min ? rule->min : 1;

    return clamp(limit, low, rule->max > low ? rule->max : low);
}

void gradient_init(struct gradient *gradient, const struct gradient_rule *rule)
{
    *gradient = (struct gradient){.limit = clamp_limit(GRADIENT_START, rule)};
}

// The latency that is still taken for normal.
static double tolerated_us(const struct gradient *gradient, const struct gradient_rule *rule)
{
    double tolerance = rule->tolerance_thousandths > 1000 ? rule->tolerance_thousandths : 1000;

    return gradient->long_us * tolerance / 1000;
}

// Where the limit comes to rest latency lies just above what is tolerated, so half the way there is
// a queue. Up to the first limit it is the service that is slow, not our queue: or a service that
// has become slower for good would be held near that for very long.
static double pace(const struct gradient *gradient, const struct gradient_rule *rule, bool is_used)
{
    double queued_us = (gradient->long_us + tolerated_us(gradient, rule)) / 2;
    bool is_ours = is_used && gradient->limit > GRADIENT_START;

    return is_ours && gradient->recent_us > queued_us ? learn_queued : learn;
}

static void learn_latency(struct gradient *gradient, const struct gradient_rule *rule,
                          double short_us, bool is_used)
{
    if (gradient->samples < WARM_UP) {
        gradient->samples++;
        gradient->long_us += (short_us - gradient->long_us) / gradient->samples;
        gradient->recent_us = gradient->long_us;
    } else {
        gradient->recent_us += (short_us - gradient->recent_us) * settle;
        gradient->long_us += (short_us - gradient->long_us) * pace(gradient, rule, is_used);
    }
    // Back to normal after an overload that had been learned.
    if (gradient->long_us > 2 * short_us)
        gradient->long_us *= unlearn;
}

uint32_t gradient_next(struct gradient *gradient, const struct gradient_rule *rule,
                       const struct gradient_sample *sample)
{
    double limit = gradient->limit = clamp_limit(gradient->limit, rule);
    bool is_used = sample->in_flight_max >= limit / 2;
    double short_us, slope, next;

    if (!sample->answers)
        return (uint32_t)limit;
    short_us = (double)sample->latency_us_sum / (double)sample->answers;
    short_us = short_us < 1 ? 1 : short_us;
    learn_latency(gradient, rule, short_us, is_used);
    if (!is_used)
        return (uint32_t)limit;
    slope = clamp(tolerated_us(gradient, rule) / short_us, steepest, 1);
    next = limit * slope + sqrt(limit);
    gradient->limit = clamp_limit(limit * (1 - smoothing) + next * smoothing, rule);
    return (uint32_t)gradient->limit;
}
