/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MOST = 48, TEXT_MOST = 200 };

/* --- columns */

static const struct top_column routes[] = {
    {TOP_NAME, "ROUTE", 14, 0},      {TOP_RATE, "REQ/S", 7, 1},
    {TOP_ERRORS, "5XX/S", 7, 4},     {TOP_ERROR_SHARE, "5XX%", 7, 2},
    {TOP_P50, "P50 MS", 7, 6},       {TOP_P95, "P95 MS", 7, 7},
    {TOP_P99, "P99 MS", 7, 3},       {TOP_REFUSED, "REFUSED", 7, 5},
    {TOP_IN_FLIGHT, "FLIGHT", 7, 8}, {TOP_IN, "IN/S", 7, 10},
    {TOP_OUT, "OUT/S", 7, 9},
};

static const struct top_column services[] = {
    {TOP_NAME, "SERVICE", 14, 0},     {TOP_RELEASE_ID, "RELEASE", 10, 3},
    {TOP_SPLIT, "SHARE", 6, 9},       {TOP_UP, "UP", 7, 5},
    {TOP_RATE, "REQ/S", 7, 1},        {TOP_ERRORS, "FAIL/S", 7, 8},
    {TOP_ERROR_SHARE, "FAIL%", 7, 2}, {TOP_P50, "P50 MS", 7, 10},
    {TOP_P95, "P95 MS", 7, 11},       {TOP_P99, "P99 MS", 7, 6},
    {TOP_IN_FLIGHT, "FLIGHT", 7, 7},  {TOP_WAITING, "WAIT", 6, 13},
    {TOP_BUDGET, "BUDGET", 7, 12},    {TOP_STATE, "STATE", 9, 4},
    {TOP_NOTE, "NOTE", 16, 14},
};

static const struct top_column targets[] = {
    {TOP_NAME, "TARGET", 14, 0},
    {TOP_SERVICE, "SERVICE", 10, 3},
    {TOP_RELEASE_ID, "RELEASE", 10, 10},
    {TOP_STATE, "STATE", 8, 1},
    {TOP_RATE, "REQ/S", 7, 2},
    {TOP_ERRORS, "5XX/S", 7, 8},
    {TOP_ERROR_SHARE, "5XX%", 7, 4},
    {TOP_P50, "P50 MS", 7, 11},
    {TOP_P95, "P95 MS", 7, 12},
    {TOP_P99, "P99 MS", 7, 7},
    {TOP_IN_FLIGHT, "FLIGHT", 7, 6},
    {TOP_OPEN, "OPEN", 6, 9},
    {TOP_NOTE, "WHY", 16, 5},
};

const struct top_column *top_table_columns(enum top_kind kind, size_t *count)
{
    static const struct {
        const struct top_column *columns;
        size_t count;
    } tables[TOP_KINDS] = {[TOP_ROUTE] = {routes, ARRAY_LEN(routes)},
                           [TOP_RELEASE] = {services, ARRAY_LEN(services)},
                           [TOP_TARGET] = {targets, ARRAY_LEN(targets)}};

    *count = tables[kind].count;
    return tables[kind].columns;
}

const char *top_table_name(enum top_field field)
{
    static const char *const names[TOP_FIELDS] = {[TOP_NAME] = "name",
                                                  [TOP_SERVICE] = "service",
                                                  [TOP_RELEASE_ID] = "release",
                                                  [TOP_STATE] = "state",
                                                  [TOP_NOTE] = "note",
                                                  [TOP_RATE] = "rate",
                                                  [TOP_ERRORS] = "errors",
                                                  [TOP_ERROR_SHARE] = "error_percent",
                                                  [TOP_REFUSED] = "refused",
                                                  [TOP_P50] = "p50",
                                                  [TOP_P95] = "p95",
                                                  [TOP_P99] = "p99",
                                                  [TOP_IN_FLIGHT] = "in_flight",
                                                  [TOP_IN] = "bytes_in",
                                                  [TOP_OUT] = "bytes_out",
                                                  [TOP_SPLIT] = "share",
                                                  [TOP_UP] = "up",
                                                  [TOP_OF] = "targets",
                                                  [TOP_WAITING] = "waiting",
                                                  [TOP_BUDGET] = "budget",
                                                  [TOP_OPEN] = "open"};

    return names[field];
}

