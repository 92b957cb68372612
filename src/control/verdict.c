/* SPDX-License-Identifier: Apache-2.0
 *
 * What was counted becomes evidence, block by block. Guesses are made from earlier blocks only, and
 * whether a block is closed hangs on how many requests it has, never on how they ended.
 */
#include "control/verdict.h"

#include <math.h>
#include <string.h>

#include "control/verdict_impl.h"
#include "control/verdict_weigh.h"

#define FADE_S 300.0      /* after which a past request counts 1/e in a guess */
#define GUESS_REQUESTS 50 /* that stand for what we believe before the first */
#define GUESS_FAILURES 0.5

const double verdict_quantiles[VERDICT_QUANTILES] = {0.5, 0.9, 0.99};

/* Odds of the canary to stable's: of rare failures, the ratio of their shares. */
static const double effects[VERDICT_EFFECTS] = {1.5, 2.2, 4, 10, 40};

/* --- latency */

void verdict_sum_tails(struct verdict_tails *tails, const double latency[LATENCY_BUCKETS])
{
    tails->at[LATENCY_BUCKETS] = 0;
    for (unsigned i = LATENCY_BUCKETS; i-- > 0;)
        tails->at[i] = tails->at[i + 1] + latency[i];
}

static void sum_side(struct verdict_tails *tails, const struct verdict_side *side)
{
    uint64_t sum = 0;

    tails->at[LATENCY_BUCKETS] = 0;
    for (unsigned i = LATENCY_BUCKETS; i-- > 0;) {
        sum += side->latency[i];
        tails->at[i] = (double)sum;
    }
}

unsigned verdict_bucket_above(const struct verdict_tails *tails, double quantile)
{
    double rest = tails->at[0] * (1 - quantile);
    unsigned i = 1;

    if (!(tails->at[0] > 0))
        return LATENCY_BUCKETS;
    while (i < LATENCY_BUCKETS && tails->at[i] > rest)
        i++;
    return i;
}

static double guess_share(const struct verdict_tails *past, unsigned bucket)
{
    return verdict_bounded((past->at[bucket] + 0.5) / (past->at[0] + 1));
}

/* --- proofs */

static double mean_log(const struct verdict_proof *proof)
{
    double most = proof->logs[0], sum = 0;

    for (unsigned i = 1; i < VERDICT_EFFECTS; i++)
        most = fmax(most, proof->logs[i]);
    for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
        sum += exp(proof->logs[i] - most);
    return most + log(sum / VERDICT_EFFECTS);
}

static void grow(struct verdict_proof *proof, const double gains[VERDICT_EFFECTS])
{
    for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
        proof->logs[i] += gains[i];
    proof->top = fmax(proof->top, mean_log(proof));
}

/* Against "the canary shows it no more often than stable", of which `rate` is a guess. */
static void weigh_more(double gains[VERDICT_EFFECTS], const struct verdict_block *block,
                       double rate)
{
    for (unsigned i = 0; i < VERDICT_EFFECTS; i++) {
        struct verdict_pair rates = {rate, verdict_raised(rate, effects[i])};

        gains[i] = verdict_weigh(block, rates, verdict_nearest_equal(&block->seen, rates));
    }
}

/* A request may be counted in one block and turn out to have failed in a later one: there are never
 * more failures in a block than requests, and the rest is of the next. */
static uint64_t failed(const struct verdict_side *side)
{
    return side->failures < side->requests ? side->failures : side->requests;
}

/* The block without some clients of the canary; where it has none of them it is the same. */
static void judge_without(struct verdict *v, unsigned i, const struct verdict_block *block,
                          const double gains[VERDICT_EFFECTS], double rate)
{
    const struct verdict_count *clients = &v->open_canary.clients[i];
    double changed[VERDICT_EFFECTS] = {0};
    struct verdict_block others = *block;

    if (clients->requests) {
        others.seen.canary = fmax(0, others.seen.canary - (double)clients->requests);
        others.shown.canary = fmax(0, others.shown.canary - (double)clients->failures);
        others.shown.canary = fmin(others.shown.canary, others.seen.canary);
        weigh_more(changed, &others, rate);
        gains = changed;
    }
    grow(&v->whole.without[i], gains);
    grow(&v->step.without[i], gains);
}

static void judge_errors(struct verdict *v, const struct verdict_rule *rule)
{
    const struct verdict_block block = {
        {(double)v->open_stable.requests, (double)v->open_canary.requests},
        {(double)failed(&v->open_stable), (double)failed(&v->open_canary)},
    };
    double rate =
        verdict_bounded((v->base_failures + GUESS_FAILURES) / (v->base_requests + GUESS_REQUESTS));
    struct verdict_pair healthy = {rate, rate};
    double gains[VERDICT_EFFECTS];

    weigh_more(gains, &block, rate);
    grow(&v->whole.worse, gains);
    grow(&v->step.worse, gains);
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        judge_without(v, i, &block, gains, rate);
    v->sound +=
        verdict_weigh(&block, healthy, verdict_nearest_intolerable(&block.seen, healthy, rule));
}

/* A block's latencies, and what was known of stable's before it. */
struct times {
    struct verdict_tails past, stable, canary;
};

