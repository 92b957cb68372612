/* SPDX-License-Identifier: Apache-2.0
 *
 * Deploys in lines of text: those that are under way with their step, counts and verdict, then the
 * last that are over.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/show.h"
#include "cli/top_look.h"

enum { OVER_MAX = 20 };

/* The release before; the first has none. */
static const char *old_of(const json_t *deploy)
{
    const char *old = show_text(deploy, "old");

    return *old ? old : "none";
}

static void say_step(struct top_look *look, const json_t *deploy)
{
    const char *outcome = show_text(deploy, "outcome");
    long long age_s = (long long)(look->wall_ms / 1000) - show_number(deploy, "since_ms") / 1000;
    char age[16];

    top_look_say(look, &look->deploys, strcmp(outcome, "runs") ? TOP_WARN : TOP_STRONG,
                 "%s  %s: %s -> %s  step %lld of %lld  %.4g%%  %s, %s  (%s)",
                 show_text(deploy, "id"), show_text(deploy, "service"), old_of(deploy),
                 show_text(deploy, "release"), show_number(deploy, "step"),
                 show_number(deploy, "steps"),
                 json_number_value(json_object_get(deploy, "percent")), show_text(deploy, "phase"),
                 show_age(age_s > 0 ? age_s : 0, age), outcome);
}

/* Milliseconds of each quantile that the verdict looks at. */
static void put_latency(char *text, size_t size, const json_t *verdict, const char *side)
{
    const json_t *one;
    size_t i, len = 0;

    *text = '\0';
    json_array_foreach(json_object_get(verdict, "latency"), i, one)
    {
        const json_t *seconds = json_object_get(one, side);
        double percent = 100 * json_number_value(json_object_get(one, "quantile"));
        int more = json_is_number(seconds) ? snprintf(text + len, size - len, "  p%.4g %.1f ms",
                                                      percent, 1000 * json_number_value(seconds))
                                           : 0;

        len += more > 0 && (size_t)more < size - len ? (size_t)more : 0;
    }
}

static void say_side(struct top_look *look, const json_t *verdict, const char *side,
                     const char *release)
{
    const json_t *counts = json_object_get(verdict, side);
    long long requests = show_number(counts, "requests");
    long long failed = show_number(counts, "failures");
    char latency[120];

    put_latency(latency, sizeof(latency), verdict, side);
    top_look_say(look, &look->deploys, TOP_PLAIN, "    %s: %lld requests, %lld failed (%.2f%%)%s",
                 release, requests, failed,
                 requests ? 100.0 * (double)failed / (double)requests : 0.0, latency);
}

static void say_verdict(struct top_look *look, const json_t *deploy)
{
    const json_t *verdict = json_object_get(deploy, "verdict");
    const json_t *wanting = json_object_get(verdict, "wanting");
    const char *outcome = show_text(verdict, "outcome");
    const char *old = old_of(deploy), *fresh = show_text(deploy, "release");

    if (!verdict)
        return;
    say_side(look, verdict, "old", old);
    say_side(look, verdict, "new", fresh);
    if (!strcmp(outcome, "good"))
        top_look_say(look, &look->deploys, TOP_GOOD, "    verdict: %s is as good as %s", fresh,
                     old);
    else if (!strcmp(outcome, "bad"))
        top_look_say(look, &look->deploys, TOP_BAD, "    verdict: %s is worse than %s", fresh, old);
    else if (json_is_number(wanting))
        top_look_say(look, &look->deploys, TOP_PLAIN,
                     "    verdict: not yet; some %.0f more requests of %s decide it",
                     ceil(json_number_value(wanting)), fresh);
    else
        top_look_say(look, &look->deploys, TOP_PLAIN, "    verdict: not yet");
}

static void say_waits(struct top_look *look, const json_t *deploy)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(deploy, "waiting_for"), i,
                       each) if (*show_text(each, "error"))
        top_look_say(look, &look->deploys, TOP_WARN, "    waits for edge %s: %s",
                     show_text(each, "edge"), show_text(each, "error"));
    if (!strcmp(show_text(deploy, "outcome"), "runs"))
        return;
    json_array_foreach(json_object_get(deploy, "words"), i, each)
        top_look_say(look, &look->deploys, TOP_WARN, "    sluice %s %s",
                     json_string_value(each) ? json_string_value(each) : "-",
                     show_text(deploy, "id"));
}

static void say_over(struct top_look *look, const json_t *deploy)
{
    const char *why = show_text(deploy, "why");
    long long age_s = (long long)(look->wall_ms / 1000) - show_number(deploy, "since_ms") / 1000;
    char age[16];

    top_look_say(look, &look->deploys, TOP_FAINT, "%s  %s: %s -> %s  %s %s ago%s%s",
                 show_text(deploy, "id"), show_text(deploy, "service"), old_of(deploy),
                 show_text(deploy, "release"), show_text(deploy, "outcome"),
                 show_age(age_s > 0 ? age_s : 0, age), *why ? ": " : "", why);
}

static bool is_over(const json_t *deploy)
{
    return json_is_true(json_object_get(deploy, "over"));
}

void top_look_deploys(struct top_look *look)
{
    const json_t *deploys = json_object_get(look->answers[TOP_DEPLOYS], "deploys"), *deploy;
    size_t i, over = 0;

    json_array_foreach(deploys, i, deploy)
    {
        if (is_over(deploy))
            continue;
        say_step(look, deploy);
        say_verdict(look, deploy);
        say_waits(look, deploy);
    }
    json_array_foreach(deploys, i, deploy) if (is_over(deploy) && over++ < OVER_MAX)
        say_over(look, deploy);
}
