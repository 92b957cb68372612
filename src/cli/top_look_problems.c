/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong, a sentence each, the worst first.
 */
#include <string.h>

#include "cli/show.h"
#include "cli/top_look.h"

static bool is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

#define say(look, style, ...) top_look_say(look, &(look)->problems, style, __VA_ARGS__)

/* --- the gateway as a whole */

static void judge_gateway(struct top_look *look, const json_t *status)
{
    const json_t *config = json_object_get(status, "config");
    const json_t *limits = json_object_get(status, "rate_limits");
    const json_t *shield = json_object_get(status, "shield");

    if (is_true(status, "draining"))
        say(look, TOP_WARN, "the gateway drains: it takes no new connections");
    else if (!is_true(status, "ready"))
        say(look, TOP_BAD, "the gateway is not ready");
    if (is_true(config, "last_good"))
        say(look, TOP_BAD, "it runs on the last configuration that lasted, since it crashed");
    if (!is_true(json_object_get(config, "last_reload"), "successful"))
        say(look, TOP_BAD, "the last reload failed; the configuration before it serves");
    if (!strcmp(show_text(limits, "shared"), "degraded"))
        say(look, TOP_WARN, "shared rate limits are degraded: %s",
            show_text(json_object_get(limits, "redis"), "reason"));
    if (is_true(shield, "on"))
        say(look, TOP_WARN, "the shield is up for another %lld s", show_number(shield, "left_s"));
    if (json_object_get(config, "confirm_until_ms"))
        say(look, TOP_WARN, "the new configuration is to be confirmed, or it is taken back");
}

static void judge_warnings(struct top_look *look, const json_t *status)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(status, "warnings"), i, one)
        say(look, TOP_WARN, "%s", json_string_value(one) ? json_string_value(one) : "-");
    json_array_foreach(json_object_get(status, "draining_edges"), i, one)
        say(look, TOP_PLAIN, "an older edge (process %lld) drains: %lld requests left",
            show_number(one, "pid"), show_number(one, "in_flight"));
}

static void judge_share(struct top_look *look, const char *what, double used, double most)
{
    if (most > 0 && used >= 0.9 * most)
        say(look, used >= most ? TOP_BAD : TOP_WARN, "%s: %.0f%% of the limit", what,
            100 * used / most);
}

static void judge_limits(struct top_look *look, const json_t *status)
{
    const json_t *limits = json_object_get(status, "limits"), *worker;
    double memory = 0;
    size_t i;

    json_array_foreach(json_object_get(status, "workers"), i, worker)
    {
        double used = (double)show_number(worker, "connections");
        double most = (double)show_number(worker, "connections_max");

        memory += (double)show_number(worker, "memory_bytes");
        if (most > 0 && used >= 0.9 * most)
            say(look, used >= most ? TOP_BAD : TOP_WARN, "connections of worker %lld: %.0f of %.0f",
                show_number(worker, "index"), used, most);
    }
    judge_share(look, "memory", memory, (double)show_number(limits, "memory"));
}

static void judge_certificates(struct top_look *look, const json_t *status)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(status, "certificates"), i, one)
    {
        const char *state = show_text(one, "state"), *name = show_text(one, "name");
        const char *domain = json_string_value(json_array_get(json_object_get(one, "domains"), 0));

        name = domain ? domain : name;
        if (!strcmp(state, "expired"))
            say(look, TOP_BAD, "the certificate of %s has expired", name);
        else if (!strcmp(state, "not_yet_valid"))
            say(look, TOP_BAD, "the certificate of %s is not yet valid", name);
        else if (!strcmp(state, "expires_soon"))
            say(look, TOP_WARN, "the certificate of %s ends on %.10s", name,
                show_text(one, "not_after"));
        if (json_object_get(one, "error"))
            say(look, TOP_WARN, "new files of the certificate of %s are bad: %s", name,
                show_text(one, "error"));
    }
}

static void judge_keys(struct top_look *look, const json_t *status)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(status, "credentials"), "sources"), i,
                       one) if (json_object_get(one, "error"))
        say(look, TOP_WARN, "keys of %s could not be read: %s", show_text(one, "name"),
            show_text(one, "error"));
}

/* --- services */

static void judge_targets(struct top_look *look, const json_t *service)
{
    const json_t *targets = json_object_get(service, "targets"), *target, *first = NULL;
    size_t i, down = 0, all = json_array_size(targets);
    const char *state;

    json_array_foreach(targets, i, target)
    {
        state = show_state(target);
        if (strcmp(state, "down") != 0 && strcmp(state, "ejected") != 0)
            continue;
        first = first ? first : target;
        down++;
    }
    if (down == 1)
        say(look, down == all ? TOP_BAD : TOP_WARN, "target %s of %s is %s: %s",
            show_text(first, "id"), show_text(service, "name"), show_state(first),
            show_text(first, "reason"));
    else if (down)
        say(look, 2 * down >= all ? TOP_BAD : TOP_WARN, "%zu of %zu targets of %s are down", down,
            all, show_text(service, "name"));
}

