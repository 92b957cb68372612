/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict against traffic made up here: how often a healthy canary is called bad though it is
 * looked at after each of its requests, and how soon bad ones are found; beside a rule of fixed
 * thresholds (a minute below 99 % success, five in all, in thirty minutes: Flagger's shape).
 * Arguments: runs, seed. One line a case; fails when a case misses what is promised of it.
 */
#include "control/verdict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define SIGMA 0.7 /* of the logarithm of latency */
#define TYPICAL_US 40000

enum { STABLE_EACH = 19, RULE_MINUTES = 30, RULE_BAD = 5 };

struct side {
    double errors, latency; /* share that fails; times the usual latency */
};

struct scene {
    const char *name;
    struct side stable, canary;
    double drift;       /* times that the rates of both rise and fall within a run; 0: they do not */
    uint32_t most;      /* requests of the canary in a run */
    enum verdict_outcome wanted;
    double at_least, at_most; /* share of runs that must end as wanted */
    uint32_t median, late;    /* requests of the canary by which half and 95 % of runs must; 0: any */
};

static const struct scene scenes[] = {
    {"healthy, 1 %", {0.01, 1}, {0.01, 1}, 0, 6000, VERDICT_BAD, 0, 0.01, 0, 0},
    {"healthy, 0.1 %", {0.001, 1}, {0.001, 1}, 0, 6000, VERDICT_BAD, 0, 0.01, 0, 0},
    {"healthy, drifting 0.5 to 10 %", {0.005, 1}, {0.005, 1}, 20, 6000, VERDICT_BAD, 0, 0.01, 0, 0},
    {"twice as many errors, 1 %", {0.01, 1}, {0.02, 1}, 0, 8000, VERDICT_BAD, 0.95, 1, 1900, 4300},
    {"5 % errors, 1 %", {0.01, 1}, {0.05, 1}, 0, 8000, VERDICT_BAD, 0.95, 1, 0, 450},
    {"20 % errors, 1 %", {0.01, 1}, {0.20, 1}, 0, 8000, VERDICT_BAD, 0.95, 1, 0, 55},
    {"all fail, 1 %", {0.01, 1}, {1, 1}, 0, 8000, VERDICT_BAD, 0.95, 1, 0, 55},
    {"1.5 times slower", {0.001, 1}, {0.001, 1.5}, 0, 8000, VERDICT_BAD, 0.95, 1, 1900, 4300},
    {"passes, 0.1 %", {0.001, 1}, {0.001, 1}, 0, 6000, VERDICT_GOOD, 0.95, 1, 1500, 0},
    {"passes though twice as bad", {0.01, 1}, {0.02, 1}, 0, 6000, VERDICT_GOOD, 0, 0.05, 0, 0},
    {"passes though slower", {0.001, 1}, {0.001, 1.5}, 0, 6000, VERDICT_GOOD, 0, 0.05, 0, 0},
    {"30 requests are not enough", {0.01, 1}, {0.01, 1}, 0, 30, VERDICT_UNSURE, 1, 1, 0, 0},
};

static const struct verdict_rule rule = {
    .error_ratio = 2, .error_margin = 0.005, .latency_ratio = 1.5, .minimum = 50};

static double uniform(uint64_t *random)
{
    return ((double)(random_next(random) >> 11) + 0.5) * 0x1p-53;
}

static uint64_t draw_latency(uint64_t *random, double times)
{
    double normal = sqrt(-2 * log(uniform(random))) * cos(2 * M_PI * uniform(random));

    return (uint64_t)(TYPICAL_US * times * exp(SIGMA * normal));
}

static void ask(uint64_t *random, const struct side *side, double times,
                struct verdict_side *counts)
{
    counts->requests++;
    if (uniform(random) < side->errors * times)
        counts->failures++;
    else
        counts->latency[latency_bucket(draw_latency(random, side->latency))]++;
}

/* What a rule of fixed thresholds says of the canary alone, of so many requests a minute. */
struct fixed {
    uint32_t requests, failures, bad;
};

static bool fixed_says_bad(struct fixed *fixed, uint32_t a_minute)
{
    if (fixed->requests < a_minute)
        return false;
    fixed->bad += (double)fixed->failures > 0.01 * (double)fixed->requests;
    fixed->requests = fixed->failures = 0;
    return fixed->bad >= RULE_BAD;
}

struct result {
    uint32_t *at;          /* requests of the canary when it came out as wanted; `most` + 1: never */
    uint32_t fixed_bad;    /* runs that the fixed rule calls bad, of 60 requests a minute */
};

static bool run(const struct scene *scene, uint64_t *random, struct verdict *verdict,
                uint32_t *at)
{
    struct fixed fixed = {0};
    bool is_fixed_bad = false;

    verdict_init(verdict, 0, 0);
    *at = scene->wanted == VERDICT_UNSURE ? scene->most : scene->most + 1;
    for (uint32_t n = 1; n <= scene->most; n++) {
        struct verdict_side stable = {0}, canary = {0};
        double wave = (1 - cos(4 * M_PI * n / scene->most)) / 2;
        double times = scene->drift > 0 ? pow(scene->drift, wave) : 1;
        enum verdict_outcome outcome;

        for (unsigned i = 0; i < STABLE_EACH; i++)
            ask(random, &scene->stable, times, &stable);
        ask(random, &scene->canary, times, &canary);
        verdict_add(verdict, &rule, &stable, &canary, 1);
        fixed.requests++;
        fixed.failures += (uint32_t)canary.failures;
        is_fixed_bad |= n <= 60 * RULE_MINUTES && fixed_says_bad(&fixed, 60);
        outcome = verdict_look(verdict, &rule).outcome;
        if (outcome == VERDICT_BAD || outcome == scene->wanted) {
            *at = outcome == scene->wanted ? n : scene->most + 1;
            if (outcome != VERDICT_UNSURE)
                break;
        }
    }
    return is_fixed_bad;
}

static int compare(const void *a, const void *b)
{
    return (*(const uint32_t *)a > *(const uint32_t *)b) -
           (*(const uint32_t *)a < *(const uint32_t *)b);
}
int main(int argc, char **argv)
{
    uint32_t runs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000;
    uint32_t *at = calloc(runs, sizeof(*at));
    static struct verdict verdict;
    uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    for (size_t i = 0; i < ARRAY_LEN(scenes); i++) {
        uint32_t found = 0, fixed = 0;
        for (uint32_t r = 0; r < runs; r++) {
            fixed += run(&scenes[i], &random, &verdict, &at[r]);
            found += at[r] <= scenes[i].most;
        }
        qsort(at, runs, sizeof(*at), compare);
        printf("%-32s %6.2f %% median %6u  95 %% %6u fixed %5.1f %%\n", scenes[i].name, 100.0 * found / runs, at[runs / 2], at[runs * 95 / 100], 100.0*fixed/runs);
        fflush(stdout);
    }
}