/* "Not tolerable": the canary is above max(r t, t + m) at least as often as stable is above t,
 * which is the edge below its quantile: some are above it even if all take the same time. The edge
 * below that limit stands for it, which makes it no easier to pass. */
static double weigh_swift(const struct times *times, unsigned bucket,
                          const struct verdict_rule *rule)
{
    double least = (double)latency_least_us(bucket);
    double limit = fmax(least * rule->latency_ratio, least + rule->latency_margin * 1e6);
    unsigned late = latency_bucket((uint64_t)limit);
    const struct verdict_block block = {{times->stable.at[0], times->canary.at[0]},
                                        {times->stable.at[bucket], times->canary.at[late]}};
    struct verdict_pair rates = {guess_share(&times->past, bucket),
                                 guess_share(&times->past, late)};

    return verdict_weigh(&block, rates, verdict_nearest_equal(&block.seen, rates));
}

/* "No slower": the canary is above stable's quantile, as it was, no more often than stable is. */
static void judge_quantile(struct verdict *v, const struct verdict_rule *rule,
                           const struct times *times, unsigned i)
{
    unsigned bucket = verdict_bucket_above(&times->past, verdict_quantiles[i]);
    double gains[VERDICT_EFFECTS];
    struct verdict_block block;

    if (bucket == LATENCY_BUCKETS)
        return;
    block = (struct verdict_block){{times->stable.at[0], times->canary.at[0]},
                                   {times->stable.at[bucket], times->canary.at[bucket]}};
    weigh_more(gains, &block, guess_share(&times->past, bucket));
    grow(&v->whole.slower[i], gains);
    grow(&v->step.slower[i], gains);
    if (i < VERDICT_CALM)
        v->swift[i] += weigh_swift(times, bucket - 1, rule);
}

static void judge_latency(struct verdict *v, const struct verdict_rule *rule)
{
    struct times times;

    sum_side(&times.stable, &v->open_stable);
    sum_side(&times.canary, &v->open_canary);
    if (times.stable.at[0] == 0 || times.canary.at[0] == 0)
        return;
    verdict_sum_tails(&times.past, v->base_latency);
    for (unsigned i = 0; i < VERDICT_QUANTILES; i++)
        judge_quantile(v, rule, &times, i);
}

/* --- what is kept of a block */

static void count(struct verdict_count *sum, const struct verdict_count *more)
{
    sum->requests += more->requests;
    sum->failures += more->failures;
}

static void join(struct verdict_side *to, const struct verdict_side *more)
{
    to->requests += more->requests;
    to->failures += more->failures;
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        count(&to->clients[i], &more->clients[i]);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->latency[i] += more->latency[i];
}

/* A block weighs n_a n_b / (n_a + n_b) on either side. */
static void match_block(struct verdict_match *match, const struct verdict_side *stable,
                        const struct verdict_side *canary)
{
    double a = (double)stable->requests, b = (double)canary->requests;
    double good_a = a - (double)failed(stable), good_b = b - (double)failed(canary);

    match->requests += a * b / (a + b);
    match->failures_stable += (double)failed(stable) * b / (a + b);
    match->failures_canary += (double)failed(canary) * a / (a + b);
    if (good_a <= 0 || good_b <= 0)
        return;
    a = good_a / (good_a + good_b);
    b = good_b / (good_a + good_b);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        match->latency_stable[i] += (double)stable->latency[i] * b;
        match->latency_canary[i] += (double)canary->latency[i] * a;
    }
}

static void keep(struct verdict_scope *scope, const struct verdict *v)
{
    const struct verdict_side *stable = &v->open_stable, *canary = &v->open_canary;

    count(&scope->stable, &(struct verdict_count){stable->requests, failed(stable)});
    count(&scope->canary, &(struct verdict_count){canary->requests, failed(canary)});
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        count(&scope->clients[i], &canary->clients[i]);
    match_block(&scope->match, stable, canary);
}

/* What it showed is past now: guesses for the next are made from it. */
static void close_block(struct verdict *v)
{
    double kept = exp(-v->open_s / FADE_S);

    v->base_requests = v->base_requests * kept + (double)v->open_stable.requests;
    v->base_failures = v->base_failures * kept + (double)failed(&v->open_stable);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        v->base_latency[i] = v->base_latency[i] * kept + (double)v->open_stable.latency[i];
    v->open_stable =
        (struct verdict_side){.failures = v->open_stable.failures - failed(&v->open_stable)};
    v->open_canary =
        (struct verdict_side){.failures = v->open_canary.failures - failed(&v->open_canary)};
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
        keep(&v->whole, v);
        keep(&v->step, v);
        close_block(v);
    } else if (v->open_s >= VERDICT_SPAN_S) {
        v->alone_stable += v->open_stable.requests;
        v->alone_canary += v->open_canary.requests;
        close_block(v);
    }
}

void verdict_step(struct verdict *v)
{
    memset(&v->step, 0, sizeof(v->step));
    memset(v->swift, 0, sizeof(v->swift));
    v->sound = 0;
    v->steps++;
}

void verdict_init(struct verdict *v, uint64_t requests, uint64_t failures)
{
    memset(v, 0, sizeof(*v));
    v->base_requests = (double)requests;
    v->base_failures = (double)failures;
}
