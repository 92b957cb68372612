/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict against traffic made up here: how often a healthy canary is called bad though it is
 * looked at again and again, and how soon bad ones are found; beside rules of fixed thresholds over
 * the same requests. Arguments: row, runs, seed. Prints the row as one JSON object; a row that is
 * not there prints nothing.
 */
#include "control/verdict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "control/verdict_plan.h"

#define SIGMA 0.7 /* of the logarithm of latency */
#define TYPICAL_US 40000
#define SLOW_US 500000 /* what a minute's 99 % may take for a rule of thresholds */

enum {
    STABLE_EACH = 19, /* requests of stable for one of the canary: a share of 5 % */
    RULE_MINUTES = 30,
    FLAGGER_BAD = 5,  /* failed checks in all: `threshold: 5` */
    ARGO_BAD = 4,     /* `failureLimit: 3` */
    OUTAGE_EACH = 60, /* requests of the canary from one outage to the next */
    OUTAGE_LEN = 12,  /* that come in one */
    SPELL_LEN = 500,  /* after which latency changes where it is unsteady */
    DRAWS = 65536,
};

struct side {
    double errors, latency; /* share that fails; times the usual latency */
};

struct scene {
    const char *name;
    struct side stable, canary;
    enum verdict_outcome wanted;
    double at_least, at_most; /* share of runs that must end as wanted */
    uint32_t most;            /* requests of the canary in a run */
    uint32_t median, late;    /* by which half and 95 % of runs must end so; 0: any */
    uint32_t block;           /* requests of the canary in a block: from one look to the next */
    uint32_t a_minute;        /* requests of the canary */
    uint32_t steps;           /* that the run has; 0: one */
    uint32_t good_for;        /* requests that the canary is as stable in, in a step before */
    double drift;             /* times that the rates of both rise and fall within a run */
    double outage;            /* times that they rise at once for some requests, and fall again */
    double loop;              /* share of the canary's requests of one client, which all fail */
    bool
        is_unsteady; /* both have the canary's latency in every other spell, and stable's between */
    bool is_planned; /* the canary's errors are what the plan says that so many requests show */
};

#define OFTEN .block = 1, .a_minute = 60 /* looked at after each request */
#define SELDOM .block = 5, .a_minute = 60
#define HEALTHY(rate, times) .stable = {rate, 1}, .canary = {rate, times}, .at_most = 0.01
#define FALSE_ALARMS .wanted = VERDICT_BAD, .most = 6000
#define FOUND .wanted = VERDICT_BAD, .at_least = 0.95, .at_most = 1, .most = 8000
#define PASSED .wanted = VERDICT_GOOD, .at_most = 0.05, .most = 6000
#define PLANNED .wanted = VERDICT_BAD, .at_least = 0.85, .at_most = 0.99, .is_planned = true
#define UNSURE .wanted = VERDICT_UNSURE, .at_least = 1, .at_most = 1, .most = 30
#define FROM_1_TO(rate) .stable = {0.01, 1}, .canary = {rate, 1}
#define SLOWER .stable = {0.001, 1}, .canary = {0.001, 1.5}

