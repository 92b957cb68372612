/* SPDX-License-Identifier: Apache-2.0
 *
 * A traced request as spans of OTLP in JSON (opentelemetry-proto 1.x, "JSON Protobuf Encoding"):
 * one of the exchange, below it those of its steps, and of each try with what it waited for. Names
 * of attributes are those of the semantic conventions for HTTP 1.x, and sluice.* for what is ours.
 * Pure.
 */
#ifndef EDGE_METRIC_TRACE_FORMAT_H
#define EDGE_METRIC_TRACE_FORMAT_H

#include "edge/metric/access_ring.h"

/* The most bytes that its spans may take. */
size_t trace_format_room(const struct access_entry *entry);
/* Writes them, as members of an array, at `out`; the new end, and how many there are. */
char *trace_format_spans(const struct access_entry *entry, char *out, unsigned *count);

#endif