enum top_field top_table_field(enum top_kind kind, const char *name)
{
    size_t count;
    const struct top_column *columns = top_table_columns(kind, &count);

    for (size_t i = 0; i < count; i++)
        if (!strcmp(top_table_name(columns[i].field), name))
            return columns[i].field;
    return TOP_FIELDS;
}

/* --- which rows, and in which order */

bool top_table_fits(const char *text, const char *filter)
{
    return !*filter || strcasestr(text, filter) != NULL;
}

static bool fits(const struct top_row *row, const char *filter)
{
    bool is_fit = !*filter;

    for (unsigned i = 0; i < TOP_TEXTS && !is_fit; i++)
        is_fit = top_table_fits(row->text[i], filter);
    return is_fit;
}

static int compare_numbers(double a, double b, bool is_reversed)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return is_reversed ? (a > b) - (a < b) : (a < b) - (a > b);
}

static int compare(const void *left, const void *right, void *owner)
{
    static const enum top_field ties[] = {TOP_SERVICE, TOP_NAME, TOP_RELEASE_ID};
    const struct top_row *a = *(const struct top_row *const *)left;
    const struct top_row *b = *(const struct top_row *const *)right;
    const struct top_order *order = owner;
    int by = 0;

    if (order->field == TOP_STATE)
        by = compare_numbers(a->style, b->style, order->is_reversed);
    else if (order->field >= TOP_TEXTS)
        by = compare_numbers(top_number(a, order->field), top_number(b, order->field),
                             order->is_reversed);
    if (!by && order->field < TOP_TEXTS)
        by = strcmp(a->text[order->field], b->text[order->field]) * (order->is_reversed ? -1 : 1);
    for (size_t i = 0; i < ARRAY_LEN(ties) && !by; i++)
        by = strcmp(a->text[ties[i]], b->text[ties[i]]);
    return by;
}

size_t top_table_pick(const struct top_rows *rows, const struct top_order *order,
                      const char *filter, const struct top_row **picked)
{
    struct top_order by = *order;
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++)
        if (fits(&rows->row[i], filter))
            picked[count++] = &rows->row[i];
    if (count)
        qsort_r(picked, count, sizeof(*picked), compare, &by);
    return count;
}

/* --- numbers */

/* At most six characters: "0", "0.25", "12.5", "1234", "56.7k", "8.91M". */
static void put_short(char text[TOP_NUMBER], double value)
{
    static const char units[] = "kMGTP";
    size_t unit = 0;

    if (value < 9999.5) {
        snprintf(text, TOP_NUMBER, "%.*f",
                 value < 0.005    ? 0
                 : value < 9.995  ? 2
                 : value < 999.95 ? 1
                                  : 0,
                 value);
        return;
    }
    for (value /= 1000; value >= 999.95 && unit + 2 < sizeof(units); unit++)
        value /= 1000;
    snprintf(text, TOP_NUMBER, "%.1f%c", value < 1e6 ? value : 1e6, units[unit]);
}

static void put_up(char text[TOP_NUMBER], const struct top_row *row)
{
    snprintf(text, TOP_NUMBER, "%.0f/%.0f", top_number(row, TOP_UP), top_number(row, TOP_OF));
}

const char *top_table_text(const struct top_row *row, enum top_field field, char text[TOP_NUMBER])
{
    double value = top_number(row, field);
    size_t len;

    if (isnan(value)) {
        snprintf(text, TOP_NUMBER, "-");
        return text;
    }
    if (field == TOP_UP) {
        put_up(text, row);
        return text;
    }
    if (field == TOP_IN_FLIGHT || field == TOP_WAITING || field == TOP_OPEN) {
        snprintf(text, TOP_NUMBER, "%.0f", value);
        return text;
    }
    if (value < 0)
        snprintf(text, TOP_NUMBER, "%.0f", value > -1e6 ? value : -1e6);
    else
        put_short(text, value);
    len = strlen(text);
    if (field == TOP_ERROR_SHARE || field == TOP_SPLIT || field == TOP_BUDGET)
        snprintf(text + len, TOP_NUMBER - len, "%%");
    return text;
}

