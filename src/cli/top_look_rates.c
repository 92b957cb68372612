/* SPDX-License-Identifier: Apache-2.0
 *
 * What counters say beside the counters of the look before. A gateway that began anew has no rates
 * until there are two looks at it; a single series that began anew counts from zero.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/show.h"
#include "cli/top_look.h"
#include "cli/top_rate.h"

/* --- finding a series again */

static int compare(const void *left, const void *right)
{
    const struct top_series *a = left, *b = right;

    for (size_t i = 0; i < ARRAY_LEN(a->key); i++) {
        int order = strcmp(a->key[i], b->key[i]);

        if (order)
            return order;
    }
    return 0;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text ? text : "";
}

void top_look_index(struct top_look *look)
{
    static const struct {
        const char *list, *name;
    } places[TOP_KINDS] = {[TOP_ROUTE] = {"routes", "name"},
                           [TOP_RELEASE] = {"releases", ""},
                           [TOP_TARGET] = {"targets", "target"}};

    for (unsigned kind = 0; kind < TOP_KINDS; kind++) {
        const json_t *list = json_object_get(look->answers[TOP_COUNTERS], places[kind].list), *one;
        size_t count = json_array_size(list), i;
        struct top_series *series = arena_zero(&look->arena, count, sizeof(*series));

        look->is_short |= !series;
        look->series[kind] = series;
        look->series_count[kind] = series ? count : 0;
        for (i = 0; series && i < count; i++) {
            one = json_array_get(list, i);
            series[i] =
                (struct top_series){.key = {text_of(one, "service"), text_of(one, "release"),
                                            text_of(one, places[kind].name)},
                                    .json = one};
        }
        if (look->series_count[kind])
            qsort(series, count, sizeof(*series), compare);
    }
}

static const json_t *find(const struct top_look *look, enum top_kind kind, const char *const key[3])
{
    struct top_series wanted = {.key = {key[0], key[1], key[2]}}, *found = NULL;

    if (look && look->series_count[kind])
        found =
            bsearch(&wanted, look->series[kind], look->series_count[kind], sizeof(wanted), compare);
    return found ? found->json : NULL;
}

/* --- what was added */

struct added {
    double requests, errors, refused, in, out;
    struct top_latency latency;
};

static double added_to(const json_t *now, const json_t *before, const char *name)
{
    return top_rate_added(json_integer_value(json_object_get(now, name)),
                          json_integer_value(json_object_get(before, name)));
}

/* Of answers by their code, those that are failures: "500", "5xx". */
static double failures(const json_t *now, const json_t *before)
{
    const json_t *was = json_object_get(before, "codes");
    const char *code;
    json_t *count;
    double sum = 0;

    json_object_foreach(json_object_get(now, "codes"), code, count) if (*code == '5') sum +=
        top_rate_added(json_integer_value(count), json_integer_value(json_object_get(was, code)));
    return sum;
}

/* And by reason into `sums`. */
static double refusals(const json_t *now, const json_t *before, json_t *sums)
{
    const json_t *was = json_object_get(before, "refused");
    const char *reason;
    json_t *count;
    double sum = 0;

    json_object_foreach(json_object_get(now, "refused"), reason, count)
    {
        double added = top_rate_added(json_integer_value(count),
                                      json_integer_value(json_object_get(was, reason)));

        sum += added;
        if (added > 0)
            json_object_set_new(sums, reason,
                                json_real(json_number_value(json_object_get(sums, reason)) +
                                          added));
    }
    return sum;
}

static double bytes(const json_t *now, const json_t *before, size_t way)
{
    return top_rate_added(json_integer_value(json_array_get(json_object_get(now, "bytes"), way)),
                          json_integer_value(
                              json_array_get(json_object_get(before, "bytes"), way)));
}

static void add(struct added *sum, const json_t *now, const json_t *before, json_t *refused)
{
    bool has_codes = json_object_get(now, "codes") != NULL;

    sum->requests += added_to(now, before, "requests");
    sum->errors += has_codes ? failures(now, before) : added_to(now, before, "failures");
    sum->refused += refusals(now, before, refused);
    sum->in += bytes(now, before, 0);
    sum->out += bytes(now, before, 1);
    top_rate_latency(&sum->latency, json_object_get(now, "latency"),
                     json_object_get(before, "latency"));
}

