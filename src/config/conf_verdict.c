/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `deploy: {verdict}`, and what they must be together.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/conf_check.h"
#include "config/tree.h"

#define HOUR_MS (3600 * 1000U)

enum { NUMBER_LEN_MAX = 40 };

static const struct field error_fields[] = {
    {.name = "ratio",
     .doc = "Its failures to those of the old release that are not tolerated.",
     .standard = "2x",
     .type = FIELD_RATIO,
     .min = 1001,
     .max = 1000000,
     FIELD_AT(struct conf_verdict, error_ratio)},
    {.name = "margin",
     .doc = "And so many more of all requests; both must be reached.",
     .standard = "0.5%",
     .type = FIELD_SHARE,
     .max = 500000,
     FIELD_AT(struct conf_verdict, error_margin_ppm)},
    FIELD_END,
};

/* --- checks */

/* Any number, in JSON's form. */
static bool decode_bound(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_bound *bound = member;
    char text[NUMBER_LEN_MAX], *end = text;

    (void)field;
    if (node->kind == NODE_SCALAR && node->text.len && node->text.len < sizeof(text) &&
        strspn(node->text.p, "+-.0123456789eE") >= node->text.len) {
        memcpy(text, node->text.p, node->text.len);
        text[node->text.len] = '\0';
        bound->value = strtod(text, &end);
    }
    if (end == text || *end || !isfinite(bound->value))
        return field_wrong(decoder, node, "is not a number");
    bound->is_set = true;
    return true;
}

static const struct field check_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_verdict_check, at)},
    {.name = "name",
     .doc = "What it is called.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_verdict_check, name)},
    {.name = "prometheus",
     .doc = "The URL of a Prometheus, which is asked for `query`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_verdict_check, prometheus)},
    {.name = "query",
     .doc = "PromQL; `${service}`, `${release}` and `${old}` stand for what is deployed.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_verdict_check, query)},
    {.name = "max",
     .doc = "What the query gives must not be above it.",
     .type = FIELD_CUSTOM,
     .decode = decode_bound,
     .json = "{\"type\":\"number\"}",
     FIELD_AT(struct conf_verdict_check, max)},
    {.name = "min",
     .doc = "Nor below it.",
     .type = FIELD_CUSTOM,
     .decode = decode_bound,
     .json = "{\"type\":\"number\"}",
     FIELD_AT(struct conf_verdict_check, min)},
    {.name = "url",
     .doc =
         "In place of a query: a URL to which the deploy is POSTed as JSON. 2xx is a yes and 4xx "
         "or 5xx a no, unless it says `{\"verdict\": \"good\"|\"bad\"|\"unsure\", \"why\"}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_verdict_check, url)},
    {.name = "interval",
     .doc = "How long from one question to the next.",
     .standard = "15s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = HOUR_MS,
     FIELD_AT(struct conf_verdict_check, interval_ms)},
    {.name = "timeout",
     .doc = "How long an answer may take.",
     .standard = "5s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = HOUR_MS,
     FIELD_AT(struct conf_verdict_check, timeout_ms)},
    {.name = "failures",
     .doc = "How often in a row it says no before the release is bad.",
     .standard = "3",
     .type = FIELD_INT,
     .min = 1,
     .max = 100,
     FIELD_AT(struct conf_verdict_check, failures)},
    FIELD_END,
};

static const struct field check_element = {.name = "",
                                           .type = FIELD_OBJECT,
                                           .fields = check_fields};

/* --- probes */

static const struct field probe_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_probes, at)},
    {.name = "paths",
     .doc = "What is asked for by GET, in turn.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_probes, paths, path_count)},
    {.name = "rate",
     .doc = "How many requests a second, to both releases together.",
     .standard = "5/s",
     .type = FIELD_RATE,
     .min = 1,
     .max = 100,
     FIELD_AT(struct conf_probes, rate)},
    FIELD_END,
};

static const char *const no_data[] = {"ask", "pass", "fail", NULL};

const struct field conf_verdict_fields[] = {
    {.name = "errors",
     .doc = "How many more failures are not tolerated.",
     .type = FIELD_OBJECT,
     .fields = error_fields},
    {.name = "latency",
     .doc = "How many times slower is not tolerated, at the median, 90 % or 99 %.",
     .standard = "1.5x",
     .type = FIELD_RATIO,
     .flags = FIELD_OFF,
     .min = 1001,
     .max = 1000000,
     FIELD_AT(struct conf_verdict, latency_ratio)},
    {.name = "latency_margin",
     .doc = "How much slower it must be as well: of a few milliseconds, a busy machine makes many.",
     .standard = "5ms",
     .type = FIELD_DURATION,
     .max = HOUR_MS,
     FIELD_AT(struct conf_verdict, latency_margin_ms)},
    {.name = "minimum",
     .doc = "Requests of the new release before there is any verdict but that of a hard stop.",
     .standard = "50",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_verdict, minimum)},
    {.name = "max_time",
     .doc = "How long one step waits for enough requests.",
     .standard = "30m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 500 * HOUR_MS,
     FIELD_AT(struct conf_verdict, max_ms)},
    {.name = "on_no_data",
     .doc = "What follows when there were too few, or a check was never answered: `ask` a person, "
            "`pass`, or `fail`.",
     .standard = "ask",
     .type = FIELD_ENUM,
     .words = no_data,
     FIELD_AT(struct conf_verdict, on_no_data)},
    {.name = "checks",
     .doc = "What else is asked while a step is judged, and after the last one: one that says no "
            "ends the deploy.",
     .type = FIELD_LIST,
     .element = &check_element,
     FIELD_ITEMS(struct conf_verdict, checks, check_count)},
    {.name = "probes",
     .doc = "Requests of the gateway's own to both releases, while a step has fewer than that from "
            "clients.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = probe_fields,
     .count_offset = offsetof(struct conf_verdict, probes.is_set),
     FIELD_AT(struct conf_verdict, probes)},
    FIELD_END,
};

