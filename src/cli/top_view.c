/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/show.h"

/* From so many lines on there is a place for the title, for traffic, for the names of the views and
 * for the keys. */
enum { TITLE_FROM = 7, TRAFFIC_FROM = 4, TABS_FROM = 9, KEYS_FROM = 8, REASONS = 3 };
enum { TABS_WIDTH = 72 }; // of all names

/* --- in a line */

static size_t append(char text[TOP_SUMMARY], size_t len, const char *what, const char *value)
{
    int more = snprintf(text + len, TOP_SUMMARY - len, "%s%s %s%s", len ? "  " : "", what, value,
                        *what == 'p' && *value != '-' ? "ms" : "");

    return more > 0 && (size_t)more < TOP_SUMMARY - len ? len + (size_t)more : len;
}

static size_t append_refused(char text[TOP_SUMMARY], size_t len, const struct top_look *look)
{
    const char *reason, *before = " (";
    json_t *rate;
    unsigned count = 0;

    json_object_foreach(look->refused, reason, rate)
    {
        int more = count++ < REASONS ? snprintf(text + len, TOP_SUMMARY - len, "%s%s %.1f", before,
                                                reason, json_number_value(rate))
                                     : 0;

        len += more > 0 && (size_t)more < TOP_SUMMARY - len ? (size_t)more : 0;
        before = ", ";
    }
    if (count && len + 2 < TOP_SUMMARY)
        len = (size_t)(stpcpy(text + len, ")") - text);
    return len;
}

void top_view_traffic(const struct top_look *look, char text[TOP_SUMMARY])
{
    static const struct {
        enum top_field field;
        const char *what;
    } parts[] = {{TOP_RATE, "req/s"},       {TOP_ERROR_SHARE, "errors"},
                 {TOP_P50, "p50"},          {TOP_P95, "p95"},
                 {TOP_P99, "p99"},          {TOP_IN_FLIGHT, "in flight"},
                 {TOP_REFUSED, "refused/s"}};
    char number[TOP_NUMBER];
    size_t len = 0;

    *text = '\0';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        len =
            append(text, len, parts[i].what, top_table_text(&look->total, parts[i].field, number));
    append_refused(text, len, look);
}

enum top_style top_view_verdict(const struct top_scene *scene, char text[TOP_SUMMARY])
{
    const struct top_look *look = scene->look;
    const struct top_lines *problems = look ? &look->problems : NULL;
    char age[16];
    size_t len;

    if (scene->away) {
        snprintf(text, TOP_SUMMARY, "AWAY: what is seen is %s old; %s",
                 show_age((long long)(scene->age_ms / 1000), age), scene->away);
        return TOP_BAD;
    }
    if (!look) {
        snprintf(text, TOP_SUMMARY, "asking %s", scene->place);
        return TOP_PLAIN;
    }
    len = (size_t)snprintf(text, TOP_SUMMARY, "generation %lld  ",
                           show_number(look->answers[TOP_STATUS], "generation"));
    if (!problems->count) {
        snprintf(text + len, TOP_SUMMARY - len, "all is well");
        return TOP_GOOD;
    }
    if (problems->count > 1)
        len += (size_t)snprintf(text + len, TOP_SUMMARY - len, "%zu things: ", problems->count);
    for (size_t i = 0; i < problems->count && len < TOP_SUMMARY - 1; i++) {
        int more =
            snprintf(text + len, TOP_SUMMARY - len, "%s%s", i ? "; " : "", problems->line[i].text);

        len = more > 0 && (size_t)more < TOP_SUMMARY - len ? len + (size_t)more : TOP_SUMMARY - 1;
    }
    return problems->line[0].style;
}

/* --- the lines above */

static void put_title(struct top_frame *frame, unsigned row, const struct top_state *state,
                      const struct top_scene *scene)
{
    const json_t *status = scene->look ? scene->look->answers[TOP_STATUS] : NULL;
    char text[TOP_SUMMARY], age[16];

    snprintf(text, sizeof(text), "sluice %s  up %s  %s  every %.4gs%s",
             show_text(status, "version"), show_age(show_number(status, "uptime_s"), age),
             scene->place, scene->interval_s, state->is_paused ? "  PAUSED" : "");
    top_frame_put(frame, (struct top_at){row, 0, frame->width, TOP_BAR}, text);
    top_frame_dye(frame, row, TOP_BAR);
}

