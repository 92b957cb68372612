/* SPDX-License-Identifier: Apache-2.0
 *
 * What one block of time is worth to a verdict: e-values, and the points of a hypothesis that they
 * are measured from. Pure; any thread.
 */
#ifndef CONTROL_VERDICT_WEIGH_H
#define CONTROL_VERDICT_WEIGH_H

#include "control/verdict.h"

#define VERDICT_RATE_MIN 1e-6 /* no guess is surer than that */
#define VERDICT_RATE_MAX 0.98

/* Of stable and of the canary: rates, or counts. */
struct verdict_pair {
    double stable, canary;
};

/* How many of a block's requests were seen, and how many of those show what is asked for. */
struct verdict_block {
    struct verdict_pair seen, shown;
};

/* A rate that may be guessed: within VERDICT_RATE_MIN and VERDICT_RATE_MAX. */
double verdict_bounded(double rate);
/* The canary's rate when its odds are `times` those of stable. */
double verdict_raised(double stable, double times);
/* The least rate of a canary's failures that the rule does not tolerate beside such a one of
 * stable's; may be above 1. */
double verdict_limit(double stable, const struct verdict_rule *rule);

/* The logarithm of a block's e-value: of rates that were guessed before it to the point of the
 * hypothesis that is nearest to them. */
double verdict_weigh(const struct verdict_block *block, struct verdict_pair rates,
                     struct verdict_pair nearest);
/* What that is expected to be where the guess is right; never below 0. */
double verdict_growth(const struct verdict_pair *seen, struct verdict_pair rates,
                      struct verdict_pair nearest);
/* And the variance of it. */
double verdict_variance(const struct verdict_pair *seen, struct verdict_pair rates,
                        struct verdict_pair nearest);

/* The nearest point of "no worse" to rates of which the canary's is higher, and of "no better" to
 * rates of which it is lower: where both are equal. */
struct verdict_pair verdict_nearest_equal(const struct verdict_pair *seen,
                                          struct verdict_pair rates);
/* The nearest point of "not tolerable" to rates that are tolerable. */
struct verdict_pair verdict_nearest_intolerable(const struct verdict_pair *seen,
                                                struct verdict_pair rates,
                                                const struct verdict_rule *rule);

#endif
