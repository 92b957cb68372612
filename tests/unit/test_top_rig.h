/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks from answers as text, with ' for ", and frames as text.
 */
#ifndef TEST_TOP_RIG_H
#define TEST_TOP_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/top_view.h"

static inline json_t *top_json(const char *text)
{
    char *copy = strdup(text);
    json_error_t error;
    json_t *json;

    for (char *at = copy; *at; at++)
        *at = (char)(*at == '\'' ? '"' : *at);
    json = json_loads(copy, JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("%s in %s", error.text, text);
    free(copy);
    return json;
}

/* A gateway with which all is well. */
static const char top_status[] =
    "{'version': '1.2.3', 'uptime_s': 7200, 'generation': 57, 'ready': true, 'draining': false,"
    " 'config': {'last_good': false, 'last_reload': {'successful': true}},"
    " 'limits': {'connections': 100, 'memory': 1000},"
    " 'workers': [{'index': 0, 'connections': 5, 'connections_max': 100, 'memory_bytes': 10}],"
    " 'services': [{'name': 'shop', 'mode': 'running', 'balance_mode': 'normal', 'waiting': 0,"
    "  'has_releases': true, 'releases': ["
    "   {'id': 'v1', 'percent': 90, 'targets': 2, 'up': 2, 'balance_mode': 'normal'},"
    "   {'id': 'v2', 'percent': 10, 'targets': 1, 'up': 1, 'balance_mode': 'normal'}],"
    "  'targets': ["
    "   {'id': 'a', 'release': 'v1', 'state': 'up', 'reason': 'its check passed', 'in_flight': 2,"
    "    'connections': {'open': 3}},"
    "   {'id': 'b', 'release': 'v1', 'state': 'up', 'reason': 'its check passed', 'in_flight': 1},"
    "   {'id': 'c', 'release': 'v2', 'state': 'up', 'reason': 'its check passed', 'in_flight': 0}"
    "  ]}]}";

/* Answers of `status` and `counters` (NULL: none) that came at a second. */
static inline void top_answer(struct top_look *look, const char *status, const char *counters,
                              unsigned second)
{
    top_look_init(look);
    look->answers[TOP_STATUS] = top_json(status);
    look->answers[TOP_COUNTERS] = counters ? top_json(counters) : NULL;
    look->at_us = counters ? (second + 1) * UINT64_C(1000000) : 0;
    look->wall_ms = second * UINT64_C(1000);
}

/* The row of that name; fails when there is none. */
static inline const struct top_row *top_row(const struct top_look *look, enum top_kind kind,
                                            const char *name, const char *release)
{
    for (size_t i = 0; i < look->rows[kind].count; i++) {
        const struct top_row *row = &look->rows[kind].row[i];

        if (!strcmp(row->text[TOP_NAME], name) &&
            (!release || !strcmp(row->text[TOP_RELEASE_ID], release)))
            return row;
    }
    fail_msg("no row %s", name);
    return NULL;
}

/* A frame as text, a line a row; the caller's to free. */
static inline char *top_text(const struct top_frame *frame)
{
    size_t size;
    char *p = NULL;
    FILE *out = open_memstream(&p, &size);

    for (unsigned row = 0; row < frame->height; row++)
        top_frame_print(frame, row, out);
    fclose(out);
    return p;
}

#endif
