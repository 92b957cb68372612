/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows as a table: which of them and in which order, which columns a width has room for, and how
 * numbers are written. Pure.
 */
#ifndef CLI_TOP_TABLE_H
#define CLI_TOP_TABLE_H

#include "cli/top_look.h"

enum { TOP_COLUMNS = 16, TOP_NUMBER = 24 };

struct top_column {
    enum top_field field;
    const char *title;
    unsigned width; /* that it needs */
    unsigned rank;  /* the higher, the sooner it is left out */
};

/* The columns of a kind in their order; `count` of them. */
const struct top_column *top_table_columns(enum top_kind kind, size_t *count);
/* As --sort and --json name it, "p99"; NULL: it has none of its own. */
const char *top_table_name(enum top_field field);
/* TOP_FIELDS: the kind has no such column. */
enum top_field top_table_field(enum top_kind kind, const char *name);

struct top_order {
    enum top_field field;
    bool is_reversed; /* numbers are ordered from the largest, texts from A, unless this is set */
};

/* Whether a text has the filter in it, small or large; an empty one fits all. */
bool top_table_fits(const char *text, const char *filter);
/* Those that fit the filter, in order; what is not known comes last. `picked` has room for all
 * rows. Gives how many. */
size_t top_table_pick(const struct top_rows *rows, const struct top_order *order,
                      const char *filter, const struct top_row **picked);

struct top_layout {
    struct {
        const struct top_column *column;
        unsigned at, width;
    } items[TOP_COLUMNS];
    size_t count;
    unsigned width; /* of all */
};

/* Of so many columns of a terminal; 0: as wide as the texts are. */
void top_table_lay(struct top_layout *layout, enum top_kind kind, const struct top_rows *rows,
                   unsigned width, bool is_utf8);
/* The line of titles, `order` marked (NULL: none); a row. */
void top_table_head(struct top_frame *frame, const struct top_layout *layout, unsigned at,
                    const struct top_order *order);
void top_table_row(struct top_frame *frame, const struct top_layout *layout, unsigned at,
                   const struct top_row *row);

/* A number as its column shows it; "-": not known. Fills `text` and gives it. */
const char *top_table_text(const struct top_row *row, enum top_field field, char text[TOP_NUMBER]);

#endif
