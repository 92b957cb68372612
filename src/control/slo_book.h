/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service answered, hour by hour over the window of its objectives, and every five minutes
 * over the last six hours; and what is left of an error budget by that (Beyer et al., The Site
 * Reliability Workbook, chapter 5). Pure.
 */
#ifndef CONTROL_SLO_BOOK_H
#define CONTROL_SLO_BOOK_H

#include <jansson.h>

#include "sluice/types.h"

enum { SLO_STEP_S = 300, SLO_STEPS = 73 /* six hours, and the one that is filled */ };

/* late: of those that are no error. */
struct slo_sum {
    uint64_t answers, errors, late;
};

struct slo_cell {
    int64_t number; /* of its span, since 1970 */
    struct slo_sum sum;
};

struct slo_book {
    struct slo_cell *hours; /* by number modulo their count; owned */
    uint32_t hour_count;
    struct slo_cell steps[SLO_STEPS];
    struct slo_sum all; /* since the book was begun */
};

/* For a window of so many hours. False: no memory. */
bool slo_book_init(struct slo_book *book, uint32_t window_h);
void slo_book_fini(struct slo_book *book);
/* Another window: what lies in it stays. False: no memory, and all is as it was. */
bool slo_book_resize(struct slo_book *book, uint32_t window_h);

/* Adds what was answered at a time, Unix. */
void slo_book_add(struct slo_book *book, const struct slo_sum *more, int64_t now_s);
/* All of the window that ends now; of the last `span_s`, which are at most six hours, in whole
 * steps. */
struct slo_sum slo_book_window(const struct slo_book *book, int64_t now_s);
struct slo_sum slo_book_recent(const struct slo_book *book, int64_t now_s, uint32_t span_s);

/* [[hour, answers, errors, late]] of those in which there was something, for the store; and back.
 * The caller's; NULL: no memory. */
json_t *slo_book_json(const struct slo_book *book);
void slo_book_read(struct slo_book *book, const json_t *json);

/* Requests that count for an objective, and those that missed it. */
struct slo_score {
    uint64_t requests, bad;
};

/* What part of a budget is left, 1: all, below 0: more than all was used; `objective`: the share of
 * requests that must not be bad, below 1. */
double slo_left(struct slo_score score, double objective);
/* How fast it is used: 1: just so that it lasts for the window. */
double slo_burn(struct slo_score score, double objective);
/* Of a budget of less than one request nothing can be said. */
bool slo_is_telling(struct slo_score score, double objective);

#endif
