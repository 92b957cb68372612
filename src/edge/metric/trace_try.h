/* SPDX-License-Identifier: Apache-2.0
 *
 * One try of a traced request, packed behind others into a text of an access record. Pure.
 */
#ifndef EDGE_METRIC_TRACE_TRY_H
#define EDGE_METRIC_TRACE_TRY_H

#include "sluice/types.h"

/* Times are microseconds since the request's first byte, the last ones what a word can hold. */
struct trace_try {
    uint64_t span;
    uint32_t begun_us, ended_us;
    uint32_t sent_us, answered_us; /* 0: it was not sent, or not answered */
    uint16_t status;               /* of its answer; 0: none */
    struct str target;             /* an id */
    struct str outcome;            /* a slug, why it has no good answer; may be empty */
    bool is_given_up;              /* for another, through no fault of its own */
};

enum {
    TRACE_TRY_TEXT_MAX = 48, /* bytes kept of each text */
    TRACE_TRY_MAX = 32 + 2 * TRACE_TRY_TEXT_MAX,
};

/* Appends it at `out`, at most TRACE_TRY_MAX bytes; the new end. */
char *trace_try_put(char *out, const struct trace_try *try);
/* Takes the first off *rest; its texts stay where they are. False: there is no whole one. */
bool trace_try_take(struct str *rest, struct trace_try *try);

#endif
