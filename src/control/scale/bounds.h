/* SPDX-License-Identifier: Apache-2.0
 *
 * Between which numbers of replicas a service stays: what is configured, by the time of the week,
 * and what it may cost. Pure; any thread.
 */
#ifndef CONTROL_SCALE_BOUNDS_H
#define CONTROL_SCALE_BOUNDS_H

#include "sluice/types.h"

enum { SCALE_DAY_MIN = 24 * 60 };

/* A stretch of some days of the week, in a zone of its own. The first that fits counts. */
struct scale_window {
    uint8_t days;              /* bit 0: begins on Mondays, ... bit 6: on Sundays */
    uint16_t from_min, to_min; /* of the day; up to the same or an earlier time: of the next day */
    int16_t offset_min;        /* of local time from UTC */
    uint32_t min, max;         /* replicas, instead of the usual */
};

struct scale_limits {
    uint32_t min, max; /* replicas, where no window fits; max is at least 1 */
    const struct scale_window *windows;
    size_t window_count;
    uint32_t ceiling;   /* replicas, whatever a window says; 0: none */
    double price_hour;  /* of a replica; 0: what it costs is not asked */
    double budget_hour; /* in the same money; 0: none */
    double budget_day;  /* the same; days are of UTC */
};

enum scale_limit { SCALE_BY_MAX, SCALE_BY_WINDOW, SCALE_BY_CEILING, SCALE_BY_HOUR, SCALE_BY_DAY };

struct scale_bounds {
    uint32_t min;
    uint32_t grow; /* most that may be grown to */
    uint32_t
        hold; /* most that may stay: budgets leave a part of a replica, which is not flapped by */
    enum scale_limit by; /* what `grow` is by */
    bool is_window;      /* min is of a window */
};

/* At a Unix time, when so much of the day's budget is spent: the rest of it must last until
 * midnight. No ceiling and no budget is below `min`, nor below 1: they keep from growing, not from
 * serving. */
struct scale_bounds scale_bounds_at(const struct scale_limits *limits, double now_s,
                                    double spent_day);

#endif
