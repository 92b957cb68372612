/* SPDX-License-Identifier: Apache-2.0
 *
 * All numbers of a verdict in the order of the table below, of which those that are 0 are left out:
 * a flat list of index and number. Whoever changes the table counts VERSION up.
 */
#include "control/verdict_record.h"

#include <math.h>
#include <string.h>

enum { VERSION = 1 };

/* Logarithms have any sign; amounts have none. */
enum kind { COUNT, AMOUNT, LOGARITHM };

/* Numbers that lie side by side. */
struct run {
    size_t offset, bytes;
    enum kind kind;
};

#define RUN(member_, kind_)                                                                        \
    {                                                                                              \
        offsetof(struct verdict, member_), sizeof(((struct verdict *)NULL)->member_), kind_        \
    }

/* A proof is logarithms alone. */
#define SCOPE(scope_)                                                                              \
    RUN(scope_.stable, COUNT), RUN(scope_.canary, COUNT), RUN(scope_.clients, COUNT),              \
        RUN(scope_.match, AMOUNT), RUN(scope_.worse, LOGARITHM), RUN(scope_.slower, LOGARITHM),    \
        RUN(scope_.without, LOGARITHM)

static const struct run runs[] = {
    SCOPE(whole),
    SCOPE(step),
    RUN(sound, LOGARITHM),
    RUN(swift, LOGARITHM),
    RUN(alone_stable, COUNT),
    RUN(alone_canary, COUNT),
    RUN(open_stable, COUNT),
    RUN(open_canary, COUNT),
    RUN(open_s, AMOUNT),
    RUN(base_requests, AMOUNT),
    RUN(base_failures, AMOUNT),
    RUN(base_latency, AMOUNT),
};

enum { CELL = 8 };

_Static_assert(sizeof(double) == CELL && sizeof(uint64_t) == CELL, "a cell is either");
_Static_assert(sizeof(struct verdict_side) % CELL == 0 && sizeof(struct verdict_match) % CELL == 0,
               "there is nothing else in them");

static size_t count_cells(void)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(runs); i++)
        count += runs[i].bytes / CELL;
    return count;
}

static json_t *write_cell(const char *at, enum kind kind)
{
    uint64_t count;
    double real;

    if (kind == COUNT) {
        memcpy(&count, at, CELL);
        return count ? json_integer((json_int_t)count) : NULL;
    }
    memcpy(&real, at, CELL);
    return real < 0 || real > 0 ? json_real(real) : NULL;
}

static json_t *write_cells(const struct verdict *verdict)
{
    json_t *list = json_array();
    size_t index = 0;

    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        const char *at = (const char *)verdict + runs[i].offset;

        for (size_t n = 0; n < runs[i].bytes; n += CELL, index++) {
            json_t *cell = write_cell(at + n, runs[i].kind);

            if (!cell)
                continue;
            json_array_append_new(list, json_integer((json_int_t)index));
            json_array_append_new(list, cell);
        }
    }
    return list;
}

json_t *verdict_record(const struct verdict *verdict)
{
    return json_pack("{s:i,s:I,s:I,s:o}", "version", VERSION, "size", (json_int_t)count_cells(),
                     "steps", (json_int_t)verdict->steps, "cells", write_cells(verdict));
}

static bool read_cell(const json_t *cell, enum kind kind, char *at)
{
    uint64_t count;
    double real;

    if (kind == COUNT) {
        if (!json_is_integer(cell) || json_integer_value(cell) < 0)
            return false;
        count = (uint64_t)json_integer_value(cell);
        memcpy(at, &count, CELL);
        return true;
    }
    real = json_real_value(cell);
    if (!json_is_real(cell) || !isfinite(real) || (kind == AMOUNT && real < 0))
        return false;
    memcpy(at, &real, CELL);
    return true;
}

/* Cells ascend, so each is read once. */
static bool read_cells(const json_t *list, struct verdict *verdict)
{
    size_t at = 0, size = json_array_size(list), first = 0;

    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        size_t count = runs[i].bytes / CELL;
        json_int_t index = -1;

        for (; at + 1 < size; at += 2) {
            const json_t *told = json_array_get(list, at);
            json_int_t next = json_integer_value(told) - (json_int_t)first;

            if (!json_is_integer(told) || next <= index)
                return false;
            if (next >= (json_int_t)count)
                break;
            index = next;
            if (!read_cell(json_array_get(list, at + 1), runs[i].kind,
                           (char *)verdict + runs[i].offset + (size_t)index * CELL))
                return false;
        }
        first += count;
    }
    return at == size;
}

static bool is_sound(const struct verdict_scope *scope)
{
    return scope->stable.failures <= scope->stable.requests &&
           scope->canary.failures <= scope->canary.requests;
}

bool verdict_read(const json_t *record, struct verdict *verdict)
{
    json_int_t steps = json_integer_value(json_object_get(record, "steps"));

    memset(verdict, 0, sizeof(*verdict));
    if (json_integer_value(json_object_get(record, "version")) != VERSION ||
        json_integer_value(json_object_get(record, "size")) != (json_int_t)count_cells() ||
        !json_is_integer(json_object_get(record, "steps")) || steps < 0 || steps > UINT32_MAX ||
        !read_cells(json_object_get(record, "cells"), verdict))
        return false;
    verdict->steps = (uint32_t)steps;
    return is_sound(&verdict->whole) && is_sound(&verdict->step);
}
