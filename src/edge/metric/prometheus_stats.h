/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of the data plane as Prometheus text. Manager thread.
 */
#ifndef EDGE_METRIC_PROMETHEUS_STATS_H
#define EDGE_METRIC_PROMETHEUS_STATS_H

#include "edge/metric/stat.h"
#include "rest/prometheus.h"

/* _bucket for each edge and +Inf, _sum and _count, in seconds. */
void prometheus_stats_histogram(struct prometheus *text, const struct prometheus_label *labels,
                                const struct stat_histogram *histogram);
/* The families sluice_http_* and sluice_upstream_* that are in `stats`. */
void prometheus_stats(struct prometheus *text, const struct stats *stats);

#endif