/* --- together */

static void check_url(struct diag *diag, const struct conf_text *url)
{
    if (url->s.len && strncmp(url->s.p, "http://", 7) != 0 && strncmp(url->s.p, "https://", 8) != 0)
        diag_error(diag, url->at, "a URL begins with http:// or https://");
}

static bool is_variable(struct str text)
{
    static const char *const known[] = {"${service}", "${release}", "${old}"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (text.len >= strlen(known[i]) && !memcmp(text.p, known[i], strlen(known[i])))
            return true;
    return false;
}

static void check_query(struct diag *diag, const struct conf_text *query)
{
    struct str s = query->s;

    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.p[i] == '$' && s.p[i + 1] == '{' && !is_variable((struct str){s.p + i, s.len - i})) {
            diag_error(diag, query->at, "only ${service}, ${release} and ${old} are known here");
            return;
        }
}

static void check_check(struct diag *diag, const struct conf_verdict_check *check)
{
    bool has_bound = check->max.is_set || check->min.is_set;

    conf_check_name(diag, &check->name);
    check_url(diag, &check->prometheus);
    check_url(diag, &check->url);
    check_query(diag, &check->query);
    if (!check->prometheus.s.len == !check->url.s.len)
        diag_error(diag, check->at, "a check has one of prometheus and url");
    else if (check->url.s.len && (check->query.s.len || has_bound))
        diag_error(diag, check->at, "query, max and min go with prometheus");
    else if (check->prometheus.s.len && (!check->query.s.len || !has_bound))
        diag_error(diag, check->at, "prometheus needs a query, and max or min");
    if (check->max.is_set && check->min.is_set && check->min.value > check->max.value)
        diag_error(diag, check->at, "min is above max");
}

static void check_probes(struct diag *diag, const struct conf_probes *probes)
{
    if (probes->path_count > CONF_PROBE_PATHS_MAX)
        diag_error(diag, probes->at, "more than %d paths", CONF_PROBE_PATHS_MAX);
    for (uint32_t i = 0; i < probes->path_count; i++) {
        struct str path = probes->paths[i].s;

        if (!path.len || *path.p != '/')
            diag_error(diag, probes->paths[i].at, "a path begins with /");
        for (size_t n = 0; n < path.len; n++)
            if (path.p[n] <= ' ' || path.p[n] >= 127 || path.p[n] == '#') {
                diag_error(diag, probes->paths[i].at,
                           "what a path may not hold is written as %%20 and the like");
                break;
            }
    }
}

void conf_check_verdict(struct diag *diag, const struct conf_verdict *verdict)
{
    if (verdict->check_count > CONF_CHECKS_MAX)
        diag_error(diag, verdict->checks[0].at, "more than %d checks", CONF_CHECKS_MAX);
    for (uint32_t i = 0; i < verdict->check_count; i++) {
        check_check(diag, &verdict->checks[i]);
        for (uint32_t k = 0; k < i; k++)
            if (str_same(verdict->checks[k].name.s, verdict->checks[i].name.s))
                conf_check_twice(diag, "check", &verdict->checks[i].name, &verdict->checks[k].name);
    }
    if (verdict->probes.is_set)
        check_probes(diag, &verdict->probes);
}
