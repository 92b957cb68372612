/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_frame.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"

enum { HIDDEN = '?', CUT_ASCII = '~', CUT = 0x2026 };

enum status top_frame_init(struct top_frame *frame, unsigned width, unsigned height, bool is_utf8)
{
    width = width > TOP_WIDTH_MAX ? TOP_WIDTH_MAX : width;
    height = height > TOP_HEIGHT_MAX ? TOP_HEIGHT_MAX : height;
    *frame = (struct top_frame){.width = width, .height = height, .is_utf8 = is_utf8};
    frame->cells = calloc((size_t)width * height + 1, sizeof(*frame->cells));
    if (!frame->cells)
        return E_NOMEM;
    top_frame_clear(frame);
    return OK;
}

void top_frame_fini(struct top_frame *frame)
{
    free(frame->cells);
    *frame = (struct top_frame){0};
}

void top_frame_clear(struct top_frame *frame)
{
    for (size_t i = 0; i < (size_t)frame->width * frame->height; i++)
        frame->cells[i] = (struct top_cell){.rune = ' '};
}

/* --- texts into cells */

/* Of a well-formed sequence. */
static uint32_t decode(const char *bytes, size_t len)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t rune = (unsigned char)bytes[0] & masks[len];

    for (size_t i = 1; i < len; i++)
        rune = rune << 6 | ((unsigned char)bytes[i] & 0x3f);
    return rune;
}

/* The next character that is seen, and its columns. What takes none (a control, one that turns the
 * direction of writing, a mark on the one before) is shown as one that does. */
static uint32_t next(const char **text, bool is_utf8, unsigned *columns)
{
    size_t len = text_utf8((struct str){*text, strnlen(*text, 4)});
    uint32_t rune = len ? decode(*text, len) : HIDDEN;
    int width = rune < 0x80 ? rune >= 0x20 && rune < 0x7f : wcwidth((wchar_t)rune);

    *text += len ? len : 1;
    *columns = 1;
    if (width < 1 || width > 2 || (rune >= 0x80 && !is_utf8))
        return HIDDEN;
    *columns = (unsigned)width;
    return rune;
}

unsigned top_frame_columns(const char *text, bool is_utf8)
{
    unsigned sum = 0, columns;

    while (*text && sum < TOP_WIDTH_MAX) {
        next(&text, is_utf8, &columns);
        sum += columns;
    }
    return sum;
}

static struct top_cell *cell_at(struct top_frame *frame, unsigned row, unsigned column)
{
    return &frame->cells[(size_t)row * frame->width + column];
}

unsigned top_frame_put(struct top_frame *frame, struct top_at at, const char *text)
{
    unsigned used = 0, room, columns;

    if (at.row >= frame->height || at.column >= frame->width)
        return 0;
    room = frame->width - at.column < at.width ? frame->width - at.column : at.width;
    while (*text) {
        uint32_t rune = next(&text, frame->is_utf8, &columns);
        struct top_cell *cell = cell_at(frame, at.row, at.column + used);

        if (used + columns > room || (*text && used + columns == room)) {
            if (used < room)
                *cell = (struct top_cell){frame->is_utf8 ? CUT : CUT_ASCII, at.style};
            return room;
        }
        cell[0] = (struct top_cell){rune, at.style};
        if (columns == 2)
            cell[1] = (struct top_cell){0, at.style};
        used += columns;
    }
    return used;
}

void top_frame_put_right(struct top_frame *frame, struct top_at at, const char *text)
{
    unsigned columns = top_frame_columns(text, frame->is_utf8);

    if (columns < at.width) {
        at.column += at.width - columns;
        at.width = columns;
    }
    top_frame_put(frame, at, text);
}

void top_frame_dye(struct top_frame *frame, unsigned row, enum top_style style)
{
    for (unsigned i = 0; row < frame->height && i < frame->width; i++)
        cell_at(frame, row, i)->style = style;
}

/* --- cells to a terminal */

