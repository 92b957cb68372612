/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_look.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/show.h"

enum { LINES_MAX = 1000, LINE_MAX_BYTES = 512 };

void top_look_init(struct top_look *look)
{
    *look = (struct top_look){0};
    arena_init(&look->arena, NULL, 0);
}

void top_look_fini(struct top_look *look)
{
    for (unsigned i = 0; i < TOP_QUESTIONS; i++)
        json_decref(look->answers[i]);
    json_decref(look->refused);
    arena_reset(&look->arena);
    top_look_init(look);
}

static struct top_line *more(struct top_look *look, struct top_lines *lines)
{
    size_t size = lines->size ? 2 * lines->size : 16;
    struct top_line *grown;

    if (lines->count < lines->size)
        return &lines->line[lines->count++];
    grown = lines->size < LINES_MAX ? arena_zero(&look->arena, size, sizeof(*grown)) : NULL;
    look->is_short |= !grown;
    if (!grown)
        return NULL;
    if (lines->count)
        memcpy(grown, lines->line, lines->count * sizeof(*grown));
    lines->line = grown;
    lines->size = size;
    return &lines->line[lines->count++];
}

void top_look_say(struct top_look *look, struct top_lines *lines, enum top_style style,
                  const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    struct top_line *line = more(look, lines);
    struct str copy;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    copy = arena_copy(&look->arena, (struct str){text, strlen(text)});
    if (line)
        *line = (struct top_line){style, copy.p ? copy.p : ""};
}

/* --- rows */

static void blank(struct top_row *row)
{
    for (unsigned i = 0; i < TOP_TEXTS; i++)
        row->text[i] = "";
    for (unsigned i = TOP_TEXTS; i < TOP_FIELDS; i++)
        row->number[i - TOP_TEXTS] = NAN;
    row->style = TOP_PLAIN;
}

static void make_rows(struct top_look *look, enum top_kind kind, size_t count)
{
    struct top_rows *rows = &look->rows[kind];

    rows->row = arena_zero(&look->arena, count, sizeof(*rows->row));
    rows->count = rows->row ? count : 0;
    look->is_short |= !rows->row;
    for (size_t i = 0; i < rows->count; i++)
        blank(&rows->row[i]);
}

static void set(struct top_row *row, enum top_field field, double value)
{
    row->number[field - TOP_TEXTS] = value;
}

/* --- services and their releases */

/* Of the list of control, or of SLOs, what is of a service. */
static const json_t *scale_of(const struct top_look *look, const char *service)
{
    const json_t *list = json_object_get(look->answers[TOP_CONTROL], "services"), *one;
    size_t i;

    json_array_foreach(list, i, one) if (!strcmp(show_text(one, "service"), service)) return one;
    return NULL;
}

static double budget_of(const struct top_look *look, const char *service)
{
    const json_t *all = json_object_get(look->answers[TOP_SLO], "services"), *one;
    double least = NAN;
    size_t i;

    json_array_foreach(json_object_get(json_object_get(all, service), "objectives"), i, one)
    {
        const json_t *left = json_object_get(one, "budget_left");

        if (json_is_number(left))
            least = fmin(least, 100 * json_number_value(left));
    }
    return least;
}

static double sum_in_flight(const json_t *service, const char *release)
{
    const json_t *target;
    double sum = 0;
    size_t i;

    json_array_foreach(json_object_get(service, "targets"), i,
                       target) if (!strcmp(show_text(target, "release"), release)) sum +=
        (double)show_number(target, "in_flight");
    return sum;
}

/* What is not as usual, the worst of it. */
static void put_state(struct top_look *look, struct top_row *row, const json_t *service,
                      const json_t *release)
{
    const char *mode = show_text(service, "mode"), *balance = show_text(release, "balance_mode");
    const json_t *scale = scale_of(look, row->text[TOP_NAME]);
    char words[SHOW_SCALE];

    row->text[TOP_STATE] = mode;
    if (!scale && json_object_get(service, "scale"))
        row->text[TOP_STATE] = show_text(json_object_get(service, "scale"), "state");
    if (scale) {
        row->text[TOP_STATE] = show_text(scale, "state");
        row->text[TOP_NOTE] = arena_format(&look->arena, "it %s", show_scale(scale, words)).p;
        row->style = strcmp(row->text[TOP_STATE], "broken") ? TOP_PLAIN : TOP_BAD;
    }
    if (strcmp(balance, "normal") != 0 && strcmp(row->text[TOP_STATE], "asleep") != 0 &&
        strcmp(row->text[TOP_STATE], "waking") != 0) {
        row->text[TOP_STATE] = balance;
        row->text[TOP_NOTE] = show_text(release, "balance_words");
        row->style = strcmp(balance, "none") ? TOP_WARN : TOP_BAD;
    }
    if (strcmp(mode, "running") != 0) {
        row->text[TOP_STATE] = mode;
        row->text[TOP_NOTE] =
            arena_format(&look->arena, "by the %s", show_text(service, "mode_source")).p;
        row->style = TOP_WARN;
    }
    if (!row->text[TOP_NOTE])
        row->text[TOP_NOTE] = "";
}