static unsigned put_tab(struct top_frame *frame, struct top_at at, const struct top_state *state,
                        enum top_view view)
{
    char text[24];

    if (frame->width < TABS_WIDTH && view != state->view)
        snprintf(text, sizeof(text), " %d ", (int)view + 1);
    else
        snprintf(text, sizeof(text), " %d %s ", (int)view + 1, top_view_name(view));
    at.style = view == state->view ? TOP_BAR : TOP_PLAIN;
    at.width = frame->width > at.column ? frame->width - at.column : 0;
    return at.column + top_frame_put(frame, at, text) + 1;
}

static void put_tabs(struct top_frame *frame, unsigned row, const struct top_state *state)
{
    unsigned column = 0;

    for (unsigned view = 0; view < TOP_VIEWS; view++)
        column = put_tab(frame, (struct top_at){.row = row, .column = column}, state,
                         (enum top_view)view);
}

/* What of the view is seen: "1-20 of 5000 by rate". */
static void put_place(struct top_frame *frame, struct top_at at, const struct top_state *state,
                      size_t count)
{
    const struct top_order *order = &state->order[(unsigned)state->view % TOP_KINDS];
    size_t first = state->first[state->view];
    size_t last = first + state->page < count ? first + state->page : count;
    char text[TOP_FILTER + 120];
    int len = snprintf(text, sizeof(text), "%zu-%zu of %zu", count ? first + 1 : 0, last, count);

    if ((unsigned)state->view < TOP_KINDS)
        len += snprintf(text + len, sizeof(text) - (size_t)len, " by %s%s",
                        top_table_name(order->field), order->is_reversed ? ", turned" : "");
    if (*state->filter)
        snprintf(text + len, sizeof(text) - (size_t)len, " with \"%s\"", state->filter);
    top_frame_put_right(frame, at, text);
}

static void put_keys(struct top_frame *frame, unsigned row, const struct top_state *state,
                     size_t count)
{
    struct top_at at = {row, 0, frame->width, state->is_typing ? TOP_STRONG : TOP_FAINT};
    char text[TOP_FILTER + 80];

    if (state->is_typing)
        snprintf(text, sizeof(text), "/%s_  Enter keeps it, Esc drops it", state->filter);
    else
        snprintf(text, sizeof(text), "q quit  ? help  / filter  <- -> sort");
    at.column = top_frame_put(frame, at, text) + 2;
    at.width = frame->width > at.column ? frame->width - at.column : 0;
    put_place(frame, at, state, count);
}

/* --- what is below */

/* Rows, lines or help, from `at` on, `room` of them. */
struct area {
    struct top_frame *frame;
    unsigned at, room;
};

static void clamp(struct top_state *state, size_t count, unsigned room)
{
    size_t *first = &state->first[state->view], most = count > room ? count - room : 0;

    state->page = room;
    *first = *first > most ? most : *first;
}

/* Gives how many there are. */
static size_t draw_rows(const struct area *area, struct top_state *state,
                        const struct top_look *look)
{
    enum top_kind kind = (enum top_kind)state->view;
    const struct top_rows *rows = &look->rows[kind];
    const struct top_row **picked = calloc(rows->count + 1, sizeof(*picked));
    const struct top_order *order = &state->order[kind];
    unsigned room = area->room ? area->room - 1 : 0;
    struct top_layout layout;
    size_t count;

    if (!picked)
        return 0;
    count = top_table_pick(rows, order, state->filter, picked);
    clamp(state, count, room);
    top_table_lay(&layout, kind, rows, area->frame->width, area->frame->is_utf8);
    if (area->room)
        top_table_head(area->frame, &layout, area->at, order);
    for (size_t i = 0; i < room && state->first[kind] + i < count; i++)
        top_table_row(area->frame, &layout, area->at + 1 + (unsigned)i,
                      picked[state->first[kind] + i]);
    free(picked);
    return count;
}

static void put_line(const struct area *area, size_t i, const struct top_line *line)
{
    top_frame_put(area->frame,
                  (struct top_at){area->at + (unsigned)i, 0, area->frame->width, line->style},
                  line->text);
}

static size_t draw_lines(const struct area *area, struct top_state *state,
                         const struct top_lines *lines, const char *none)
{
    size_t count = 0, shown = 0, skipped = 0;

    for (size_t i = 0; i < lines->count; i++)
        count += top_table_fits(lines->line[i].text, state->filter);
    clamp(state, count, area->room);
    for (size_t i = 0; i < lines->count && shown < area->room; i++) {
        if (!top_table_fits(lines->line[i].text, state->filter) ||
            skipped++ < state->first[state->view])
            continue;
        put_line(area, shown++, &lines->line[i]);
    }
    if (!count && area->room)
        put_line(area, 0, &(struct top_line){TOP_FAINT, *state->filter ? "none fits" : none});
    return count;
}

