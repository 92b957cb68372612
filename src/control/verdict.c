/* SPDX-License-Identifier: Apache-2.0
 *
 * One block of time, with n_a of stable's and n_b of the canary's requests of which y_a and y_b
 * failed, is worth the likelihood ratio of an alternative (p_a, p_b), chosen from earlier blocks
 * alone, to the point (q_a, q_b) of the hypothesis H that is nearest to it: the one that makes
 * n_a KL(p_a|q_a) + n_b KL(p_b|q_b) least. Its expectation is at most 1 under all of a convex H:
 * under rates (t_a, t_b) it is (1 + c_a (t_a - q_a))^n_a (1 + c_b (t_b - q_b))^n_b with
 * c = (p - q) / (q (1 - q)), whose logarithm is at most n_a c_a (t_a - q_a) + n_b c_b (t_b - q_b),
 * which is minus the derivative of that sum of divergences from (q_a, q_b) towards (t_a, t_b): not
 * above 0, since in a convex set no way leads down from the least. Hypotheses are: "no worse",
 * t_b <= t_a, and "not tolerable", t_b >= max(r t_a, t_a + m), which is convex as well.
 */
#include "control/verdict.h"

#include <math.h>
#include <string.h>

#define WORSE_ALPHA (VERDICT_ALPHA * 0.6)
#define SLOWER_ALPHA (VERDICT_ALPHA * 0.4 / VERDICT_QUANTILES)
#define FADE_S 300.0      /* after which a past request counts 1/e */
#define GUESS_REQUESTS 50 /* that stand for what we believe before the first */
#define GUESS_FAILURES 0.5
#define RATE_MAX 0.98
#define RATE_MIN 1e-6
#define HARD_SHARE 0.5 /* of a canary's requests, failed: the minimum need not be waited for */

const double verdict_quantiles[VERDICT_QUANTILES] = {0.5, 0.9, 0.99};

/* Odds of the canary to stable's: of rare failures, the ratio of their shares. */
static const double effects[VERDICT_EFFECTS] = {1.5, 2.2, 4, 10, 40};

struct pair {
    double stable, canary;
};

/* How many of a block's requests were seen, and how many of those show what is asked for. */
struct block {
    struct pair seen, shown;
};

static double bounded(double rate)
{
    return rate < RATE_MIN ? RATE_MIN : rate > RATE_MAX ? RATE_MAX : rate;
}

static double log_likelihood(double seen, double shown, double rate)
{
    return shown * log(rate) + (seen - shown) * log1p(-rate);
}

/* The logarithm of a block's e-value. */
static double weigh(const struct block *block, struct pair alternative, struct pair hypothesis)
{
    return log_likelihood(block->seen.stable, block->shown.stable, alternative.stable) -
           log_likelihood(block->seen.stable, block->shown.stable, hypothesis.stable) +
           log_likelihood(block->seen.canary, block->shown.canary, alternative.canary) -
           log_likelihood(block->seen.canary, block->shown.canary, hypothesis.canary);
}

/* --- the nearest point of a hypothesis */

/* Of "they are equal", which is nearest of all of "no worse", and of all of "no better". */
static struct pair pooled(const struct pair *seen, struct pair rates)
{
    double rate = bounded((seen->stable * rates.stable + seen->canary * rates.canary) /
                          (seen->stable + seen->canary));

    return (struct pair){rate, rate};
}

static double divergence(double p, double q)
{
    return p * log(p / q) + (1 - p) * (log1p(-p) - log1p(-q));
}

static double limit_of(double stable, const struct verdict_rule *rule)
{
    double by_ratio = stable * rule->error_ratio, by_margin = stable + rule->error_margin;

    return bounded(by_ratio > by_margin ? by_ratio : by_margin);
}

/* On the edge of "not tolerable", where the sum is convex in stable's rate: golden section. Stable's
 * rates that leave no room above them are left out. */
