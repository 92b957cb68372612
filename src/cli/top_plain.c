/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_plain.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/show.h"

/* --- text */

/* A text by itself, without what could steer a terminal. */
static void print_text(FILE *out, const char *text, bool is_utf8)
{
    struct top_frame frame;

    if (!top_frame_init(&frame, TOP_WIDTH_MAX, 1, is_utf8)) {
        top_frame_put(&frame, (struct top_at){.width = TOP_WIDTH_MAX}, text);
        top_frame_print(&frame, 0, out);
    }
    top_frame_fini(&frame);
}

static void print_row(FILE *out, struct top_frame *frame, const struct top_layout *layout,
                      const struct top_row *row)
{
    top_frame_clear(frame);
    top_table_row(frame, layout, 0, row);
    top_frame_print(frame, 0, out);
}

static void print_table(FILE *out, const struct top_state *state, const struct top_look *look,
                        bool is_utf8)
{
    enum top_kind kind = (enum top_kind)state->view;
    const struct top_rows *rows = &look->rows[kind];
    const struct top_row **picked = calloc(rows->count + 1, sizeof(*picked));
    struct top_layout layout;
    struct top_frame frame;
    size_t count;

    if (!picked)
        return;
    count = top_table_pick(rows, &state->order[kind], state->filter, picked);
    top_table_lay(&layout, kind, rows, 0, is_utf8);
    if (!top_frame_init(&frame, layout.width, 1, is_utf8)) {
        top_table_head(&frame, &layout, 0, NULL);
        top_frame_print(&frame, 0, out);
        for (size_t i = 0; i < count; i++)
            print_row(out, &frame, &layout, picked[i]);
    }
    top_frame_fini(&frame);
    free(picked);
}

static void print_lines(FILE *out, const struct top_lines *lines, const char *filter, bool is_utf8)
{
    for (size_t i = 0; i < lines->count; i++)
        if (top_table_fits(lines->line[i].text, filter))
            print_text(out, lines->line[i].text, is_utf8);
}

/* The oldest first, as in a log. */
static void print_events(FILE *out, const struct top_scene *scene, const char *filter, bool is_utf8)
{
    size_t kept = scene->events ? top_events_kept(scene->events) : 0;
    struct clock_date date = {0};
    char line[TOP_EVENT_TEXT + TOP_EVENT_KIND + 40];

    for (size_t i = kept; i--;) {
        const struct top_event *event = top_events_at(scene->events, i);

        snprintf(line, sizeof(line), "%s  %-12s %s", clock_rfc3339(&date, event->wall_ms).p,
                 event->kind, event->text);
        if (top_table_fits(line, filter))
            print_text(out, line, is_utf8);
    }
}

void top_plain_print(FILE *out, const struct top_state *state, const struct top_scene *scene,
                     bool is_first)
{
    bool is_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    const struct top_look *look = scene->look;
    struct clock_date date = {0};
    char text[TOP_SUMMARY];

    if (!is_first)
        putc('\n', out);
    fprintf(out, "%s  ", clock_rfc3339(&date, clock_wall_ms()).p);
    if (look && !scene->away) {
        top_view_traffic(look, text);
        print_text(out, text, is_utf8);
    }
    top_view_verdict(scene, text);
    print_text(out, text, is_utf8);
    if (!look || scene->away)
        return;
    if ((unsigned)state->view < TOP_KINDS)
        print_table(out, state, look, is_utf8);
    else if (state->view == TOP_VIEW_EVENTS)
        print_events(out, scene, state->filter, is_utf8);
    else
        print_lines(out, state->view == TOP_VIEW_DEPLOYS ? &look->deploys : &look->problems,
                    state->filter, is_utf8);
}

/* --- JSON */

static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(round(value * 1000) / 1000) : json_null();
}

static json_t *row_json(const struct top_row *row, enum top_kind kind)
{
    size_t count;
    const struct top_column *columns = top_table_columns(kind, &count);
    json_t *json = json_object();

    for (size_t i = 0; i < count; i++) {
        enum top_field field = columns[i].field;

        json_object_set_new(json, top_table_name(field),
                            field < TOP_TEXTS ? json_string(row->text[field])
                                              : number_json(top_number(row, field)));
    }
    if (kind == TOP_RELEASE)
        json_object_set_new(json, top_table_name(TOP_OF), number_json(top_number(row, TOP_OF)));
    return json;
}

static json_t *rows_json(const struct top_state *state, const struct top_look *look,
                         enum top_kind kind)
{
    const struct top_rows *rows = &look->rows[kind];
    const struct top_row **picked = calloc(rows->count + 1, sizeof(*picked));
    json_t *list = json_array();
    size_t count = picked ? top_table_pick(rows, &state->order[kind], state->filter, picked) : 0;

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, row_json(picked[i], kind));
    free(picked);
    return list;
}

static json_t *lines_json(const struct top_lines *lines)
{
    json_t *list = json_array();

    for (size_t i = 0; i < lines->count; i++)
        json_array_append_new(list, json_string(lines->line[i].text));
    return list;
}

static json_t *total_json(const struct top_look *look)
{
    json_t *json = row_json(&look->total, TOP_ROUTE);

    json_object_del(json, top_table_name(TOP_NAME));
    json_object_set(json, "refused_by_reason", look->refused);
    return json;
}

static void put_look(json_t *json, const struct top_state *state, const struct top_look *look)
{
    const json_t *status = look->answers[TOP_STATUS];

    json_object_set_new(json, "version", json_string(show_text(status, "version")));
    json_object_set_new(json, "uptime_s", json_integer(show_number(status, "uptime_s")));
    json_object_set_new(json, "generation", json_integer(show_number(status, "generation")));
    json_object_set_new(json, "seconds",
                        look->seconds > 0 ? number_json(look->seconds) : json_null());
    json_object_set_new(json, "problems", lines_json(&look->problems));
    json_object_set_new(json, "total", total_json(look));
    json_object_set_new(json, "routes", rows_json(state, look, TOP_ROUTE));
    json_object_set_new(json, "services", rows_json(state, look, TOP_RELEASE));
    json_object_set_new(json, "targets", rows_json(state, look, TOP_TARGET));
    if (look->answers[TOP_DEPLOYS])
        json_object_set(json, "deploys", json_object_get(look->answers[TOP_DEPLOYS], "deploys"));
    if (look->answers[TOP_SLO])
        json_object_set(json, "slo", json_object_get(look->answers[TOP_SLO], "services"));
}

void top_plain_json(FILE *out, const struct top_state *state, const struct top_scene *scene)
{
    json_t *json =
        json_pack("{s:I,s:b,s:s*,s:I}", "at_ms", (json_int_t)clock_wall_ms(), "away",
                  scene->away != NULL, "why", scene->away, "age_ms", (json_int_t)scene->age_ms);

    if (scene->look && !scene->away)
        put_look(json, state, scene->look);
    json_dumpf(json, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    putc('\n', out);
    json_decref(json);
}
