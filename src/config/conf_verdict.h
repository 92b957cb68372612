/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new release is held to: its verdict, checks of the team's own, and requests of ours where
 * too few come. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_VERDICT_H
#define CONFIG_CONF_VERDICT_H

#include "config/conf_text.h"

enum { CONF_CHECKS_MAX = 8, CONF_PROBE_PATHS_MAX = 16 };

enum conf_no_data { CONF_NO_DATA_ASK, CONF_NO_DATA_PASS, CONF_NO_DATA_FAIL };

struct conf_bound {
    double value;
    bool is_set;
};

/* A query of Prometheus, or a URL that is POSTed to. */
struct conf_verdict_check {
    struct span at;
    struct conf_text name, prometheus, query, url; /* query: with ${service} and the like */
    struct conf_bound max, min;
    uint32_t interval_ms, timeout_ms;
    uint32_t failures; /* in a row, until it counts */
};

struct conf_probes {
    struct span at;
    struct conf_text *paths;
    uint32_t path_count;
    uint64_t rate; /* requests a second, to both releases together */
    bool is_set;
};

struct conf_verdict {
    uint32_t error_ratio, error_margin_ppm; /* thousandths; both must be reached */
    uint32_t latency_ratio;                 /* thousandths; 0 off */
    uint32_t latency_margin_ms;             /* both must be reached */
    uint32_t minimum;                       /* requests of the new release */
    uint32_t max_ms;
    enum conf_no_data on_no_data;
    struct conf_verdict_check *checks;
    uint32_t check_count;
    struct conf_probes probes;
};

#endif