/* --- and what that comes to in a second */

static void set(struct top_row *row, enum top_field field, double value)
{
    row->number[field - TOP_TEXTS] = value;
}

static const json_t *edges_of(const struct top_look *look, enum top_kind kind)
{
    return json_object_get(look->answers[TOP_COUNTERS],
                           kind == TOP_RELEASE ? "release_latency_edges_us" : "latency_edges_us");
}

static void put(struct top_row *row, const struct top_look *look, enum top_kind kind,
                const struct added *added)
{
    const json_t *edges = edges_of(look, kind);

    set(row, TOP_RATE, added->requests / look->seconds);
    set(row, TOP_ERRORS, added->errors / look->seconds);
    set(row, TOP_ERROR_SHARE,
        added->requests > 0 ? 100 * fmin(1, added->errors / added->requests) : NAN);
    if (kind == TOP_ROUTE) {
        set(row, TOP_REFUSED, added->refused / look->seconds);
        set(row, TOP_IN, added->in / look->seconds);
        set(row, TOP_OUT, added->out / look->seconds);
    }
    set(row, TOP_P50, top_rate_quantile(&added->latency, edges, 0.50));
    set(row, TOP_P95, top_rate_quantile(&added->latency, edges, 0.95));
    set(row, TOP_P99, top_rate_quantile(&added->latency, edges, 0.99));
}

void top_look_rate(struct top_look *look, const struct top_look *before, enum top_kind kind,
                   const char *const key[3], struct top_row *row)
{
    const json_t *now = find(look, kind, key);
    struct added added = {0};

    if (!(look->seconds > 0) || (!now && kind == TOP_TARGET))
        return;
    add(&added, now, find(before, kind, key), NULL);
    put(row, look, kind, &added);
}

/* --- routes, and all of them */

static void sum_up(struct top_look *look, const struct top_look *before, enum top_kind kind)
{
    struct added added = {0};

    for (size_t i = 0; i < look->series_count[kind]; i++) {
        const struct top_series *series = &look->series[kind][i];

        add(&added, series->json, find(before, kind, series->key), look->refused);
    }
    put(&look->total, look, kind, &added);
}

static int compare_rates(const void *left, const void *right, void *rates)
{
    double a = json_number_value(json_object_get(rates, *(const char *const *)left));
    double b = json_number_value(json_object_get(rates, *(const char *const *)right));

    return (a < b) - (a > b);
}

/* Per second, the most first. */
static void order_refused(struct top_look *look)
{
    size_t count = json_object_size(look->refused), i = 0;
    const char **names = arena_zero(&look->arena, count, sizeof(*names)), *name;
    json_t *sorted = json_object(), *value;

    json_object_foreach(look->refused, name, value) if (names) names[i++] = name;
    if (i)
        qsort_r(names, i, sizeof(*names), compare_rates, look->refused);
    for (size_t k = 0; k < i; k++)
        json_object_set_new(sorted, names[k],
                            json_real(json_number_value(json_object_get(look->refused, names[k])) /
                                      look->seconds));
    json_decref(look->refused);
    look->refused = sorted;
}

void top_look_routes(struct top_look *look, const struct top_look *before)
{
    size_t count = look->series_count[TOP_ROUTE];
    struct top_row *rows = look->rows[TOP_ROUTE].row;
    double in_flight = 0;

    for (size_t i = 0; i < count && rows; i++) {
        const struct top_series *series = &look->series[TOP_ROUTE][i];
        double held = (double)show_number(series->json, "in_flight");

        rows[i].text[TOP_NAME] = series->key[2];
        set(&rows[i], TOP_IN_FLIGHT, held);
        in_flight += held;
        top_look_rate(look, before, TOP_ROUTE, series->key, &rows[i]);
    }
    if (json_object_get(look->answers[TOP_COUNTERS], "routes"))
        set(&look->total, TOP_IN_FLIGHT, in_flight);
    if (!(look->seconds > 0))
        return;
    sum_up(look, before,
           json_object_get(look->answers[TOP_COUNTERS], "routes") ? TOP_ROUTE : TOP_RELEASE);
    order_refused(look);
}
