/* SPDX-License-Identifier: Apache-2.0
 *
 * How a service finds out which of its targets live, and what it does when they do not: checks,
 * ejection, breaker, retries, holding, what answers when nothing else does. Part of struct conf,
 * see conf.h. A struct that begins with `is_on` was written `on`, `off` or as a map; the rest has
 * its defaults in any case.
 */
#ifndef CONFIG_CONF_HEALTH_H
#define CONFIG_CONF_HEALTH_H

#include "config/conf_text.h"

enum { CONF_STATUS_RANGES_MAX = 8 };

struct conf_status_range {
    uint16_t first, last;
};

struct conf_health {
    bool is_on;
    struct span at;
    struct conf_text path; /* empty: a connection is enough */
    struct conf_text grpc; /* of grpc.health.v1; empty: the server as a whole */
    bool has_grpc;
    uint16_t port; /* 0: the target's own */
    struct conf_status_range statuses[CONF_STATUS_RANGES_MAX];
    uint32_t status_count;
    struct conf_text body; /* the answer must contain it; empty: any */
    uint32_t interval_ms, fast_interval_ms, timeout_ms;
    uint32_t rise, fall;
    bool assume_up;
    uint32_t panic_ppm; /* 0 off */
    uint32_t spill_ppm;
};

struct conf_outlier {
    bool is_on;
    uint32_t consecutive;                             /* 0 off */
    uint32_t errors_thousandths, latency_thousandths; /* times the peers'; 0 off */
    uint32_t interval_ms, minimum;
    uint32_t eject_ms, eject_max_ms, max_ejected_ppm;
};

struct conf_breaker {
    bool is_on;
    uint32_t errors_ppm, slow_ppm; /* 0 off */
    uint32_t slow_ms, over_ms, minimum, open_ms, trials;
};

/* Bits of conf_retry.on. */
enum conf_retry_on {
    CONF_RETRY_CONNECT = 1 << 0,        /* no connection: nothing was sent */
    CONF_RETRY_REFUSED_STREAM = 1 << 1, /* RFC 9113 8.7: the target did nothing */
    CONF_RETRY_RESET_UNSENT = 1 << 2,   /* a kept connection was dead */
    CONF_RETRY_RESET = 1 << 3,          /* broken off before an answer */
    CONF_RETRY_500 = 1 << 4,
    CONF_RETRY_502 = 1 << 5,
    CONF_RETRY_503 = 1 << 6,
    CONF_RETRY_504 = 1 << 7, /* also when per_try runs out */
    CONF_RETRY_429 = 1 << 8,
};

struct conf_retry {
    bool is_on;
    uint32_t retries;                  /* of what was sent */
    uint32_t on;                       /* bits of enum conf_retry_on */
    uint32_t budget_ppm, budget_floor; /* of all requests; a second, over all workers */
    uint32_t per_try_ms;               /* 0 off */
    uint32_t backoff_ms, backoff_max_ms;
    uint32_t body;     /* bytes kept for another try */
    uint32_t hedge_ms; /* 0 off */
};

struct conf_sticky {
    bool is_on;
    struct conf_text cookie;
    uint64_t max_age_ms; /* 0: for the session */
};

/* An answer written in the configuration. */
struct conf_answer {
    bool is_set;
    uint32_t status;
    struct conf_text body, content_type;
};

struct conf_fallback {
    struct conf_text service; /* empty: none */
    struct conf_answer respond;
};

struct conf_hold {
    uint32_t requests; /* per worker */
    uint32_t timeout_ms;
};

struct conf_adaptive {
    bool is_on;
    uint32_t min, max;
    uint32_t tolerance_thousandths;
};

struct conf_target_limits {
    uint32_t concurrency; /* per target; 0 off */
    uint32_t total;       /* of the service; 0 off */
    uint32_t queue;
    uint32_t queue_timeout_ms;
    struct conf_adaptive adaptive;
};

enum conf_discover_type {
    CONF_DISCOVER_BOTH,
    CONF_DISCOVER_A,
    CONF_DISCOVER_AAAA,
    CONF_DISCOVER_SRV
};

struct conf_discover {
    bool is_set;
    struct span at;
    struct conf_text dns, file; /* one of them */
    uint16_t port;
    enum conf_discover_type type;
    uint32_t ttl_min_ms, ttl_max_ms;
};

#endif
