/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans of traced requests, from all edges to a collector: OTLP over HTTP, as JSON
 * (opentelemetry.io/docs/specs/otlp). Each edge is asked every second; what a collector does not
 * take waits within a bound, and is tried again where the protocol says so. Control's one thread.
 */
#ifndef CONTROL_SPANS_H
#define CONTROL_SPANS_H

#include "control/edges.h"
#include "rest/prometheus.h"

struct spans; /* private */

/* NULL: no memory. */
struct spans *spans_new(struct edges *edges, struct outbound *outbound);
/* From now on as `conf` says; copies what it keeps. E_NOMEM: nothing is sent any more. */
MUST_USE enum status spans_configure(struct spans *spans, const struct conf *conf);
/* Goes on with what is due at `now_ms`, monotonic; several times a second. */
void spans_tick(struct spans *spans, int64_t now_ms);
/* {"endpoint", "waiting", "exported", "dropped", "error"}, or null; NULL: no memory. */
json_t *spans_json(const struct spans *spans);
void spans_metrics(const struct spans *spans, struct prometheus *text);
/* Ends its calls. */
void spans_close(struct spans *spans);
void spans_free(struct spans **spans);

#endif
