/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests tell of targets: failures in a row at once, shares of failures and latencies
 * against those of their peers now and then, breakers and adaptive limits every tick.
 */
#include "edge/manager/checks_impl.h"

/* --- sums over workers */

static struct endpoint_told sum(const struct endpoint *endpoint)
{
    struct endpoint_told all = {0};

    for (unsigned w = 0; w < endpoint->workers; w++) {
        const struct endpoint_told *told = &endpoint->locals[w].told;

        all.requests += __atomic_load_n(&told->requests, __ATOMIC_RELAXED);
        all.failures += __atomic_load_n(&told->failures, __ATOMIC_RELAXED);
        all.answers += __atomic_load_n(&told->answers, __ATOMIC_RELAXED);
        all.latency_us += __atomic_load_n(&told->latency_us, __ATOMIC_RELAXED);
        all.slow += __atomic_load_n(&told->slow, __ATOMIC_RELAXED);
    }
    return all;
}

/* What came since `before`, which is brought up to date. Counters of one reading may be a little
 * apart: never below zero. */
static struct endpoint_told since(const struct endpoint *endpoint, struct endpoint_told *before)
{
    struct endpoint_told now = sum(endpoint), more = {
                                                  .requests = now.requests - before->requests,
                                                  .failures = now.failures - before->failures,
                                                  .answers = now.answers - before->answers,
                                                  .latency_us = now.latency_us - before->latency_us,
                                                  .slow = now.slow - before->slow,
                                              };

    *before = now;
    if (more.failures > more.requests)
        more.failures = more.requests;
    if (more.slow > more.requests)
        more.slow = more.requests;
    return more;
}

static uint32_t in_flight(const struct endpoint *endpoint)
{
    uint32_t all = 0;

    for (unsigned w = 0; w < endpoint->workers; w++)
        all += __atomic_load_n(&endpoint->locals[w].in_flight, __ATOMIC_RELAXED);
    return all;
}

void checks_begin_told(struct check *check)
{
    check->judged = check->noted = sum(check->endpoint);
}

/* --- ejection */

static struct outlier_rule rule_of(const struct conf_outlier *conf)
{
    return (struct outlier_rule){.eject_ms = conf->eject_ms,
                                 .eject_max_ms = conf->eject_max_ms,
                                 .max_ejected_ppm = conf->max_ejected_ppm,
                                 .errors_thousandths = conf->errors_thousandths,
                                 .latency_thousandths = conf->latency_thousandths,
                                 .minimum = conf->minimum};
}

static bool is_used(const struct check *check)
{
    return !check->is_drained && (!check->conf->health.is_on || check->health.state == HEALTH_UP);
}

static void count_group(const struct check_group *group, uint32_t *ejected, uint32_t *total)
{
    *ejected = *total = 0;
    for (const struct check *check = group->first; check; check = check->next) {
        *total += is_used(check);
        *ejected += is_used(check) && check->outlier.until_ms;
    }
}

static bool eject(struct check *check)
{
    struct outlier_rule rule = rule_of(&check->conf->outlier);
    uint32_t ejected, total;

    count_group(check->group, &ejected, &total);
    if (check->outlier.until_ms || !is_used(check) || !outlier_may_eject(&rule, ejected, total))
        return false;
    outlier_eject(&check->outlier, &rule, checks_now(check->checks));
    check_apply(check);
    return true;
}

void checks_judge_suspects(struct checks *checks)
{
    for (struct check_group *group = checks->groups; group; group = group->next)
        for (struct check *check = group->first; check; check = check->next) {
            if (!__atomic_exchange_n(&check->endpoint->is_suspect, false, __ATOMIC_RELAXED))
                continue;
            check->is_ejected_in_row = true;
            eject(check);
            check_ask(check); // it may be down: that is known sooner so
        }
    checks_judge(checks);
}

/* --- against its peers */

static void judge_peers(struct check_group *group, uint64_t now_ms)
{
    struct outlier_sample samples[BALANCER_TARGETS_MAX];
    enum outlier_why why[BALANCER_TARGETS_MAX];
    struct outlier_rule rule = rule_of(&group->first->conf->outlier);
    uint32_t n = 0;

    group->judged_ms = now_ms;
    for (struct check *check = group->first; check && n < BALANCER_TARGETS_MAX;
         check = check->next) {
        struct endpoint_told told = since(check->endpoint, &check->judged);

        samples[n++] =
            (struct outlier_sample){told.requests, told.failures, told.answers, told.latency_us,
                                    is_used(check) && !check->outlier.until_ms};
    }
    outlier_judge(&rule, samples, n, why);
    n = 0;
    for (struct check *check = group->first; check && n < BALANCER_TARGETS_MAX;
         check = check->next) {
        if (why[n++] == OUTLIER_NONE)
            continue;
        check->is_ejected_in_row = false;
        check->ejected_for = why[n - 1];
        eject(check);
    }
}

/* --- one target */

static void note_breaker(struct check *check, const struct endpoint_told *told, uint64_t now_ms)
{
    const struct conf_breaker *conf = &check->conf->breaker;
    struct breaker_rule rule = {.errors_ppm = conf->is_on ? conf->errors_ppm : 0,
                                .slow_ppm = conf->is_on && conf->slow_ms ? conf->slow_ppm : 0,
                                .over_ms = conf->over_ms,
                                .minimum = conf->minimum,
                                .open_ms = conf->open_ms,
                                .trials = conf->trials};
    struct breaker_sample sample = {told->requests, told->failures, told->slow};

    if (breaker_note(&check->breaker, &rule, &sample, now_ms))
        check_apply(check);
}

static void note_limit(struct check *check, const struct endpoint_told *told)
{
    const struct conf_adaptive *conf = &check->conf->limits.adaptive;
    struct gradient_rule rule = {conf->min, conf->max, conf->tolerance_thousandths};
    struct gradient_sample sample = {told->answers, told->latency_us, in_flight(check->endpoint)};
    uint32_t most = check->conf->limits.concurrency, limit;

    if (!check->limit)
        gradient_init(&check->gradient, &rule);
    limit = gradient_next(&check->gradient, &rule, &sample);
    check->limit = most && limit > most ? most : limit;
    __atomic_store_n(&check->endpoint->cap, check->limit, __ATOMIC_RELAXED);
}

static void note(struct check *check, uint64_t now_ms)
{
    struct outlier_rule rule = rule_of(&check->conf->outlier);
    struct endpoint_told told = since(check->endpoint, &check->noted);

    if (outlier_tick(&check->outlier, &rule, now_ms))
        check_apply(check);
    if (check->conf->breaker.is_on || check->breaker.state != BREAKER_CLOSED)
        note_breaker(check, &told, now_ms);
    if (check->conf->limits.adaptive.is_on)
        note_limit(check, &told);
    else
        check->limit = 0;
}

void checks_judge(struct checks *checks)
{
    uint64_t now_ms = checks_now(checks);

    for (struct check_group *group = checks->groups; group; group = group->next) {
        const struct conf_outlier *conf = &group->first->conf->outlier;

        for (struct check *check = group->first; check; check = check->next)
            note(check, now_ms);
        if (conf->is_on && now_ms - group->judged_ms >= conf->interval_ms)
            judge_peers(group, now_ms);
    }
}