/* --- columns in a width */

/* The longest of a column's texts. */
static unsigned longest(const struct top_rows *rows, enum top_field field, bool is_utf8)
{
    unsigned most = 0;

    for (size_t i = 0; i < rows->count; i++) {
        unsigned columns = top_frame_columns(rows->row[i].text[field], is_utf8);

        most = columns > most ? columns : most;
    }
    return most;
}

static void choose(struct top_layout *layout, enum top_kind kind, unsigned width)
{
    size_t count, i;
    const struct top_column *columns = top_table_columns(kind, &count);
    bool is_in[TOP_COLUMNS] = {false};
    unsigned used = 0, rank = 0;

    // By rank until there is no room; the first is there in any case.
    for (; rank < count; rank++) {
        for (i = 0; i < count && columns[i].rank != rank;)
            i++;
        if (rank && width && used + 1 + columns[i].width > width)
            break;
        used += columns[i].width + (rank > 0);
        is_in[i] = true;
    }
    for (i = 0; i < count; i++)
        if (is_in[i]) {
            layout->items[layout->count].column = &columns[i];
            layout->items[layout->count++].width = columns[i].width;
        }
    layout->width = used;
}

/* Gives texts what they need of what is left over. */
static void widen(struct top_layout *layout, const struct top_rows *rows, unsigned width,
                  bool is_utf8)
{
    for (size_t i = 0; i < layout->count; i++) {
        enum top_field field = layout->items[i].column->field;
        unsigned want, most = width && field != TOP_NOTE ? NAME_MOST : TEXT_MOST, more;

        if (field >= TOP_TEXTS)
            continue;
        want = longest(rows, field, is_utf8);
        want = want > most ? most : want;
        more = want > layout->items[i].width ? want - layout->items[i].width : 0;
        if (width && more > width - layout->width)
            more = width > layout->width ? width - layout->width : 0;
        layout->items[i].width += more;
        layout->width += more;
    }
}

void top_table_lay(struct top_layout *layout, enum top_kind kind, const struct top_rows *rows,
                   unsigned width, bool is_utf8)
{
    unsigned at = 0;

    *layout = (struct top_layout){0};
    choose(layout, kind, width);
    if (!width || width > layout->width)
        widen(layout, rows, width, is_utf8);
    for (size_t i = 0; i < layout->count; i++) {
        layout->items[i].at = at;
        at += layout->items[i].width + 1;
    }
}

static void put(struct top_frame *frame, struct top_at at, enum top_field field, const char *text)
{
    if (field < TOP_TEXTS)
        top_frame_put(frame, at, text);
    else
        top_frame_put_right(frame, at, text);
}

void top_table_head(struct top_frame *frame, const struct top_layout *layout, unsigned at,
                    const struct top_order *order)
{
    for (size_t i = 0; i < layout->count; i++) {
        const struct top_column *column = layout->items[i].column;
        bool is_marked = order && order->field == column->field;

        put(frame,
            (struct top_at){at, layout->items[i].at, layout->items[i].width,
                            is_marked ? TOP_BAR : TOP_STRONG},
            column->field, column->title);
    }
}

static enum top_style style_of(const struct top_row *row, enum top_field field)
{
    if (field == TOP_STATE || field == TOP_UP)
        return row->style;
    if (field == TOP_ERROR_SHARE && top_number(row, field) > 0)
        return top_number(row, field) >= 5 ? TOP_BAD : TOP_WARN;
    if (field == TOP_BUDGET && top_number(row, field) < 10)
        return top_number(row, field) <= 0 ? TOP_BAD : TOP_WARN;
    return TOP_PLAIN;
}

void top_table_row(struct top_frame *frame, const struct top_layout *layout, unsigned at,
                   const struct top_row *row)
{
    char number[TOP_NUMBER];

    for (size_t i = 0; i < layout->count; i++) {
        enum top_field field = layout->items[i].column->field;

        put(frame,
            (struct top_at){at, layout->items[i].at, layout->items[i].width, style_of(row, field)},
            field, field < TOP_TEXTS ? row->text[field] : top_table_text(row, field, number));
    }
}
