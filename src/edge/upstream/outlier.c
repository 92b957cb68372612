/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/outlier.h"

#include <stdlib.h>

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void outlier_eject(struct outlier *outlier, const struct outlier_rule *rule, uint64_t now_ms)
{
    uint64_t span_ms;

    if (outlier->times < UINT32_MAX)
        outlier->times++;
    span_ms = min((uint64_t)rule->eject_ms * outlier->times, rule->eject_max_ms);
    outlier->until_ms = now_ms + (span_ms ? span_ms : 1);
}

bool outlier_tick(struct outlier *outlier, const struct outlier_rule *rule, uint64_t now_ms)
{
    uint64_t step_ms = rule->eject_ms ? rule->eject_ms : 1, steps;

    if (outlier->until_ms) {
        if (now_ms < outlier->until_ms)
            return false;
        outlier->until_ms = 0;
        outlier->calm_since_ms = now_ms;
        return true;
    }
    if (!outlier->times || now_ms <= outlier->calm_since_ms)
        return false;
    steps = (now_ms - outlier->calm_since_ms) / step_ms;
    outlier->times -= (uint32_t)min(steps, outlier->times);
    outlier->calm_since_ms += steps * step_ms;
    return false;
}

bool outlier_may_eject(const struct outlier_rule *rule, uint32_t ejected, uint32_t total)
{
    uint64_t most = (uint64_t)total * rule->max_ejected_ppm / 1000000;
    uint64_t then = (uint64_t)ejected + 1;

    return then <= (most ? most : 1) && then < total;
}

static bool counts(const struct outlier_rule *rule, const struct outlier_sample *sample,
                   uint64_t number)
{
    return sample->is_judged && number && number >= rule->minimum;
}

// Of several targets: sums of 64-bit counts.
struct pool {
    unsigned __int128 requests, failures;
    uint32_t count;
};

static struct pool pool_of(const struct outlier_sample *sample)
{
    return (struct pool){sample->requests, min(sample->failures, sample->requests), 1};
}

static bool fails_more(const struct outlier_rule *rule, struct pool own, struct pool peers)
{
    // Shares of failures, each times the requests of both sides. Floating point does not overflow,
    // and is exact up to 2^53.
    double mine = (double)own.failures * (double)peers.requests;
    double theirs = (double)peers.failures * (double)own.requests;
    double both = (double)own.requests * (double)peers.requests;

    return mine * 1000 >= theirs * rule->errors_thousandths &&
           (mine - theirs) * 100 >= both * OUTLIER_MARGIN_PERCENT;
}

static void judge_errors(const struct outlier_rule *rule, const struct outlier_sample *samples,
                         uint32_t n, enum outlier_why *why)
{
    struct pool all = {0};

    for (uint32_t i = 0; i < n; i++) {
        struct pool own = pool_of(&samples[i]);

        if (!counts(rule, &samples[i], samples[i].requests))
            continue;
        all.requests += own.requests;
        all.failures += own.failures;
        all.count++;
    }
    for (uint32_t i = 0; i < n && all.count > OUTLIER_PEERS_MIN; i++) {
        struct pool own = pool_of(&samples[i]);
        struct pool peers = {all.requests - own.requests, all.failures - own.failures, 0};

        if (counts(rule, &samples[i], samples[i].requests) && fails_more(rule, own, peers))
            why[i] = OUTLIER_ERRORS;
    }
}

static double mean_us(const struct outlier_sample *sample)
{
    return (double)sample->latency_us / (double)sample->answers;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

// Of sorted[count], one of which is `own`, the one at `at` once own is taken out.
static double other(const double *sorted, uint32_t at, double own)
{
    return sorted[at] < own ? sorted[at] : sorted[at + 1];
}

static double median_of_others(const double *sorted, uint32_t count, double own)
{
    uint32_t others = count - 1;

    return (other(sorted, (others - 1) / 2, own) + other(sorted, others / 2, own)) / 2;
}

static void judge_latency(const struct outlier_rule *rule, const struct outlier_sample *samples,
                          uint32_t n, enum outlier_why *why)
{
    double sorted[BALANCER_TARGETS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        if (counts(rule, &samples[i], samples[i].answers))
            sorted[count++] = mean_us(&samples[i]);
    if (count <= OUTLIER_PEERS_MIN)
        return;
    qsort(sorted, count, sizeof(*sorted), compare);
    for (uint32_t i = 0; i < n; i++) {
        double own, median;

        if (why[i] != OUTLIER_NONE || !counts(rule, &samples[i], samples[i].answers))
            continue;
        own = mean_us(&samples[i]);
        median = median_of_others(sorted, count, own);
        if (own * 1000 >= median * rule->latency_thousandths && own - median >= OUTLIER_MARGIN_US)
            why[i] = OUTLIER_LATENCY;
    }
}

void outlier_judge(const struct outlier_rule *rule, const struct outlier_sample *samples,
                   uint32_t n, enum outlier_why *why)
{
    for (uint32_t i = 0; i < n; i++)
        why[i] = OUTLIER_NONE;
    if (rule->errors_thousandths)
        judge_errors(rule, samples, n, why);
    if (rule->latency_thousandths)
        judge_latency(rule, samples, n, why);
}
