/* SPDX-License-Identifier: Apache-2.0
 *
 * The evidence of n requests is a sum of independent parts, so it is normal enough, with mean and
 * variance known: what is shown in 9 of 10 is where the mean less 1.28 deviations is what decides.
 * bench/verdict.c counts whether that comes true.
 */
#include "control/verdict_plan.h"

#include <math.h>
#include <stdio.h>

#include "control/verdict_weigh.h"

#define DEVIATIONS 1.2816 /* of a normal, below which is a tenth */
#define FEW_FAILURES 5.33 /* expected, when at least VERDICT_FAILURES are seen in 9 of 10 */
#define LONGEST_S 1e9     /* nobody waits so long */

enum { HALVINGS = 60 };

/* Whether so many requests show a canary with that rate of failures. */
static bool is_shown(const struct verdict_pair *seen, double base, double rate)
{
    double wanted = log(VERDICT_EFFECTS / VERDICT_ERRORS_ALPHA);
    struct verdict_pair rates = {verdict_bounded(base), verdict_bounded(rate)}, same;

    if (!(seen->stable > 0) || !(seen->canary > 0))
        return false;
    same = verdict_nearest_equal(seen, rates);
    return seen->canary * rates.canary >= FEW_FAILURES &&
           verdict_growth(seen, rates, same) -
                   DEVIATIONS * sqrt(verdict_variance(seen, rates, same)) >=
               wanted;
}

double verdict_detectable(double base, double stable_requests, double canary_requests)
{
    const struct verdict_pair seen = {stable_requests, canary_requests};
    double rate = verdict_bounded(base), low = rate, high = VERDICT_RATE_MAX;

    if (!is_shown(&seen, rate, high))
        return HUGE_VAL;
    for (unsigned i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;

        if (is_shown(&seen, rate, middle))
            high = middle;
        else
            low = middle;
    }
    return high / rate;
}

/* Whether a healthy canary may be expected to pass by then. */
static bool is_passed(const struct verdict_pair *seen, double base, const struct verdict_rule *rule)
{
    struct verdict_pair healthy = {verdict_bounded(base), verdict_bounded(base)};

    return seen->canary >= (double)rule->minimum && seen->stable > 0 && seen->canary > 0 &&
           verdict_growth(seen, healthy, verdict_nearest_intolerable(seen, healthy, rule)) >=
               log(1 / VERDICT_PASS_ALPHA);
}

static struct verdict_pair seen_in(const struct verdict_traffic *traffic, double time_s)
{
    double requests = traffic->requests_s * time_s;

    return (struct verdict_pair){requests * (1 - traffic->canary), requests * traffic->canary};
}

static bool is_enough(const struct verdict_traffic *traffic, const struct verdict_rule *rule,
                      double time_s)
{
    struct verdict_pair seen = seen_in(traffic, time_s);

    return is_passed(&seen, traffic->failures, rule) &&
           is_shown(&seen, traffic->failures, verdict_limit(traffic->failures, rule));
}

static double find_enough(const struct verdict_traffic *traffic, const struct verdict_rule *rule)
{
    double low = 0, high = LONGEST_S;

    if (!is_enough(traffic, rule, high))
        return HUGE_VAL;
    for (unsigned i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;

        if (is_enough(traffic, rule, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

struct verdict_sight verdict_foresee(const struct verdict_traffic *traffic,
                                     const struct verdict_rule *rule)
{
    struct verdict_pair seen = seen_in(traffic, traffic->planned_s);
    double base = verdict_bounded(traffic->failures);
    struct verdict_sight sight = {
        .requests = seen.canary,
        .detectable = verdict_detectable(base, seen.stable, seen.canary),
        .limit = verdict_limit(base, rule) / base,
        .enough_s = find_enough(traffic, rule),
    };

    sight.advice = sight.enough_s <= traffic->planned_s ? VERDICT_CANARY : VERDICT_BLUEGREEN;
    return sight;
}

/* --- words */

enum { SPAN_LEN = 48, SHOWN_LEN = 160, TIMES_MAX = 1000 };

/* Rounded up to two figures or so, in a unit that fits. */
static void say_span(double time_s, char text[static SPAN_LEN])
{
    static const struct {
        double unit_s;
        const char *name;
    } units[] = {{86400, "days"}, {3600, "hours"}, {60, "minutes"}, {1, "seconds"}};
    size_t i = 0;

    while (i < sizeof(units) / sizeof(units[0]) - 1 && time_s < 2 * units[i].unit_s)
        i++;
    (void)snprintf(text, SPAN_LEN, "%.0f %s", ceil(time_s / units[i].unit_s), units[i].name);
}

static void say_shown(const struct verdict_traffic *traffic, const struct verdict_sight *sight,
                      char text[static SHOWN_LEN])
{
    double base = verdict_bounded(traffic->failures);

    if (isinf(sight->detectable))
        (void)snprintf(text, SHOWN_LEN, "too few to show even one that always fails");
    else if (sight->detectable > TIMES_MAX) // of next to nothing: how many times says nothing
        (void)snprintf(text, SHOWN_LEN, "which show %.2g %% failures or more",
                       100 * base * sight->detectable);
    else
        (void)snprintf(text, SHOWN_LEN, "which show %.2g %% failures or more, %.2g times as many",
                       100 * base * sight->detectable, sight->detectable);
}

void verdict_advise(const struct verdict_traffic *traffic, const struct verdict_rule *rule,
                    char text[static VERDICT_ADVICE_LEN])
{
    struct verdict_sight sight = verdict_foresee(traffic, rule);
    char planned[SPAN_LEN], enough[SPAN_LEN], shown[SHOWN_LEN];
    double limit = 100 * verdict_bounded(traffic->failures) * sight.limit;
    double requests = floor(sight.requests);

    say_span(traffic->planned_s, planned);
    say_shown(traffic, &sight, shown);
    if (isinf(sight.enough_s)) {
        (void)snprintf(text, VERDICT_ADVICE_LEN,
                       "%.3g requests a second, %.2g %% of them failing: a canary can not be told "
                       "from stable at that; blue-green with a watchdog is proposed",
                       traffic->requests_s, 100 * traffic->failures);
        return;
    }
    say_span(sight.enough_s, enough);
    (void)snprintf(text, VERDICT_ADVICE_LEN,
                   "%.3g requests a second, %.2g %% of them failing: in %s a canary of %.3g %% has "
                   "%.0f request%s, %s; to tell a healthy one from one with the %.2g %% that are "
                   "not tolerated takes %s: %s",
                   traffic->requests_s, 100 * traffic->failures, planned, 100 * traffic->canary,
                   requests, requests == 1 ? "" : "s", shown, limit, enough,
                   sight.advice == VERDICT_CANARY ? "a canary is proposed"
                                                  : "blue-green with a watchdog is proposed");
}
