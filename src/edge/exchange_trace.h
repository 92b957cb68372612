/* SPDX-License-Identifier: Apache-2.0
 *
 * An exchange as part of a trace (W3C Trace Context): each has a span of its own below that of who
 * asked, and each try one below that, which its target is told. Whether anything is kept is decided
 * when the exchange ends: what was sampled from the start, by a trusted proxy or by us, what
 * failed, and what was slow. One thread (the worker's).
 */
#ifndef EDGE_EXCHANGE_TRACE_H
#define EDGE_EXCHANGE_TRACE_H

#include "edge/exchange.h"
#include "edge/metric/trace_try.h"

/* Begins it, where the configuration has `traces`; without memory the request is not traced. */
void exchange_trace_begin(struct exchange *x);
/* The span of a try that begins now; 0: it is not traced. */
uint64_t exchange_trace_span(struct exchange *x);
/* Tells a target the span of its try; 0: the one that runs. E_NOMEM. */
MUST_USE enum status exchange_trace_say(struct exchange *x, struct head *head, uint64_t span);
/* A try has ended, though the exchange goes on: the one that ran. `outcome` may be empty. */
void exchange_trace_try(struct exchange *x, struct str outcome, unsigned status);
/* The same of one that is given up for another. */
void exchange_trace_give_up(struct exchange *x, struct str outcome);
/* Another one, of that span, is the one that runs from now on. */
void exchange_trace_adopt(struct exchange *x, uint64_t span);
/* The same of one beside it. */
void exchange_trace_note(struct exchange *x, const struct trace_try *try);
/* Microseconds since the request's first byte, for a struct trace_try. */
uint32_t exchange_trace_us(const struct exchange *x, uint64_t at_us);

/* The exchange has ended, with all its numbers in: whether it is to be kept; then it fills in its
 * part of the record, and keeps it. */
bool exchange_trace_is_kept(const struct exchange *x, uint64_t total_us);
void exchange_trace_end(struct exchange *x, struct access_record *record);

#endif
