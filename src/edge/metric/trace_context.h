/* SPDX-License-Identifier: Apache-2.0
 *
 * The place of a request in a trace, as it is told from hop to hop (W3C Trace Context, level 2).
 * Pure.
 */
#ifndef EDGE_METRIC_TRACE_CONTEXT_H
#define EDGE_METRIC_TRACE_CONTEXT_H

#include "sluice/types.h"

enum { TRACE_PARENT_LEN = 55 };

struct trace_context {
    uint64_t high, low; /* of the trace's id; not both 0 */
    uint64_t span;      /* of who tells; not 0 */
    bool is_sampled;
};

/* Reads a traceparent (3.2). A later version is read as far as it is known (3.2.4). False: it is
 * none, and a tracestate beside it means nothing. */
bool trace_context_read(struct str text, struct trace_context *context);
/* Writes one, TRACE_PARENT_LEN bytes, at `out`; the new end. */
char *trace_context_write(char *out, const struct trace_context *context);

/* A span's id, or half of a trace's, as 16 digits. */
char *trace_context_word(char *out, uint64_t word);

#endif