/* The longest first: they run side by side. */
static const struct scene scenes[] = {
    {"healthy, 1 %", HEALTHY(0.01, 1), FALSE_ALARMS, OFTEN},
    {"healthy, 0.1 %", HEALTHY(0.001, 1), FALSE_ALARMS, SELDOM},
    {"healthy, 5 %", HEALTHY(0.05, 1), FALSE_ALARMS, SELDOM},
    {"healthy, latency alone", HEALTHY(0, 1), FALSE_ALARMS, SELDOM},
    {"healthy, 0.5 to 10 %", HEALTHY(0.005, 1), FALSE_ALARMS, SELDOM, .drift = 20},
    {"healthy, unsteady", HEALTHY(0.01, 3), FALSE_ALARMS, SELDOM, .is_unsteady = true},
    {"healthy, five steps", HEALTHY(0.01, 1), FALSE_ALARMS, SELDOM, .steps = 5},
    {"healthy, outages", HEALTHY(0.01, 1), .wanted = VERDICT_BAD, .most = 1500, .block = 1,
     .a_minute = 6, .outage = 40},
    {"healthy, a client in a loop", HEALTHY(0.01, 1), FALSE_ALARMS, SELDOM, .loop = 0.1},
    {"1 to 2 %", FROM_1_TO(0.02), FOUND, SELDOM, .median = 1900, .late = 4300},
    {"1 to 5 %", FROM_1_TO(0.05), FOUND, OFTEN, .late = 450},
    {"1 to 20 %", FROM_1_TO(0.20), FOUND, OFTEN, .late = 55},
    {"1 %, all fail", FROM_1_TO(1), FOUND, OFTEN, .late = 55},
    {"1.5 times slower", SLOWER, FOUND, OFTEN, .median = 1900, .late = 4300},
    {"to 5 % in a later step", FROM_1_TO(0.05), FOUND, SELDOM, .late = 900, .good_for = 3000},
    {"what 500 show of 1 %", FROM_1_TO(0), PLANNED, OFTEN, .most = 500},
    {"what 4000 show of 1 %", FROM_1_TO(0), PLANNED, SELDOM, .most = 4000},
    {"what 4000 show of 0.1 %", .stable = {0.001, 1}, .canary = {0, 1}, PLANNED, SELDOM,
     .most = 4000},
    {"passes, 0.1 %", .stable = {0.001, 1}, .canary = {0.001, 1}, .wanted = VERDICT_GOOD,
     .at_least = 0.95, .at_most = 1, .most = 6000, SELDOM, .median = 1500},
    {"passes, 1 to 2 %", FROM_1_TO(0.02), PASSED, SELDOM},
    {"passes, 1.5 times slower", SLOWER, PASSED, SELDOM},
    {"unsure, one a minute", .stable = {0.001, 1}, .canary = {0.001, 1}, UNSURE, .block = 1,
     .a_minute = 1},
    {"unsure, 5 % of one a minute", .stable = {0.01, 1}, .canary = {0.05, 1},
     .wanted = VERDICT_UNSURE, .at_least = 0.99, .at_most = 1, .most = 30, .block = 1,
     .a_minute = 1},
};

static const struct verdict_rule rule = {.error_ratio = 2,
                                         .error_margin = 0.005,
                                         .latency_ratio = 1.5,
                                         .latency_margin = 0.005,
                                         .minimum = 50};

/* Buckets, each as often as a latency falls in it. */
struct draws {
    uint16_t bucket[DRAWS];
};

static void draw_up(struct draws *draws, double times)
{
    unsigned bucket = 0;

    for (uint32_t i = 0; i < DRAWS; i++) {
        double share = (i + 0.5) / DRAWS, above;

        do {
            double edge = (double)latency_least_us(bucket + 1) / (TYPICAL_US * times);

            above = 0.5 * erfc(log(edge) / SIGMA * M_SQRT1_2);
        } while (1 - above < share && ++bucket < LATENCY_BUCKETS - 1);
        draws->bucket[i] = (uint16_t)bucket;
    }
}

