/* SPDX-License-Identifier: Apache-2.0
 *
 * One block of time, with n_a of stable's and n_b of the canary's requests of which y_a and y_b
 * failed, is worth the likelihood ratio of an alternative (p_a, p_b), chosen from earlier blocks
 * alone, to the point (q_a, q_b) of the hypothesis H that is nearest to it: the one that makes
 * n_a KL(p_a|q_a) + n_b KL(p_b|q_b) least. Its expectation is at most 1 under all of a convex H:
 * under rates (t_a, t_b) it is (1 + c_a (t_a - q_a))^n_a (1 + c_b (t_b - q_b))^n_b with
 * c = (p - q) / (q (1 - q)), whose logarithm is at most n_a c_a (t_a - q_a) + n_b c_b (t_b - q_b),
 * which is minus the derivative of that sum of divergences from (q_a, q_b) towards (t_a, t_b): not
 * above 0, since in a convex set no way leads down from the least. Where the rates of requests in a
 * block differ, their means stand for t_a and t_b (the logarithm is concave). Hypotheses are "no
 * worse", t_b <= t_a, and "not tolerable", t_b >= max(r t_a, t_a + m), which is convex as well.
 * Turner, Ly, Gruenwald, arXiv 2106.02693, for the first; the second is ours.
 */
#include "control/verdict_weigh.h"

#include <math.h>

#define EDGE_MIN 1e-15 /* a hypothesis has all rates but those that allow of no doubt */
#define EDGE_MAX (1 - 1e-9)

enum { HALVINGS = 40 };

double verdict_bounded(double rate)
{
    return fmax(VERDICT_RATE_MIN, fmin(rate, VERDICT_RATE_MAX));
}

double verdict_raised(double stable, double times)
{
    double odds = stable / (1 - stable) * times;

    return verdict_bounded(odds / (1 + odds));
}

double verdict_limit(double stable, const struct verdict_rule *rule)
{
    return fmax(stable * rule->error_ratio, stable + rule->error_margin);
}

static double log_ratio(double seen, double shown, double rate, double nearest)
{
    return shown * log(rate / nearest) + (seen - shown) * log((1 - rate) / (1 - nearest));
}

double verdict_weigh(const struct verdict_block *block, struct verdict_pair rates,
                     struct verdict_pair nearest)
{
    return log_ratio(block->seen.stable, block->shown.stable, rates.stable, nearest.stable) +
           log_ratio(block->seen.canary, block->shown.canary, rates.canary, nearest.canary);
}

double verdict_growth(const struct verdict_pair *seen, struct verdict_pair rates,
                      struct verdict_pair nearest)
{
    const struct verdict_block expected = {*seen,
                                           {seen->stable * rates.stable,
                                            seen->canary * rates.canary}};

    return verdict_weigh(&expected, rates, nearest);
}

static double variance_of(double seen, double rate, double nearest)
{
    double apart = log(rate / nearest) - log((1 - rate) / (1 - nearest));

    return seen * rate * (1 - rate) * apart * apart;
}

double verdict_variance(const struct verdict_pair *seen, struct verdict_pair rates,
                        struct verdict_pair nearest)
{
    return variance_of(seen->stable, rates.stable, nearest.stable) +
           variance_of(seen->canary, rates.canary, nearest.canary);
}

struct verdict_pair verdict_nearest_equal(const struct verdict_pair *seen,
                                          struct verdict_pair rates)
{
    double rate =
        (seen->stable * rates.stable + seen->canary * rates.canary) / (seen->stable + seen->canary);

    return (struct verdict_pair){rate, rate};
}

/* How the divergence from p to q changes with q. */
static double slope(double p, double q)
{
    return (q - p) / (q * (1 - q));
}

/* On the edge, (a, max(r a, a + m)), the sum falls to its least and rises from there: that is where
 * its slope changes its sign. */
struct verdict_pair verdict_nearest_intolerable(const struct verdict_pair *seen,
                                                struct verdict_pair rates,
                                                const struct verdict_rule *rule)
{
    double low = EDGE_MIN, high = fmin(rates.stable, EDGE_MAX / rule->error_ratio);

    high = fmax(low, fmin(high, EDGE_MAX - rule->error_margin));
    for (unsigned i = 0; i < HALVINGS; i++) {
        double a = (low + high) / 2, b = verdict_limit(a, rule);
        double turn = a * (rule->error_ratio - 1) > rule->error_margin ? rule->error_ratio : 1;

        if (seen->stable * slope(rates.stable, a) + seen->canary * turn * slope(rates.canary, b) >
            0)
            high = a;
        else
            low = a;
    }
    low = (low + high) / 2;
    return (struct verdict_pair){low, fmin(verdict_limit(low, rule), EDGE_MAX)};
}
