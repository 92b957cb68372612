/* SPDX-License-Identifier: Apache-2.0
 *
 * Timeouts, limits and the access log. Durations are milliseconds, sizes bytes; 0 is "off" where
 * `off` is allowed. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_LIMITS_H
#define CONFIG_CONF_LIMITS_H

#include "config/conf_text.h"

struct conf_timeouts {
    uint32_t header_ms, idle_ms, connect_ms, first_byte_ms, stream_idle_ms, tunnel_idle_ms;
    uint32_t upstream_idle_ms, drain_delay_ms, drain_ms;
    uint64_t body_rate; /* bytes a second; 0 off */
};

struct conf_limits {
    uint32_t header_bytes, headers, uri;
    uint64_t body;        /* 0 off */
    uint32_t connections; /* CONF_AUTO: derived */
    uint64_t memory;      /* CONF_AUTO: derived */
};

enum conf_log_format { CONF_LOG_JSON, CONF_LOG_COMMON, CONF_LOG_OFF };

struct conf_log {
    struct conf_text path; /* "stdout", "stderr" or a file */
    enum conf_log_format format;
    uint32_t why_ppm;    /* of good requests: `sluice why` can explain them; ppm */
    uint32_t sample_ppm; /* of answers below 400: parts per million */
};

#endif
