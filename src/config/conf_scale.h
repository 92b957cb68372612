/* SPDX-License-Identifier: Apache-2.0
 *
 * How many units of a service run, and what becomes of requests while none does. Part of struct
 * conf, see conf.h.
 */
#ifndef CONFIG_CONF_SCALE_H
#define CONFIG_CONF_SCALE_H

#include "config/conf_health.h"

enum { CONF_SCALE_MAX = 1000, CONF_MONEY = 1000000, CONF_WINDOWS_MAX = 16 };

/* A stretch of some days of the week with bounds of its own; the first that fits counts. */
struct conf_scale_window {
    struct span at;
    uint8_t days;              /* bit 0: Monday, ... bit 6: Sunday; 0: not said, that is all */
    uint16_t from_min, to_min; /* of the day; up to the same or an earlier time: of the next day */
    uint32_t min, max;
};

/* What wakes nobody: answered at once. */
struct conf_wake_refuse {
    struct conf_texts agents;  /* classes of programs, or patterns: see edge/access/agents.h */
    struct conf_texts paths;   /* classes, exact ones, prefixes, patterns: see wake_policy.h */
    struct conf_texts methods; /* as they are written in requests */
    struct conf_answer respond;
};

/* Requests that come while no unit runs. */
struct conf_wake {
    uint32_t queue;         /* requests that may wait, an edge */
    uint64_t queue_bytes;   /* of their bodies, an edge */
    uint32_t per_client;    /* of one client address */
    uint32_t deadline_ms;   /* that each waits at most */
    bool has_page;          /* browsers get a page that asks again by itself */
    uint32_t page_after_ms; /* where it takes longer than this; below it they wait as others do */
    struct conf_wake_refuse refuse;
};

struct conf_scale {
    struct span at;
    bool is_set;
    uint32_t min, max;
    uint32_t concurrency;         /* requests in flight that a unit shall have; 0 off */
    uint32_t rate;                /* requests a second that it shall have; 0 off */
    uint32_t idle_ms;             /* without a request, until the last one goes; 0 off */
    uint32_t stable_ms, panic_ms; /* windows */
    uint32_t panic_ratio;         /* thousandths */
    uint32_t up_cooldown_ms, down_cooldown_ms;
    uint32_t ceiling;                             /* units, whatever a window says; 0 off */
    uint64_t price_hour, budget_hour, budget_day; /* in millionths of some money; 0: not asked */
    int16_t offset_min;                           /* of `schedule`'s time from UTC */
    struct conf_scale_window *windows;
    uint32_t window_count;
    struct conf_wake wake;
};

#endif
