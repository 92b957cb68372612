/* SPDX-License-Identifier: Apache-2.0
 *
 * One look at a gateway: what its admin API answered, and what that says beside the look before:
 * rows of numbers for routes, services with their releases and targets, and lines of text for what
 * is wrong and for deploys. Pure: no socket, no clock, no terminal. Texts are borrowed from the
 * answers and may hold anything.
 */
#ifndef CLI_TOP_LOOK_H
#define CLI_TOP_LOOK_H

#include <jansson.h>

#include "base/arena.h"
#include "cli/top_frame.h"

enum top_question { TOP_STATUS, TOP_COUNTERS, TOP_CONTROL, TOP_DEPLOYS, TOP_SLO, TOP_QUESTIONS };

enum top_kind { TOP_ROUTE, TOP_RELEASE, TOP_TARGET, TOP_KINDS };

/* Of a row: texts, then numbers. Rates are per second, latencies in milliseconds, shares in
 * percent; NAN: not known. */
enum top_field {
    TOP_NAME, /* of a route, a service or a target */
    TOP_SERVICE,
    TOP_RELEASE_ID,
    TOP_STATE,
    TOP_NOTE,
    TOP_TEXTS,
    TOP_RATE = TOP_TEXTS,
    TOP_ERRORS,
    TOP_ERROR_SHARE,
    TOP_REFUSED,
    TOP_P50,
    TOP_P95,
    TOP_P99,
    TOP_IN_FLIGHT,
    TOP_IN, /* bytes */
    TOP_OUT,
    TOP_SPLIT, /* share of the release */
    TOP_UP,    /* targets that are up, and all */
    TOP_OF,
    TOP_WAITING,
    TOP_BUDGET, /* of the SLO that is worst off, what is left */
    TOP_OPEN,   /* connections */
    TOP_FIELDS
};

struct top_row {
    const char *text[TOP_TEXTS];           /* never NULL */
    double number[TOP_FIELDS - TOP_TEXTS]; /* by field - TOP_TEXTS */
    enum top_style style;                  /* of its state: how bad it is */
};

struct top_rows {
    struct top_row *row;
    size_t count;
};

struct top_line {
    enum top_style style;
    const char *text;
};

struct top_lines {
    struct top_line *line;
    size_t count, size;
};

/* What counters say of one route, release or target. */
struct top_series {
    const char *key[3]; /* service, release, name; "" where there is none */
    const json_t *json;
};

struct top_look {
    json_t *answers[TOP_QUESTIONS]; /* owned; NULL: it was not answered */
    const char *control_error;      /* why control said nothing; NULL: it did, or need not */
    uint64_t at_us;                 /* monotonic, of the counters; 0: there are none */
    uint64_t wall_ms;
    struct arena arena;
    struct top_series *series[TOP_KINDS]; /* sorted */
    size_t series_count[TOP_KINDS];
    /* what it comes to */
    struct top_rows rows[TOP_KINDS];
    struct top_row total;
    json_t *refused; /* owned: {reason: rate}, the most first */
    struct top_lines problems, deploys;
    double seconds; /* that rates are over; 0: there are none yet */
    bool is_short;  /* memory ended: something is left out */
};

/* Of nothing; top_look_fini() it. */
void top_look_init(struct top_look *look);
void top_look_fini(struct top_look *look);
/* Once its answers are there; `before` is the look before (NULL: none), and no longer needed
 * afterwards. */
void top_look_build(struct top_look *look, const struct top_look *before);

/* Of a row, a field that is a number. */
static inline double top_number(const struct top_row *row, enum top_field field)
{
    return row->number[field - TOP_TEXTS];
}

/* --- among its own files */

/* top_look_rates.c: finds the series of all, then what became of one since the look before: fills
 * the rates and latencies of a row. `key` as in a series. */
void top_look_index(struct top_look *look);
void top_look_rate(struct top_look *look, const struct top_look *before, enum top_kind kind,
                   const char *const key[3], struct top_row *row);
/* The rows of routes, and what all come to. */
void top_look_routes(struct top_look *look, const struct top_look *before);
/* top_look_problems.c, top_look_deploys.c: fill what they are named after. */
void top_look_problems(struct top_look *look);
void top_look_deploys(struct top_look *look);
/* One more line. */
void top_look_say(struct top_look *look, struct top_lines *lines, enum top_style style,
                  const char *format, ...) PRINTF(4, 5);

#endif