static struct pair nearest_intolerable(const struct pair *seen, struct pair rates,
                                       const struct verdict_rule *rule)
{
    static const double golden = 0.6180339887498949;
    double low = RATE_MIN, high = rates.stable;

    if (high > RATE_MAX / rule->error_ratio)
        high = RATE_MAX / rule->error_ratio;
    if (high > RATE_MAX - rule->error_margin)
        high = RATE_MAX - rule->error_margin;
    for (unsigned i = 0; i < 40; i++) {
        double a = high - golden * (high - low), b = low + golden * (high - low);
        double at_a = seen->stable * divergence(rates.stable, a) +
                      seen->canary * divergence(rates.canary, limit_of(a, rule));
        double at_b = seen->stable * divergence(rates.stable, b) +
                      seen->canary * divergence(rates.canary, limit_of(b, rule));

        if (at_a < at_b)
            high = b;
        else
            low = a;
    }
    return (struct pair){(low + high) / 2, limit_of((low + high) / 2, rule)};
}

/* --- proofs */

static double mean_log(const struct verdict_proof *proof)
{
    double most = proof->logs[0], sum = 0;

    for (unsigned i = 1; i < VERDICT_EFFECTS; i++)
        most = proof->logs[i] > most ? proof->logs[i] : most;
    for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
        sum += exp(proof->logs[i] - most);
    return most + log(sum / VERDICT_EFFECTS);
}

static void note_top(struct verdict_proof *proof)
{
    double now = mean_log(proof);

    if (now > proof->top)
        proof->top = now;
}

/* Against "the canary shows it no more often than stable", of which `rate` is a guess. */
static void prove_more(struct verdict_proof *proof, const struct block *block, double rate)
{
    double odds = rate / (1 - rate);

    for (unsigned i = 0; i < VERDICT_EFFECTS; i++) {
        struct pair rates = {rate, bounded(odds * effects[i] / (1 + odds * effects[i]))};

        proof->logs[i] += weigh(block, rates, pooled(&block->seen, rates));
    }
    note_top(proof);
}

/* --- a block */

/* How many of a side's are in a bucket or above. */
struct tails {
    double at[LATENCY_BUCKETS + 1];
};

static void sum_tails(struct tails *tails, const struct verdict_side *side)
{
    uint64_t sum = 0;

    tails->at[LATENCY_BUCKETS] = 0;
    for (unsigned i = LATENCY_BUCKETS; i-- > 0;) {
        sum += side->latency[i];
        tails->at[i] = (double)sum;
    }
}

/* The bucket next above a quantile; LATENCY_BUCKETS: nothing is known. */
static unsigned bucket_above(const struct tails *tails, double quantile)
{
    double rest = tails->at[0] * (1 - quantile);
    unsigned i = 1;

    if (tails->at[0] == 0)
        return LATENCY_BUCKETS;
    while (i < LATENCY_BUCKETS && tails->at[i] > rest)
        i++;
    return i;
}

static double guess_share(const struct tails *past, unsigned bucket)
{
    return bounded((past->at[bucket] + 0.5) / (past->at[0] + 1));
}

static void judge_errors(struct verdict *v, const struct verdict_rule *rule)
{
    const struct block block = {
        {(double)v->open_stable.requests, (double)v->open_canary.requests},
        {(double)v->open_stable.failures, (double)v->open_canary.failures},
    };
    double rate =
        bounded((v->base_failures + GUESS_FAILURES) / (v->base_requests + GUESS_REQUESTS));
    struct pair healthy = {rate, rate};

    prove_more(&v->worse, &block, rate);
    v->sound += weigh(&block, healthy, nearest_intolerable(&block.seen, healthy, rule));
}

/* "Not tolerable": the canary is above r t at least as often as stable is above t. The edge below
 * r t stands for it, which makes it no easier to pass. */
static double weigh_swift(const struct tails *past, const struct tails sides[2], unsigned bucket,
                          double ratio)
{
    unsigned late = latency_bucket((uint64_t)((double)latency_least_us(bucket) * ratio));
    const struct block block = {{sides[0].at[0], sides[1].at[0]},
                                {sides[0].at[bucket], sides[1].at[late]}};
    struct pair rates = {guess_share(past, bucket), guess_share(past, late)};

    return weigh(&block, rates, pooled(&block.seen, rates));
}

