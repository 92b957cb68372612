/* SPDX-License-Identifier: Apache-2.0
 *
 * What edges count, put together for the verdict: over the same seconds of both releases, at each
 * edge. And the hard stop, which needs no comparison: half of a few requests that fail.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"

enum { HARD_REQUESTS = 20, LOOK_MS = 1000 };

static const json_t *find(const json_t *counters, const char *release)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(counters, "releases"), i, each)
    {
        const char *name = json_string_value(json_object_get(each, "release"));

        if (name && !strcmp(name, release))
            return each;
    }
    return NULL;
}

static uint64_t number(const json_t *json, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(json, name));
}

/* What an edge has counted of a release since it began; one that does not tell clients has none. */
static void read_counters(const json_t *told, struct verdict_side *side)
{
    const json_t *each;
    size_t i;

    memset(side, 0, sizeof(*side));
    side->requests = number(told, "requests");
    side->failures = number(told, "failures");
    json_array_foreach(json_object_get(told, "latency"), i, each)
    {
        json_int_t bucket = json_integer_value(json_array_get(each, 0));

        if (bucket >= 0 && bucket < LATENCY_BUCKETS)
            side->latency[bucket] = (uint64_t)json_integer_value(json_array_get(each, 1));
    }
    json_array_foreach(json_object_get(told, "clients"), i, each)
    {
        json_int_t group = json_integer_value(json_array_get(each, 0));

        if (group >= 0 && group < VERDICT_CLIENTS)
            side->clients[group] =
                (struct verdict_count){(uint64_t)json_integer_value(json_array_get(each, 1)),
                                       (uint64_t)json_integer_value(json_array_get(each, 2))};
    }
}

static struct verdict_count less(struct verdict_count now, struct verdict_count before)
{
    return (struct verdict_count){now.requests - before.requests, now.failures - before.failures};
}

struct fresh {
    struct verdict_side side;
    uint64_t probes;
};

/* What is new of a release since the last time; an edge that is another process begins at nothing.
 * False: that was the first look. */
static bool take(struct seen_release *seen, const json_t *told, json_int_t instance,
                 struct fresh *fresh_of)
{
    struct verdict_side before = {0}, *fresh = &fresh_of->side;
    bool is_base = !seen->has_counters;
    uint64_t probes = 0;

    if (seen->instance == instance) {
        before = seen->counted;
        probes = seen->probes;
    }
    seen->probes = number(told, "probes");
    fresh_of->probes = seen->probes - probes;
    read_counters(told, &seen->counted);
    seen->has_counters = true;
    seen->instance = instance;
    fresh->requests = seen->counted.requests - before.requests;
    fresh->failures = seen->counted.failures - before.failures;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        fresh->latency[i] = seen->counted.latency[i] - before.latency[i];
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        fresh->clients[i] = less(seen->counted.clients[i], before.clients[i]);
    return !is_base;
}

static void count(struct verdict_count *sum, const struct verdict_count *more)
{
    sum->requests += more->requests;
    sum->failures += more->failures;
}

static void add(struct verdict_side *to, const struct verdict_side *from)
{
    to->requests += from->requests;
    to->failures += from->failures;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        to->latency[i] += from->latency[i];
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        count(&to->clients[i], &from->clients[i]);
}

static void note_window(struct window *window, const struct verdict_side *fresh)
{
    int64_t second = (int64_t)(clock_us() / 1000000);
    size_t at = (size_t)(second % DEPLOY_WINDOW_S);

    if (window->second[at] != second) {
        window->second[at] = second;
        window->all[at] = (struct verdict_count){0};
        memset(window->clients[at], 0, sizeof(window->clients[at]));
    }
    count(&window->all[at], &(struct verdict_count){fresh->requests, fresh->failures});
    for (unsigned i = 0; i < VERDICT_CLIENTS; i++)
        count(&window->clients[at][i], &fresh->clients[i]);
}

void judge_begin(struct managed *managed)
{
    for (uint32_t i = 0; i < managed->watch_count; i++)
        managed->watches[i].old.has_counters = managed->watches[i].new.has_counters = false;
}

void judge_take(struct deploy *deploy, struct watch *watch, const json_t *counters)
{
    json_int_t instance = json_integer_value(json_object_get(counters, "instance"));
    struct fresh old, new;
    bool has_old = take(&watch->old, find(counters, deploy->old), instance, &old);
    bool has_new = take(&watch->new, find(counters, deploy->release), instance, &new);

    if (!has_old || !has_new)
        return;
    add(&deploy->stable, &old.side);
    add(&deploy->canary, &new.side);
    note_window(&deploy->window, &new.side);
    deploy->stable_probes_new += old.probes;
    deploy->canary_probes_new += new.probes;
}

static bool is_half_failing(const struct verdict_count *seen)
{
    return seen->requests >= HARD_REQUESTS && seen->failures * 2 >= seen->requests;
}