static double uniform(uint64_t *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

static void ask(uint64_t *random, double errors, const struct draws *draws,
                struct verdict_side *counts)
{
    uint64_t drawn = random_next(random);

    counts->requests++;
    if ((double)(drawn >> 16) < errors * 0x1p48)
        counts->failures++;
    else
        counts->latency[draws->bucket[drawn % DRAWS]]++;
}

/* --- rules of fixed thresholds: at least 99 % of a minute's requests succeed, within 500 ms */

struct fixed {
    uint32_t requests, failures, slow, minutes, bad;
};

static void watch(struct fixed *fixed, const struct verdict_side *canary, uint32_t a_minute)
{
    fixed->requests += (uint32_t)canary->requests;
    fixed->failures += (uint32_t)canary->failures;
    for (unsigned i = latency_bucket(SLOW_US); i < LATENCY_BUCKETS; i++)
        fixed->slow += (uint32_t)canary->latency[i];
    if (fixed->requests < a_minute || fixed->minutes == RULE_MINUTES)
        return;
    fixed->bad += fixed->failures * 100 > fixed->requests ||
                  fixed->slow * 100 > fixed->requests - fixed->failures;
    fixed->requests = fixed->failures = fixed->slow = 0;
    fixed->minutes++;
}

/* --- a run */

struct play {
    const struct scene *scene;
    double canary_errors;
    struct draws stable, canary;
    uint64_t random;
    struct verdict verdict;
    struct fixed fixed;
    double times_before; /* what the rates of errors were multiplied with in the last block */
};

static double times_at(const struct scene *scene, uint32_t n)
{
    double wave = (1 - cos(4 * M_PI * n / scene->most)) / 2;

    if (scene->outage > 0)
        return n % OUTAGE_EACH < OUTAGE_LEN ? scene->outage : 1;
    return scene->drift > 0 ? pow(scene->drift, wave) : 1;
}

static const struct draws *draws_at(const struct play *play, uint32_t n, bool is_canary)
{
    if (play->scene->is_unsteady)
        is_canary = n / SPELL_LEN % 2;
    return is_canary ? &play->canary : &play->stable;
}

/* What stable has in a block. What changes the rates does so somewhere in it. */
static void ask_stable(struct play *play, uint32_t n, struct verdict_side *counts)
{
    const struct scene *scene = play->scene;
    const struct draws *draws = draws_at(play, n, false);
    uint32_t requests = STABLE_EACH * scene->block;
    double before = scene->stable.errors * play->times_before;
    double after = scene->stable.errors * times_at(scene, n);
    double changed = uniform(&play->random) * requests;

    for (uint32_t i = 0; i < requests; i++)
        ask(&play->random, i < changed ? before : after, draws, counts);
}

/* And the canary: its requests are the block's last, since the block is closed by them. */
static void ask_canary(struct play *play, uint32_t n, bool is_good, struct verdict_side *counts)
{
    const struct scene *scene = play->scene;
    const struct draws *draws = draws_at(play, n, !is_good);
    double errors = is_good ? scene->stable.errors : play->canary_errors;

    for (uint32_t i = 0; i < scene->block; i++) {
        bool is_loop = !is_good && scene->loop > 0 && uniform(&play->random) < scene->loop;
        uint64_t failures = counts->failures;
        struct verdict_count *client =
            &counts->clients[is_loop ? 0 : random_below(&play->random, VERDICT_CLIENTS)];

        ask(&play->random, is_loop ? 1 : errors * times_at(scene, n), draws, counts);
        client->requests++;
        client->failures += counts->failures - failures;
    }
}

static enum verdict_outcome add_block(struct play *play, uint32_t n, bool is_good)
{
    struct verdict_side stable = {0}, canary = {0};

    ask_stable(play, n, &stable);
    ask_canary(play, n, is_good, &canary);
    play->times_before = times_at(play->scene, n);
    verdict_add(&play->verdict, &rule, &stable, &canary,
                60.0 * play->scene->block / play->scene->a_minute);
    if (is_good)
        return VERDICT_UNSURE;
    watch(&play->fixed, &canary, play->scene->a_minute);
    return verdict_look(&play->verdict, &rule).outcome;
}

static void begin(struct play *play)
{
    verdict_init(&play->verdict, 0, 0);
    play->fixed = (struct fixed){0};
    play->times_before = times_at(play->scene, 0);
    for (uint32_t n = 0; n < play->scene->good_for; n += play->scene->block)
        (void)add_block(play, n, true);
    if (play->scene->good_for)
        verdict_step(&play->verdict);
}

/* The verdict is given: rules of thresholds have the rest of their minutes. */
static void finish(struct play *play, uint32_t n)
{
    const struct scene *scene = play->scene;

    for (; n <= scene->most && play->fixed.minutes < RULE_MINUTES; n += scene->block) {
        struct verdict_side canary = {0};

        ask_canary(play, n, false, &canary);
        watch(&play->fixed, &canary, scene->a_minute);
    }
}

/* How many requests of the canary it took to come out as wanted; `most` + 1: it never did. */
static uint32_t run(struct play *play)
{
    const struct scene *scene = play->scene;

    begin(play);
    for (uint32_t n = scene->block; n <= scene->most; n += scene->block) {
        enum verdict_outcome outcome;

        if (scene->steps && n % (scene->most / scene->steps) == 0)
            verdict_step(&play->verdict);
        outcome = add_block(play, n, false);
        if (outcome == VERDICT_UNSURE || (outcome == VERDICT_GOOD && scene->wanted == VERDICT_BAD))
            continue;
        finish(play, n + scene->block);
        return outcome == scene->wanted ? n : scene->most + 1;
    }
    return scene->wanted == VERDICT_UNSURE ? scene->most : scene->most + 1;
}

/* --- a row */

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

struct result {
    uint32_t *at; /* of each run, ascending */
    uint32_t runs, wanted, flagger, argo;
};

static void print_late(const char *name, const struct scene *scene, uint32_t at)
{
    if (at <= scene->most)
        printf(", \"%s\": %u", name, at);
}

static void print_row(const struct scene *scene, double canary_errors, const struct result *result)
{
    uint32_t half = result->at[result->runs / 2], late = result->at[result->runs * 95 / 100];
    double share = (double)result->wanted / result->runs;
    bool is_late = (scene->median && half > scene->median) || (scene->late && late > scene->late);

    printf("{\"name\": \"%s\", \"canary_errors\": %.4f, \"share\": %.4f", scene->name,
           canary_errors, share);
    print_late("median", scene, half);
    print_late("p95", scene, late);
    printf(", \"flagger\": %.4f, \"argo\": %.4f, \"missed\": %d",
           (double)result->flagger / result->runs, (double)result->argo / result->runs,
           share < scene->at_least || share > scene->at_most || is_late);
    printf(", \"at_least\": %.4f, \"at_most\": %.4f, \"median_most\": %u, \"p95_most\": %u}\n",
           scene->at_least, scene->at_most, scene->median, scene->late);
}

static void play_row(struct play *play, struct result *result, uint64_t seed)
{
    const struct scene *scene = play->scene;
    double stable = (double)scene->most * STABLE_EACH;

    play->canary_errors = scene->canary.errors;
    if (scene->is_planned)
        play->canary_errors =
            scene->stable.errors * verdict_detectable(scene->stable.errors, stable, scene->most);
    draw_up(&play->stable, scene->stable.latency);
    draw_up(&play->canary, scene->canary.latency);
    for (uint32_t i = 0; i < result->runs; i++) {
        play->random = random_mix(seed + i);
        result->at[i] = run(play);
        result->wanted += result->at[i] <= scene->most;
        result->flagger += play->fixed.bad >= FLAGGER_BAD;
        result->argo += play->fixed.bad >= ARGO_BAD;
    }
    qsort(result->at, result->runs, sizeof(*result->at), compare);
}

int main(int argc, char **argv)
{
    static struct play play;
    struct result result = {0};
    unsigned long row = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

    if (argc != 4)
        return 2;
    if (row >= ARRAY_LEN(scenes))
        return 0;
    result.runs = (uint32_t)strtoul(argv[2], NULL, 10);
    result.at = calloc(result.runs, sizeof(*result.at));
    if (!result.runs || !result.at)
        return 1;
    play.scene = &scenes[row];
    play_row(&play, &result, random_mix(strtoull(argv[3], NULL, 10)) + ((uint64_t)row << 32));
    print_row(play.scene, play.canary_errors, &result);
    free(result.at);
    return 0;
}
