/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service is to keep to. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_SLO_H
#define CONFIG_CONF_SLO_H

#include "config/conf_health.h"

enum { CONF_SLO_PERCENTILES = 5 };

/* How long the heads of answers may take. */
struct conf_slo_latency {
    bool is_set;
    struct span at;
    uint32_t within_ms[CONF_SLO_PERCENTILES]; /* as conf_slo_shares; 0: not said */
};

/* Objectives for the answers that clients get, and the time over which they count. */
struct conf_slo {
    bool is_set;
    struct span at;
    uint32_t availability; /* share of answers that are no 5xx, parts per million; 0: none */
    struct conf_slo_latency latency;
    uint64_t window_ms;
};

/* Of requests, parts per million: p50 p90 p95 p99 p999. */
extern const uint32_t conf_slo_shares[CONF_SLO_PERCENTILES];

/* Its place among the percentiles; -1: latency has no objective. Pure. */
int conf_slo_percentile(const struct conf_slo *slo);

#endif