static void judge_service(struct top_look *look, const json_t *service)
{
    const char *name = show_text(service, "name"), *mode = show_text(service, "mode");
    const char *balance = show_text(service, "balance_mode");
    const json_t *scale = json_object_get(service, "scale");
    const json_t *discover = json_object_get(service, "discover");
    bool is_asleep = !strcmp(show_text(scale, "state"), "asleep") ||
                     !strcmp(show_text(scale, "state"), "waking");

    if (strcmp(mode, "running") != 0)
        say(look, TOP_WARN, "%s is %s, by the %s", name, mode, show_text(service, "mode_source"));
    if (!strcmp(show_text(scale, "state"), "broken"))
        say(look, TOP_BAD, "%s cannot be woken: %s", name, show_text(scale, "why"));
    else if (strcmp(balance, "normal") != 0 && !is_asleep)
        say(look, strcmp(balance, "none") ? TOP_WARN : TOP_BAD, "%s: %s", name,
            show_text(service, "balance_words"));
    judge_targets(look, service);
    if (show_number(service, "waiting"))
        say(look, TOP_PLAIN, "%lld requests of %s wait", show_number(service, "waiting"), name);
    if (show_number(scale, "held"))
        say(look, TOP_PLAIN, "%lld requests wait for %s to wake", show_number(scale, "held"), name);
    if (json_object_get(discover, "problem"))
        say(look, TOP_WARN, "targets of %s are not found anew: %s", name,
            show_text(discover, "problem"));
}

static void judge_slo(struct top_look *look)
{
    const json_t *objectives;
    const char *service;
    json_t *one;
    size_t i;

    json_object_foreach(json_object_get(look->answers[TOP_SLO], "services"), service, one)
    {
        json_array_foreach(json_object_get(one, "objectives"), i, objectives)
        {
            const json_t *left = json_object_get(objectives, "budget_left");
            double share = json_number_value(left);

            if (!json_is_number(left) || share >= 0.1)
                continue;
            say(look, share <= 0 ? TOP_BAD : TOP_WARN,
                share <= 0 ? "the error budget of %s (%s) is overspent: %.0f%% left"
                           : "the error budget of %s (%s) nears its end: %.0f%% left",
                service, show_text(objectives, "slo"), 100 * share);
        }
    }
}

/* --- control */

static void judge_deploys(struct top_look *look)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(look->answers[TOP_DEPLOYS], "deploys"), i, one)
    {
        const char *outcome = show_text(one, "outcome"), *id = show_text(one, "id");
        const char *service = show_text(one, "service");

        if (!strcmp(outcome, "asks"))
            say(look, TOP_WARN, "deploy %s of %s waits for a person", id, service);
        else if (!strcmp(outcome, "needs_a_person"))
            say(look, TOP_BAD, "deploy %s of %s failed and cannot be taken back by itself", id,
                service);
        else if (!strcmp(outcome, "waits_for_edge"))
            say(look, TOP_WARN, "deploy %s of %s waits for an edge", id, service);
    }
}

static void judge_control(struct top_look *look)
{
    const json_t *control = look->answers[TOP_CONTROL], *one;
    const json_t *backup = json_object_get(control, "backup");
    size_t i;

    if (look->control_error)
        say(look, TOP_BAD, "control does not answer: %s", look->control_error);
    if (json_is_string(json_object_get(control, "store_error")))
        say(look, TOP_BAD, "control cannot write its store: %s", show_text(control, "store_error"));
    if (json_is_string(json_object_get(backup, "error")))
        say(look, TOP_WARN, "backups fail: %s", show_text(backup, "error"));
    json_array_foreach(json_object_get(control, "edges"), i, one)
    {
        if (is_true(one, "forgotten") || is_true(one, "reachable"))
            continue;
        say(look, TOP_BAD, "edge %s has been silent for %lld s", show_text(one, "name"),
            show_number(one, "silent_s"));
    }
    json_array_foreach(json_object_get(control, "notices"), i,
                       one) if (json_is_string(json_object_get(one, "error")))
        say(look, TOP_WARN, "notices to %s do not arrive: %s", show_text(one, "name"),
            show_text(one, "error"));
}

/* What is too much to be told. */
static void judge_bounds(struct top_look *look)
{
    static const char *const lists[][2] = {{"routes", "routes_total"},
                                           {"targets", "targets_total"}};
    const json_t *counters = look->answers[TOP_COUNTERS];

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        long long told = (long long)json_array_size(json_object_get(counters, lists[i][0]));
        long long total = show_number(counters, lists[i][1]);

        if (total > told)
            say(look, TOP_PLAIN, "of %lld %s that have traffic %lld are counted here", total,
                lists[i][0], told);
    }
}

/* Those of the same weight stay in order. */
static void order(struct top_lines *lines)
{
    for (size_t i = 1; i < lines->count; i++) {
        struct top_line line = lines->line[i];
        size_t to = i;

        for (; to && lines->line[to - 1].style < line.style; to--)
            lines->line[to] = lines->line[to - 1];
        lines->line[to] = line;
    }
}

void top_look_problems(struct top_look *look)
{
    const json_t *status = look->answers[TOP_STATUS], *service;
    size_t i;

    judge_gateway(look, status);
    judge_control(look);
    judge_deploys(look);
    judge_slo(look);
    json_array_foreach(json_object_get(status, "services"), i, service)
        judge_service(look, service);
    judge_limits(look, status);
    judge_certificates(look, status);
    judge_keys(look, status);
    judge_warnings(look, status);
    judge_bounds(look);
    order(&look->problems);
}