static void judge_latency(struct verdict *v, const struct verdict_rule *rule)
{
    struct tails past, sides[2];

    sum_tails(&past, &v->stable);
    sum_tails(&sides[0], &v->open_stable);
    sum_tails(&sides[1], &v->open_canary);
    if (sides[0].at[0] == 0 || sides[1].at[0] == 0)
        return;
    for (unsigned i = 0; i < VERDICT_QUANTILES; i++) {
        unsigned bucket = bucket_above(&past, verdict_quantiles[i]);
        const struct block block = {{sides[0].at[0], sides[1].at[0]},
                                    {sides[0].at[bucket], sides[1].at[bucket]}};

        if (bucket == LATENCY_BUCKETS)
            continue;
        prove_more(&v->slower[i], &block, guess_share(&past, bucket));
        if (i < VERDICT_CALM)
            v->swift[i] += weigh_swift(&past, sides, bucket, rule->latency_ratio);
    }
}

static void join(struct verdict_side *to, const struct verdict_side *more)
{
    to->requests += more->requests;
    to->failures += more->failures;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->latency[i] += more->latency[i];
}

/* What it showed is past now: guesses for the next are made from it. */
static void close_block(struct verdict *v)
{
    double kept = exp(-v->open_s / FADE_S);

    v->base_requests = v->base_requests * kept + (double)v->open_stable.requests;
    v->base_failures = v->base_failures * kept + (double)v->open_stable.failures;
    join(&v->stable, &v->open_stable);
    join(&v->canary, &v->open_canary);
    memset(&v->open_stable, 0, sizeof(v->open_stable));
    memset(&v->open_canary, 0, sizeof(v->open_canary));
    v->open_s = 0;
}

void verdict_add(struct verdict *v, const struct verdict_rule *rule,
                 const struct verdict_side *stable, const struct verdict_side *canary,
                 double span_s)
{
    join(&v->open_stable, stable);
    join(&v->open_canary, canary);
    v->open_s += span_s;
    if (v->open_stable.requests && v->open_canary.requests) {
        judge_errors(v, rule);
        if (rule->latency_ratio > 0)
            judge_latency(v, rule);
        close_block(v);
    } else if (v->open_s >= VERDICT_SPAN_S) {
        close_block(v);
    }
}

void verdict_init(struct verdict *v, uint64_t requests, uint64_t failures)
{
    memset(v, 0, sizeof(*v));
    v->base_requests = (double)requests;
    v->base_failures = (double)failures;
}

/* --- a look */

static double share(const struct verdict_side *side)
{
    return side->requests ? (double)side->failures / (double)side->requests : NAN;
}

/* Of few, half a failure is as likely as none. */
static double smooth_share(const struct verdict_side *side)
{
    return ((double)side->failures + 0.5) / ((double)side->requests + 1);
}

/* In seconds; within a bucket all times are equally likely. */
static double quantile_of(const struct tails *tails, double quantile)
{
    double rest = tails->at[0] * (1 - quantile), least, most, part;
    unsigned i = bucket_above(tails, quantile) - 1;

    if (tails->at[0] == 0)
        return NAN;
    if (i + 1 >= LATENCY_BUCKETS)
        return (double)latency_least_us(LATENCY_BUCKETS - 1) / 1e6;
    least = (double)latency_least_us(i);
    most = (double)latency_least_us(i + 1);
    part = (tails->at[i] - rest) / (tails->at[i] - tails->at[i + 1]);
    return (least + (most - least) * part) / 1e6;
}

static void find_errors(const struct verdict *v, struct verdict_finding *finding)
{
    *finding = (struct verdict_finding){
        .stable = share(&v->stable),
        .canary = share(&v->canary),
        .ratio = smooth_share(&v->canary) / smooth_share(&v->stable),
        .evidence = exp(v->worse.top),
        .assurance = exp(v->sound),
    };
}