static void put_release(struct top_look *look, const struct top_look *before, const json_t *service,
                        const json_t *release, struct top_row *row)
{
    const char *name = show_text(service, "name"), *id = show_text(release, "id");
    const char *const key[3] = {name, id, ""};
    double of = (double)show_number(release, "targets"), up = (double)show_number(release, "up");
    bool is_stable = json_is_true(json_object_get(release, "stable"));
    long long held = is_stable ? show_number(json_object_get(service, "scale"), "held") : 0;

    row->text[TOP_NAME] = row->text[TOP_SERVICE] = name;
    row->text[TOP_RELEASE_ID] = json_is_true(json_object_get(service, "has_releases")) ? id : "";
    put_state(look, row, service, release);
    if (up < of && row->style == TOP_PLAIN)
        row->style = TOP_WARN;
    set(row, TOP_SPLIT, json_number_value(json_object_get(release, "percent")));
    set(row, TOP_UP, up);
    set(row, TOP_OF, of);
    set(row, TOP_WAITING, (double)(show_number(release, "waiting") + held));
    set(row, TOP_IN_FLIGHT, sum_in_flight(service, id));
    set(row, TOP_BUDGET, budget_of(look, name));
    top_look_rate(look, before, TOP_RELEASE, key, row);
}

static void put_services(struct top_look *look, const struct top_look *before)
{
    const json_t *services = json_object_get(look->answers[TOP_STATUS], "services"), *service;
    const json_t *release;
    size_t i, k, count = 0;

    json_array_foreach(services, i, service) count +=
        json_array_size(json_object_get(service, "releases"));
    make_rows(look, TOP_RELEASE, count);
    count = 0;
    json_array_foreach(services, i, service)
        json_array_foreach(json_object_get(service, "releases"), k,
                           release) if (count < look->rows[TOP_RELEASE].count)
            put_release(look, before, service, release, &look->rows[TOP_RELEASE].row[count++]);
}

/* --- targets */

static enum top_style style_of(const char *state)
{
    static const struct {
        const char *state;
        enum top_style style;
    } styles[] = {{"up", TOP_GOOD},
                  {"unchecked", TOP_PLAIN},
                  {"down", TOP_BAD},
                  {"ejected", TOP_BAD},
                  {"-", TOP_PLAIN}};

    for (size_t i = 0; i < ARRAY_LEN(styles); i++)
        if (!strcmp(state, styles[i].state))
            return styles[i].style;
    return TOP_WARN;
}

/* Why it is as it is; "up" needs no more words. */
static const char *reason_of(const json_t *target)
{
    const json_t *source = json_object_get(target, "drained_source");

    if (source)
        return strcmp(show_text(target, "drained_source"), "control") ? "by the API" : "by control";
    return json_object_get(target, "reason") ? show_text(target, "reason") : "";
}

static void put_target(struct top_look *look, const struct top_look *before, const json_t *service,
                       const json_t *target, struct top_row *row)
{
    const char *name = show_text(service, "name"), *release = show_text(target, "release");
    const char *const key[3] = {name, release, show_text(target, "id")};

    row->text[TOP_NAME] = key[2];
    row->text[TOP_SERVICE] = name;
    row->text[TOP_RELEASE_ID] =
        json_is_true(json_object_get(service, "has_releases")) ? release : "";
    row->text[TOP_STATE] = show_state(target);
    row->text[TOP_NOTE] = reason_of(target);
    row->style = style_of(row->text[TOP_STATE]);
    set(row, TOP_IN_FLIGHT, (double)show_number(target, "in_flight"));
    set(row, TOP_OPEN, (double)show_number(json_object_get(target, "connections"), "open"));
    top_look_rate(look, before, TOP_TARGET, key, row);
}

static void put_targets(struct top_look *look, const struct top_look *before)
{
    const json_t *services = json_object_get(look->answers[TOP_STATUS], "services"), *service;
    const json_t *target;
    size_t i, k, count = 0;

    json_array_foreach(services, i, service) count +=
        json_array_size(json_object_get(service, "targets"));
    make_rows(look, TOP_TARGET, count);
    count = 0;
    json_array_foreach(services, i, service)
        json_array_foreach(json_object_get(service, "targets"), k,
                           target) if (count < look->rows[TOP_TARGET].count)
            put_target(look, before, service, target, &look->rows[TOP_TARGET].row[count++]);
}

/* --- all of it */

static bool is_same_gateway(const struct top_look *look, const struct top_look *before)
{
    const json_t *is = look->answers[TOP_COUNTERS], *was = before->answers[TOP_COUNTERS];

    return is && was && show_number(is, "instance") == show_number(was, "instance");
}

void top_look_build(struct top_look *look, const struct top_look *before)
{
    if (before && look->at_us > before->at_us && is_same_gateway(look, before))
        look->seconds = (double)(look->at_us - before->at_us) / 1e6;
    blank(&look->total);
    json_decref(look->refused);
    look->refused = json_object();
    top_look_index(look);
    make_rows(look, TOP_ROUTE, look->series_count[TOP_ROUTE]);
    top_look_routes(look, before);
    put_services(look, before);
    put_targets(look, before);
    top_look_problems(look);
    top_look_deploys(look);
}
