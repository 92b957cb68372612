/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics: everything that is wrong with a configuration, each with the place it stands at. The
 * text of a file is kept so that the line can be quoted; line and column are counted when printing.
 * One thread at a time.
 */
#ifndef CONFIG_DIAG_H
#define CONFIG_DIAG_H

#include "base/arena.h"

/* A file that was read; in the arena of the diag. */
struct source {
    struct str name, text;
    uint32_t index; /* in order of reading, for sorting */
};

/* A place in a source. source NULL: no place (a default, or a value of the command line). */
struct span {
    const struct source *source;
    uint32_t offset, length; /* bytes */
};

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

struct diag_entry {
    enum severity severity;
    struct span at;
    struct str text; /* one sentence, no full stop: "unknown key \"tagets\"" */
    struct str hint; /* what to do: "did you mean \"targets\"?"; absent: none */
};

/* A value that is never shown; the last one found first. */
struct diag_secret {
    struct span at;
    const struct diag_secret *next;
};

enum { DIAG_MAX = 50 }; /* more are counted, not kept */

struct diag {
    struct arena *arena; /* borrowed; outlives the diag */
    struct diag_entry entries[DIAG_MAX];
    unsigned count, dropped, errors; /* errors counts the dropped too */
    uint32_t sources;
    const struct diag_secret *secrets;
};

void diag_init(struct diag *diag, struct arena *arena);
/* Registers a source text (copied into the arena). */
const struct source *diag_source(struct diag *diag, struct str name, struct str text);

void diag_error(struct diag *diag, struct span at, const char *format, ...) PRINTF(3, 4);
void diag_warn(struct diag *diag, struct span at, const char *format, ...) PRINTF(3, 4);
/* Where a quoted line has this value, it has as many asterisks. */
void diag_hide(struct diag *diag, struct span at);
/* Adds a hint to the entry last added. */
void diag_hint(struct diag *diag, const char *format, ...) PRINTF(2, 3);

/* "file:line:col", both counted from 1, columns in characters; absent for no place. In the arena.
 */
struct str diag_place(const struct diag *diag, struct span at);
/* Its line, counted from 1; 0 for no place. */
uint32_t diag_line(struct span at);
/* Orders the entries by source and position. */
void diag_sort(struct diag *diag);
/* All entries in order as diag_render() shows them, and how many more there were. In the arena. */
struct str diag_report(struct diag *diag);
/* The entry as a person reads it: place, severity, text, the line quoted, a caret under the span,
 * hint; ends in a newline. In the arena. */
struct str diag_render(const struct diag *diag, const struct diag_entry *entry);

/* The closest of `count` names to `word` within a third of its length, NULL when none is near. */
const char *diag_nearest(struct str word, const char *const *names, size_t count);

#endif
