/* SPDX-License-Identifier: Apache-2.0
 *
 * What the evidence comes to. VERDICT_ALPHA is shared: 6 parts of 10 are for errors and 4 for the
 * quantiles of latency; 7 parts of 10 of each for the whole deploy, and the rest for the steps
 * after the first, half of what is left each. In the first step the two are the same.
 */
#include <math.h>

#include "control/verdict.h"
#include "control/verdict_impl.h"

#define SLOWER_ALPHA (VERDICT_ALPHA * 0.4 * 0.7 / VERDICT_QUANTILES)
#define STEPS_PART (0.3 / 0.7) /* of what the whole deploy has, for all steps together */
#define LOG_MAX 700            /* whose exponential is a number yet */
#define HARD_SHARE 0.5 /* of a canary's requests, failed: the minimum need not be waited for */

/* Of what the whole deploy has, for the step that so many came before. */
static double part_of(uint32_t steps)
{
    return ldexp(STEPS_PART, -(int)(steps < 60 ? steps : 60));
}

/* A number, however sure it is. */
static double e_value(double logarithm)
{
    return exp(fmin(logarithm, LOG_MAX));
}

/* In seconds; within a bucket all times are equally likely. */
static double quantile_of(const struct verdict_tails *tails, double quantile)
{
    double rest = tails->at[0] * (1 - quantile), least, most, part;
    unsigned i = verdict_bucket_above(tails, quantile) - 1;

    if (!(tails->at[0] > 0))
        return NAN;
    least = (double)latency_least_us(i);
    if (i + 1 >= LATENCY_BUCKETS)
        return least / 1e6;
    most = (double)latency_least_us(i + 1);
    part = (tails->at[i] - rest) / (tails->at[i] - tails->at[i + 1]);
    return (least + (most - least) * part) / 1e6;
}

/* Of few, half a failure is as likely as none. */
static double ratio_of(const struct verdict_match *match)
{
    return (match->failures_canary + 0.5) / (match->failures_stable + 0.5);
}

static struct verdict_finding find_errors(const struct verdict *v,
                                          const struct verdict_scope *scope, double part)
{
    const struct verdict_match *match = &scope->match;

    return (struct verdict_finding){
        .stable = match->requests > 0 ? match->failures_stable / match->requests : NAN,
        .canary = match->requests > 0 ? match->failures_canary / match->requests : NAN,
        .ratio = ratio_of(match),
        .evidence = e_value(scope->worse.top),
        .decides = 1 / (VERDICT_ERRORS_ALPHA * part),
        .assurance = e_value(v->sound),
    };
}

static void find_latency(const struct verdict *v, const struct verdict_scope *scope, double part,
                         struct verdict_finding findings[VERDICT_QUANTILES])
{
    struct verdict_tails stable, canary;

    verdict_sum_tails(&stable, scope->match.latency_stable);
    verdict_sum_tails(&canary, scope->match.latency_canary);
    for (unsigned i = 0; i < VERDICT_QUANTILES; i++) {
        struct verdict_finding *finding = &findings[i];

        finding->stable = quantile_of(&stable, verdict_quantiles[i]);
        finding->canary = quantile_of(&canary, verdict_quantiles[i]);
        finding->ratio = finding->canary / finding->stable;
        finding->evidence = e_value(scope->slower[i].top);
        finding->decides = 1 / (SLOWER_ALPHA * part);
        finding->assurance = i < VERDICT_CALM ? e_value(v->swift[i]) : NAN;
    }
}

static void find(const struct verdict *v, const struct verdict_scope *scope, double part,
                 struct verdict_answer *answer)
{
    answer->errors = find_errors(v, scope, part);
    find_latency(v, scope, part, answer->latency);
}

/* Half of what is not tolerated must be seen: chance alone makes a true 2 look like 1.7. */
static double half_way(double ratio)
{
    return (1 + ratio) / 2;
}

/* Whether it would be so without clients that have a third of the failures: one in a loop would
 * fail on stable as well. Where there are hardly others, they are what the service has. */
static bool is_of_many(const struct verdict_scope *scope, double decides)
{
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++) {
        const struct verdict_count *clients = &scope->clients[i];

        if (clients->failures * 3 > scope->canary.failures &&
            clients->requests * 10 <= scope->canary.requests * 9)
            return e_value(scope->without[i].top) >= decides;
    }
    return true;
}

static bool are_errors_bad(const struct verdict_scope *scope, const struct verdict_rule *rule,
                           const struct verdict_finding *errors)
{
    return errors->evidence >= errors->decides && scope->canary.failures >= VERDICT_FAILURES &&
           errors->ratio >= half_way(rule->error_ratio) &&
           errors->canary - errors->stable >= rule->error_margin / 2 &&
           is_of_many(scope, errors->decides);
}

static bool is_latency_bad(const struct verdict_rule *rule, const struct verdict_finding *finding)
{
    return finding->evidence >= finding->decides &&
           finding->ratio >= half_way(rule->latency_ratio) &&
           finding->canary - finding->stable >= rule->latency_margin / 2;
}

static bool is_bad_by_latency(const struct verdict_rule *rule, struct verdict_answer *answer)
{
    for (unsigned i = 0; rule->latency_ratio > 0 && i < VERDICT_QUANTILES; i++) {
        if (is_latency_bad(rule, &answer->latency[i])) {
            answer->quantile = i;
            return true;
        }
    }
    return false;
}

/* Whether what was found in a scope is BAD, and by what. */
static bool is_bad(const struct verdict_scope *scope, const struct verdict_rule *rule,
                   struct verdict_answer *answer)
{
    bool has_minimum = scope->canary.requests >= rule->minimum;

    answer->is_hard = !has_minimum &&
                      (double)scope->canary.failures >= HARD_SHARE * (double)scope->canary.requests;
    answer->by_errors =
        (has_minimum || answer->is_hard) && are_errors_bad(scope, rule, &answer->errors);
    return answer->by_errors || (has_minimum && is_bad_by_latency(rule, answer));
}

/* --- what is missing */

/* At the speed that a proof has grown with so far. */
static double wanting(double log_value, double requests)
{
    double target = log(1 / VERDICT_PASS_ALPHA);

    if (log_value >= target)
        return 0;
    return log_value > 0 ? requests * (target - log_value) / log_value : HUGE_VAL;
}

static double most_wanting(const struct verdict *v, const struct verdict_rule *rule)
{
    double requests = (double)v->step.canary.requests, most = wanting(v->sound, requests);

    for (unsigned i = 0; rule->latency_ratio > 0 && i < VERDICT_CALM; i++)
        most = fmax(most, wanting(v->swift[i], requests));
    return fmax(most, (double)rule->minimum - requests);
}

struct verdict_answer verdict_look(const struct verdict *v, const struct verdict_rule *rule)
{
    struct verdict_answer answer = {.outcome = VERDICT_BAD}, step = answer;

    find(v, &v->whole, 1, &answer);
    if (is_bad(&v->whole, rule, &answer))
        return answer;
    if (v->steps) {
        find(v, &v->step, part_of(v->steps), &step);
        step.in_step = true;
        if (is_bad(&v->step, rule, &step))
            return step;
    }
    answer.is_hard = false;
    answer.wanting = most_wanting(v, rule);
    answer.outcome = answer.wanting > 0 ? VERDICT_UNSURE : VERDICT_GOOD;
    return answer;
}
