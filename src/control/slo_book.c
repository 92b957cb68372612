/* SPDX-License-Identifier: Apache-2.0 */
#include "control/slo_book.h"

#include <stdlib.h>

enum { HOUR_S = 3600 };

bool slo_book_init(struct slo_book *book, uint32_t window_h)
{
    *book = (struct slo_book){.hour_count = window_h + 1};
    book->hours = calloc(book->hour_count, sizeof(*book->hours));
    return book->hours != NULL;
}

void slo_book_fini(struct slo_book *book)
{
    free(book->hours);
    *book = (struct slo_book){0};
}

bool slo_book_resize(struct slo_book *book, uint32_t window_h)
{
    uint32_t count = window_h + 1;
    struct slo_cell *hours = calloc(count, sizeof(*hours));
    int64_t newest = 0;

    if (!hours)
        return false;
    for (uint32_t i = 0; i < book->hour_count; i++)
        if (book->hours[i].number > newest)
            newest = book->hours[i].number;
    for (uint32_t i = 0; i < book->hour_count; i++)
        if (book->hours[i].number > newest - count)
            hours[book->hours[i].number % count] = book->hours[i];
    free(book->hours);
    book->hours = hours;
    book->hour_count = count;
    return true;
}

static void add(struct slo_sum *sum, const struct slo_sum *more)
{
    sum->answers += more->answers;
    sum->errors += more->errors;
    sum->late += more->late;
}

static void add_at(struct slo_cell *cells, uint32_t count, int64_t number,
                   const struct slo_sum *more)
{
    struct slo_cell *cell = &cells[number % count];

    if (cell->number != number)
        *cell = (struct slo_cell){.number = number};
    add(&cell->sum, more);
}

void slo_book_add(struct slo_book *book, const struct slo_sum *more, int64_t now_s)
{
    if (now_s < 0)
        return;
    add(&book->all, more);
    add_at(book->hours, book->hour_count, now_s / HOUR_S, more);
    add_at(book->steps, SLO_STEPS, now_s / SLO_STEP_S, more);
}

/* Of those with a number above `after`, up to `last`. */
static struct slo_sum sum_of(const struct slo_cell *cells, uint32_t count, int64_t after,
                             int64_t last)
{
    struct slo_sum sum = {0};

    for (uint32_t i = 0; i < count; i++)
        if (cells[i].number > after && cells[i].number <= last)
            add(&sum, &cells[i].sum);
    return sum;
}

struct slo_sum slo_book_window(const struct slo_book *book, int64_t now_s)
{
    int64_t hour = now_s / HOUR_S;

    return sum_of(book->hours, book->hour_count, hour - book->hour_count, hour);
}

struct slo_sum slo_book_recent(const struct slo_book *book, int64_t now_s, uint32_t span_s)
{
    int64_t step = now_s / SLO_STEP_S;

    return sum_of(book->steps, SLO_STEPS, step - span_s / SLO_STEP_S - 1, step);
}

/* --- for the store */

json_t *slo_book_json(const struct slo_book *book)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < book->hour_count; i++) {
        const struct slo_cell *cell = &book->hours[i];

        if (cell->sum.answers)
            json_array_append_new(list, json_pack("[I,I,I,I]", (json_int_t)cell->number,
                                                  (json_int_t)cell->sum.answers,
                                                  (json_int_t)cell->sum.errors,
                                                  (json_int_t)cell->sum.late));
    }
    return list;
}

void slo_book_read(struct slo_book *book, const json_t *json)
{
    const json_t *told;
    size_t i;

    json_array_foreach(json, i, told)
    {
        json_int_t values[4];

        for (size_t k = 0; k < ARRAY_LEN(values); k++)
            values[k] = json_integer_value(json_array_get(told, k));
        if (values[0] > book->hours[values[0] > 0 ? values[0] % book->hour_count : 0].number &&
            values[1] > 0 && values[2] >= 0 && values[3] >= 0)
            book->hours[values[0] % book->hour_count] =
                (struct slo_cell){values[0],
                                  {(uint64_t)values[1], (uint64_t)values[2], (uint64_t)values[3]}};
    }
}

/* --- budgets */

static double share_bad(struct slo_score score)
{
    return score.requests ? (double)score.bad / (double)score.requests : 0;
}

double slo_left(struct slo_score score, double objective)
{
    return 1 - share_bad(score) / (1 - objective);
}

double slo_burn(struct slo_score score, double objective)
{
    return share_bad(score) / (1 - objective);
}

bool slo_is_telling(struct slo_score score, double objective)
{
    return (double)score.requests * (1 - objective) >= 1;
}