/* The newest on top. */
static size_t draw_events(const struct area *area, struct top_state *state,
                          const struct top_events *events)
{
    size_t kept = events ? top_events_kept(events) : 0, i;
    struct top_line *line = calloc(kept + 1, sizeof(*line));
    struct top_lines lines = {.line = line};
    struct arena arena;

    if (!line)
        return 0;
    arena_init(&arena, NULL, 0);
    for (i = 0; i < kept; i++) {
        const struct top_event *event = top_events_at(events, i);
        time_t seconds = (time_t)(event->wall_ms / 1000);
        char clock[16];
        struct tm local;
        struct str text;

        strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&seconds, &local));
        text = arena_format(&arena, "%s  %-12s %s", clock, event->kind, event->text);
        if (text.p)
            line[lines.count++] = (struct top_line){TOP_PLAIN, text.p};
    }
    i = draw_lines(area, state, &lines, "nothing has happened since this was begun");
    arena_reset(&arena);
    free(line);
    return i;
}

static size_t draw_help(const struct area *area)
{
    static const char *const lines[] = {
        "1 routes  2 services and releases  3 targets  4 deploys  5 events  6 problems; Tab: the "
        "next",
        "<- ->       orders by the column beside; r turns the order round",
        "n t e l f s orders by name, traffic, errors, latency, in flight, state; again: turned "
        "round",
        "/           shows only what has a text in it; Esc shows all",
        "up down PgUp PgDn Home End, j k g G: move",
        "p, space    holds what is seen, and goes on",
        "Ctrl-L      draws all anew",
        "h, ?        this; q, Ctrl-C: ends",
        "",
        "REQ/S and all other rates are over the last interval, and so are the latencies.",
        "5XX: answers from 500 on, whoever made them. REFUSED: those that it refused itself, a "
        "second.",
        "FAIL: first tries that failed, whatever became of later ones. FLIGHT: under way now.",
        "BUDGET: what an SLO has left of the errors that it allows. -: not known (yet).",
    };

    for (size_t i = 0; i < ARRAY_LEN(lines) && i < area->room; i++)
        put_line(area, i, &(struct top_line){TOP_PLAIN, lines[i]});
    return ARRAY_LEN(lines);
}

static size_t draw_area(const struct area *area, struct top_state *state,
                        const struct top_scene *scene)
{
    if (state->has_help)
        return draw_help(area);
    if (state->view == TOP_VIEW_EVENTS)
        return draw_events(area, state, scene->events);
    if (!scene->look)
        return 0;
    if (state->view == TOP_VIEW_DEPLOYS)
        return draw_lines(area, state, &scene->look->deploys,
                          scene->look->answers[TOP_DEPLOYS] ? "there were no deploys"
                                                            : "control says nothing of deploys");
    if (state->view == TOP_VIEW_PROBLEMS)
        return draw_lines(area, state, &scene->look->problems, "all is well");
    return draw_rows(area, state, scene->look);
}

void top_view_draw(struct top_frame *frame, struct top_state *state, const struct top_scene *scene)
{
    unsigned height = frame->height, at = 0, tabs = 0;
    bool has_keys = height >= KEYS_FROM || (state->is_typing && height > 1);
    char text[TOP_SUMMARY];
    enum top_style style;
    struct area area;
    size_t count;

    top_frame_clear(frame);
    if (height >= TITLE_FROM)
        put_title(frame, at++, state, scene);
    if (height >= TRAFFIC_FROM && scene->look) {
        top_view_traffic(scene->look, text);
        top_frame_put(frame, (struct top_at){at++, 0, frame->width, TOP_PLAIN}, text);
    }
    style = top_view_verdict(scene, text);
    top_frame_put(frame, (struct top_at){at++, 0, frame->width, style}, text);
    if (height >= TABS_FROM)
        tabs = at++;
    area = (struct area){frame, at, height > at + has_keys ? height - at - has_keys : 0};
    count = draw_area(&area, state, scene);
    if (tabs)
        put_tabs(frame, tabs, state);
    if (has_keys)
        put_keys(frame, height - 1, state, count);
}