static void write_rune(uint32_t rune, FILE *out)
{
    if (rune < 0x80) {
        putc((int)rune, out);
    } else if (rune < 0x800) {
        putc((int)(0xc0 | rune >> 6), out);
        putc((int)(0x80 | (rune & 0x3f)), out);
    } else {
        if (rune < 0x10000) {
            putc((int)(0xe0 | rune >> 12), out);
        } else {
            putc((int)(0xf0 | rune >> 18), out);
            putc((int)(0x80 | (rune >> 12 & 0x3f)), out);
        }
        putc((int)(0x80 | (rune >> 6 & 0x3f)), out);
        putc((int)(0x80 | (rune & 0x3f)), out);
    }
}

static void write_style(enum top_style style, bool has_colours, FILE *out)
{
    static const char *const with[TOP_STYLES] = {
        [TOP_PLAIN] = "0",   [TOP_STRONG] = "0;1", [TOP_FAINT] = "0;2", [TOP_GOOD] = "0;32",
        [TOP_WARN] = "0;33", [TOP_BAD] = "0;1;31", [TOP_BAR] = "0;7"};
    static const char *const without[TOP_STYLES] = {
        [TOP_PLAIN] = "0", [TOP_STRONG] = "0;1", [TOP_FAINT] = "0", [TOP_GOOD] = "0",
        [TOP_WARN] = "0",  [TOP_BAD] = "0;1",    [TOP_BAR] = "0;7"};

    fprintf(out, "\033[%sm", (has_colours ? with : without)[style]);
}

struct brush {
    FILE *out;
    bool has_colours, is_placed;
    enum top_style style;
};

static void paint_cell(struct brush *brush, const struct top_cell *cell, unsigned row,
                       unsigned column)
{
    if (!brush->is_placed)
        fprintf(brush->out, "\033[%u;%uH", row + 1, column + 1);
    brush->is_placed = true;
    if (cell->style != brush->style)
        write_style(cell->style, brush->has_colours, brush->out);
    brush->style = cell->style;
    write_rune(cell->rune, brush->out);
}

static bool differs(const struct top_frame *frame, const struct top_frame *old, size_t at)
{
    const struct top_cell *is = &frame->cells[at], *was = &old->cells[at];

    return is->rune != was->rune || is->style != was->style;
}

static void paint_row(struct brush *brush, const struct top_frame *frame,
                      const struct top_frame *old, unsigned row)
{
    brush->is_placed = false;
    for (unsigned column = 0; column < frame->width; column++) {
        size_t at = (size_t)row * frame->width + column;
        bool is_wide = column + 1 < frame->width && !frame->cells[at + 1].rune;

        if (!frame->cells[at].rune)
            continue; // with the one before
        if (differs(frame, old, at) || (is_wide && differs(frame, old, at + 1)))
            paint_cell(brush, &frame->cells[at], row, column);
        else
            brush->is_placed = false;
    }
}

void top_frame_paint(const struct top_frame *frame, const struct top_frame *old, bool has_colours,
                     FILE *out)
{
    struct brush brush = {.out = out, .has_colours = has_colours, .style = TOP_STYLES};
    struct top_frame blank = {0};

    if (!old || !old->cells || old->width != frame->width || old->height != frame->height) {
        if (top_frame_init(&blank, frame->width, frame->height, false)) {
            top_frame_fini(&blank);
            return;
        }
        old = &blank;
        fputs("\033[0m\033[2J", out);
    }
    for (unsigned row = 0; row < frame->height; row++)
        paint_row(&brush, frame, old, row);
    if (brush.style != TOP_STYLES)
        fputs("\033[0m", out);
    top_frame_fini(&blank);
}

void top_frame_print(const struct top_frame *frame, unsigned row, FILE *out)
{
    const struct top_cell *cells = &frame->cells[(size_t)row * frame->width];
    unsigned end = frame->width;

    while (end && cells[end - 1].rune == ' ')
        end--;
    for (unsigned i = 0; i < end; i++)
        if (cells[i].rune)
            write_rune(cells[i].rune, out);
    putc('\n', out);
}