/* Half fail, and half of those that are not of the clients which fail most, if there are enough of
 * them: one that asks in a loop is no reason to stop. */
static bool is_hopeless(const struct window *window, struct deploy *deploy)
{
    int64_t second = (int64_t)(clock_us() / 1000000);
    struct verdict_count all = {0}, clients[VERDICT_CLIENTS] = {0}, most = {0}, others;

    for (size_t i = 0; i < DEPLOY_WINDOW_S; i++) {
        if (second - window->second[i] >= DEPLOY_WINDOW_S)
            continue;
        count(&all, &window->all[i]);
        for (unsigned c = 0; c < VERDICT_CLIENTS; c++)
            count(&clients[c], &window->clients[i][c]);
    }
    for (unsigned c = 0; c < VERDICT_CLIENTS; c++)
        if (clients[c].failures > most.failures)
            most = clients[c];
    others = less(all, most);
    if (!is_half_failing(&all) ||
        (others.requests * 10 > all.requests && others.failures * 2 < others.requests))
        return false;
    snprintf(deploy->health_why, sizeof(deploy->health_why),
             "%llu of the last %llu requests of release %s failed",
             (unsigned long long)all.failures, (unsigned long long)all.requests, deploy->release);
    return true;
}

static void begin_step(struct deploy *deploy)
{
    if (deploy->judged_step == UINT32_MAX)
        verdict_init(&deploy->verdict, 0, 0);
    else
        verdict_step(&deploy->verdict);
    deploy->judged_step = deploy->state.step;
    deploy->stable_requests = deploy->stable_failures = 0;
    deploy->canary_requests = deploy->canary_failures = 0;
    deploy->stable_probes = deploy->canary_probes = 0;
    deploy->stable_probes_new = deploy->canary_probes_new = 0;
    memset(&deploy->stable, 0, sizeof(deploy->stable));
    memset(&deploy->canary, 0, sizeof(deploy->canary));
}

static void say_bad(struct deploy *deploy, const struct verdict_answer *answer)
{
    const struct verdict_finding *finding =
        answer->by_errors ? &answer->errors : &answer->latency[answer->quantile];

    if (answer->by_errors)
        snprintf(deploy->health_why, sizeof(deploy->health_why),
                 "%.2f%% of its requests fail, %.2f%% of those of %s (%llu and %llu requests)",
                 100 * finding->canary, 100 * finding->stable, deploy->old,
                 (unsigned long long)deploy->canary_requests,
                 (unsigned long long)deploy->stable_requests);
    else
        snprintf(deploy->health_why, sizeof(deploy->health_why),
                 "%.0f%% of its requests take up to %.1f ms, those of %s %.1f ms",
                 100 * verdict_quantiles[answer->quantile], 1000 * finding->canary, deploy->old,
                 1000 * finding->stable);
}

/* A second's worth of both goes into the verdict. */
static void look(struct deploy *deploy, int64_t now_ms)
{
    double span_s = (double)(now_ms - deploy->judged_ms) / 1000;

    verdict_add(&deploy->verdict, &deploy->rule, &deploy->stable, &deploy->canary,
                span_s > 0 && span_s < 60 ? span_s : 1);
    deploy->stable_requests += deploy->stable.requests;
    deploy->stable_failures += deploy->stable.failures;
    deploy->canary_requests += deploy->canary.requests;
    deploy->canary_failures += deploy->canary.failures;
    deploy->stable_probes += deploy->stable_probes_new;
    deploy->canary_probes += deploy->canary_probes_new;
    deploy->stable_probes_new = deploy->canary_probes_new = 0;
    memset(&deploy->stable, 0, sizeof(deploy->stable));
    memset(&deploy->canary, 0, sizeof(deploy->canary));
    deploy->judged_ms = now_ms;
}

void judge_look(struct deploy *deploy, struct deploy_seen *seen)
{
    struct deploy_wants wants = deploy_wants(&deploy->plan, &deploy->state);
    int64_t now_ms = (int64_t)(clock_us() / 1000);
    struct verdict_answer answer;

    if (wants.new_share && is_hopeless(&deploy->window, deploy)) {
        seen->is_ill = true;
        seen->why = deploy->health_why;
    }
    if (!wants.is_judged)
        return;
    if (deploy->judged_step != deploy->state.step)
        begin_step(deploy);
    if (now_ms - deploy->judged_ms >= LOOK_MS)
        look(deploy, now_ms);
    answer = verdict_look(&deploy->verdict, &deploy->rule);
    if (answer.outcome == VERDICT_GOOD)
        seen->verdict = DEPLOY_SOUND;
    if (answer.outcome != VERDICT_BAD)
        return;
    seen->verdict = DEPLOY_WORSE;
    say_bad(deploy, &answer);
    seen->why = deploy->health_why;
}