static void find_latency(const struct verdict *v, struct verdict_finding *findings)
{
    struct tails stable, canary;

    sum_tails(&stable, &v->stable);
    sum_tails(&canary, &v->canary);
    for (unsigned i = 0; i < VERDICT_QUANTILES; i++) {
        struct verdict_finding *finding = &findings[i];

        finding->stable = quantile_of(&stable, verdict_quantiles[i]);
        finding->canary = quantile_of(&canary, verdict_quantiles[i]);
        finding->ratio = finding->canary / finding->stable;
        finding->evidence = exp(v->slower[i].top);
        finding->assurance = i < VERDICT_CALM ? exp(v->swift[i]) : NAN;
    }
}

/* Half of what is not tolerated must be seen: chance alone makes a true 2 look like 1.7. */
static double half_way(double ratio)
{
    return (1 + ratio) / 2;
}

static bool are_errors_bad(const struct verdict *v, const struct verdict_rule *rule,
                           const struct verdict_finding *errors)
{
    return errors->evidence >= 1 / WORSE_ALPHA && v->canary.failures >= VERDICT_FAILURES &&
           errors->ratio >= half_way(rule->error_ratio) &&
           errors->canary - errors->stable >= rule->error_margin / 2;
}

static bool is_latency_bad(const struct verdict_rule *rule, const struct verdict_finding *finding)
{
    return finding->evidence >= 1 / SLOWER_ALPHA &&
           finding->ratio >= half_way(rule->latency_ratio);
}

/* Whether it is BAD, and by what. */
static bool find_bad(const struct verdict *v, const struct verdict_rule *rule,
                     struct verdict_answer *answer)
{
    bool has_minimum = v->canary.requests >= rule->minimum;

    if (are_errors_bad(v, rule, &answer->errors)) {
        answer->by_errors = true;
        answer->is_hard = !has_minimum && answer->errors.canary >= HARD_SHARE;
        return has_minimum || answer->is_hard;
    }
    for (unsigned i = 0; has_minimum && rule->latency_ratio > 0 && i < VERDICT_QUANTILES; i++) {
        answer->quantile = i;
        if (is_latency_bad(rule, &answer->latency[i]))
            return true;
    }
    return false;
}

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
    double requests = (double)v->canary.requests, most = wanting(v->sound, requests);

    for (unsigned i = 0; rule->latency_ratio > 0 && i < VERDICT_CALM; i++)
        most = fmax(most, wanting(v->swift[i], requests));
    return fmax(most, (double)rule->minimum - requests);
}

struct verdict_answer verdict_look(const struct verdict *v, const struct verdict_rule *rule)
{
    struct verdict_answer answer = {0};

    find_errors(v, &answer.errors);
    find_latency(v, answer.latency);
    if (find_bad(v, rule, &answer)) {
        answer.outcome = VERDICT_BAD;
        return answer;
    }
    answer.wanting = most_wanting(v, rule);
    answer.outcome = answer.wanting > 0 ? VERDICT_UNSURE : VERDICT_GOOD;
    return answer;
}

/* --- a plan */

double verdict_detectable(double base, double stable_requests, double canary_requests)
{
    const struct pair seen = {stable_requests, canary_requests};
    double low = 1, high = RATE_MAX / bounded(base), wanted = log(VERDICT_EFFECTS / WORSE_ALPHA);

    for (unsigned i = 0; i <= 60; i++) {
        double ratio = i ? (low + high) / 2 : high; // first of all whether any does
        struct pair rates = {bounded(base), bounded(base * ratio)}, same = pooled(&seen, rates);
        double expected = seen.stable * divergence(rates.stable, same.stable) +
                          seen.canary * divergence(rates.canary, same.canary);

        if (!i && expected < wanted)
            return HUGE_VAL;
        if (expected < wanted)
            low = ratio;
        else
            high = ratio;
    }
    return high;
}
