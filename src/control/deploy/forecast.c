/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/forecast.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/deploy/impl.h"
#include "control/say.h"
#include "control/verdict_plan.h"

enum { LINE_LEN = VERDICT_ADVICE_LEN + 64, ENOUGH_S = 5 };

static void add_line(json_t *lines, const char *format, ...) PRINTF(2, 3);

static void add_line(json_t *lines, const char *format, ...)
{
    char text[LINE_LEN];
    va_list args;

    va_start(args, format);
    say_into_args(text, sizeof(text), format, args);
    va_end(args);
    json_array_append_new(lines, json_string(text));
}

/* --- the forecast */

static double probes_of(const struct deploy *deploy)
{
    return (double)json_integer_value(json_object_get(deploy->topup.plan, "rate"));
}

/* A step lasts until it has its verdict, or must do without; requests of our own are added to both
 * sides where clients ask less. */
static struct verdict_traffic traffic_in(const struct deploy *deploy,
                                         const struct deploy_step *step,
                                         const struct traffic_rate *rate)
{
    double share = (double)step->share / DEPLOY_WHOLE;
    double ours = fmax(0, probes_of(deploy) / 2 - rate->requests_s * share);
    double all = rate->requests_s + 2 * ours;
    uint32_t most_ms = step->for_ms > deploy->plan.judge_ms ? step->for_ms : deploy->plan.judge_ms;

    return (struct verdict_traffic){
        .requests_s = all,
        .failures = rate->failures,
        .canary = all > 0 ? (rate->requests_s * share + ours) / all : share,
        .planned_s = (double)most_ms / 1000,
    };
}

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* True: the step can do what it is for. */
static bool add_step(const struct deploy *deploy, uint32_t at, const struct traffic_rate *rate,
                     json_t *forecast)
{
    const struct deploy_step *step = &deploy->plan.steps[at];
    struct verdict_traffic traffic = traffic_in(deploy, step, rate);
    struct verdict_sight sight = verdict_foresee(&traffic, &deploy->rule);
    char text[VERDICT_ADVICE_LEN];

    verdict_advise(&traffic, &deploy->rule, text);
    add_line(json_object_get(forecast, "text"), "step %u: with %s", at + 1, text);
    json_array_append_new(json_object_get(forecast, "steps"),
                          json_pack("{s:i,s:f,s:f,s:f,s:o,s:o,s:b}", "step", (int)at + 1, "percent",
                                    100.0 * step->share / DEPLOY_WHOLE, "planned_s",
                                    traffic.planned_s, "requests", sight.requests, "detectable",
                                    real(sight.detectable), "enough_s", real(sight.enough_s),
                                    "enough", (int)(sight.advice == VERDICT_CANARY)));
    return sight.advice == VERDICT_CANARY;
}

static void say_end(const struct deploy *deploy, json_t *lines)
{
    static const char *const ends[] = {
        [DEPLOY_ASK] = "asks a person", [DEPLOY_PASS] = "passes", [DEPLOY_FAIL] = "fails"};

    add_line(lines, "a step that cannot tell after %u s %s (verdict: on_no_data)",
             deploy->plan.judge_ms / 1000, ends[deploy->plan.on_no_data]);
}

json_t *forecast_make(const struct deploy *deploy, const struct traffic_rate *rate)
{
    bool is_known = rate->over_s >= ENOUGH_S, is_enough = true, is_judged = false;
    json_t *forecast = json_pack("{s:f,s:f,s:f,s:[],s:[]}", "over_s", rate->over_s, "requests_s",
                                 rate->requests_s, "failures", rate->failures, "steps", "text");
    json_t *lines = json_object_get(forecast, "text");

    for (uint32_t i = 0; i < deploy->plan.step_count; i++) {
        if (!deploy->plan.steps[i].is_judged)
            continue;
        is_judged = true;
        if (is_known)
            is_enough &= add_step(deploy, i, rate, forecast);
    }
    if (!is_judged || !forecast) {
        json_decref(forecast);
        return json_null();
    }
    if (!is_known)
        add_line(lines, "the traffic of %s is not known yet: control has begun to look %.0f s ago",
                 deploy->service, rate->over_s);
    else if (!is_enough)
        add_line(lines,
                 "too little for a canary: `--strategy bluegreen` switches at once, watches, "
                 "and goes back by itself");
    say_end(deploy, lines);
    json_object_set_new(forecast, "proposal",
                        is_known ? json_string(is_enough ? "canary" : "bluegreen") : json_null());
    return forecast;
}

void forecast_log(struct deploy *deploy, const json_t *forecast)
{
    const json_t *line;
    size_t i;

    json_array_foreach(json_object_get(forecast, "text"), i, line)
        deploy_log(deploy, "%s", json_string_value(line));
}

/* --- the plan */

static void say_step(const struct deploy_step *step, uint32_t at, json_t *lines)
{
    if (step->is_approval)
        add_line(lines, "step %u: waits for `sluice approve`", at + 1);
    else
        add_line(lines, "step %u: %.4g%% of the requests%s%s", at + 1,
                 100.0 * step->share / DEPLOY_WHOLE, step->for_ms ? ", for a time" : "",
                 step->is_judged ? ", until there is a verdict" : "");
}

static json_t *steps_json(const struct deploy *deploy, json_t *lines)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < deploy->plan.step_count; i++) {
        const struct deploy_step *step = &deploy->plan.steps[i];

        say_step(step, i, lines);
        json_array_append_new(list,
                              json_pack("{s:f,s:I,s:b,s:b}", "percent",
                                        100.0 * step->share / DEPLOY_WHOLE, "for_ms",
                                        (json_int_t)step->for_ms, "judged", (int)step->is_judged,
                                        "approval", (int)step->is_approval));
    }
    return list;
}

static void add_notes(json_t *lines, struct str notes)
{
    const char *end = notes.p + notes.len, *line = notes.p;

    while (notes.p && line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        int len = (int)((next ? next : end) - line);

        if (len)
            add_line(lines, "%.*s", len < LINE_LEN ? len : LINE_LEN, line);
        line += len + 1;
    }
}

json_t *forecast_plan(const struct deploy *deploy, const char *strategy, const json_t *forecast,
                      struct str notes)
{
    json_t *lines = json_array(), *steps;

    add_line(lines, "release %s of %s, in place of %s; nothing is begun: this is the plan (%s)",
             deploy->release, deploy->service, *deploy->old ? deploy->old : "nothing", strategy);
    if (deploy->plan.has_staging)
        add_line(lines, "first on staging: %s", deploy->staging);
    add_notes(lines, notes);
    steps = steps_json(deploy, lines);
    json_array_extend(lines, json_object_get(forecast, "text"));
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:O,s:o}", "service", deploy->service, "release",
                     deploy->release, "old", deploy->old, "strategy", strategy, "steps", steps,
                     "forecast", forecast, "text", lines);
}
