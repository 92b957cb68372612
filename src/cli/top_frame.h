/* SPDX-License-Identifier: Apache-2.0
 *
 * What `sluice top` shows, as cells of a grid; and what a terminal has to be told so that a screen
 * which shows one grid shows another. Whatever a text holds, no byte of it steers the terminal:
 * each cell is one character that is seen. Pure but for wcwidth(), which goes by the locale.
 *
 * These few sequences are all that is used of a terminal, and every one of this century knows them,
 * so ncurses is not linked: the gateway's own processes would load it, too.
 */
#ifndef CLI_TOP_FRAME_H
#define CLI_TOP_FRAME_H

#include <stdio.h>

#include "sluice/types.h"

enum top_style {
    TOP_PLAIN,
    TOP_STRONG,
    TOP_FAINT,
    TOP_GOOD,
    TOP_WARN,
    TOP_BAD,
    TOP_BAR, /* reversed */
    TOP_STYLES
};

struct top_cell {
    uint32_t rune; /* 0: the right half of the one before */
    enum top_style style;
};

struct top_frame {
    struct top_cell *cells; /* row by row; NULL: none */
    unsigned width, height;
    bool is_utf8; /* else only ASCII is shown */
};

/* Where a text goes: `width` columns at most. */
struct top_at {
    unsigned row, column, width;
    enum top_style style;
};

enum { TOP_WIDTH_MAX = 1000, TOP_HEIGHT_MAX = 500 };

/* Of blanks; sizes are cut to what is allowed. E_NOMEM. top_frame_fini() it in every case. */
MUST_USE enum status top_frame_init(struct top_frame *frame, unsigned width, unsigned height,
                                    bool is_utf8);
void top_frame_fini(struct top_frame *frame);
/* Blanks all of it. */
void top_frame_clear(struct top_frame *frame);

/* Columns that a text takes. */
unsigned top_frame_columns(const char *text, bool is_utf8);
/* Puts a text; one that is cut ends in a mark that says so. What lies outside is left out. Gives
 * the columns that were taken. */
unsigned top_frame_put(struct top_frame *frame, struct top_at at, const char *text);
/* The same, at the right end of the columns. */
void top_frame_put_right(struct top_frame *frame, struct top_at at, const char *text);
/* Gives a whole row a style. */
void top_frame_dye(struct top_frame *frame, unsigned row, enum top_style style);

/* Writes what turns a screen that shows `old` (NULL or of another size: anything) into `frame`:
 * only cells that differ. */
void top_frame_paint(const struct top_frame *frame, const struct top_frame *old, bool has_colours,
                     FILE *out);
/* Writes a row as text, without blanks at its end. */
void top_frame_print(const struct top_frame *frame, unsigned row, FILE *out);

#endif
