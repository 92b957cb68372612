/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows of the week, and money turned into replicas.
 */
#include "control/scale/bounds.h"

#include <math.h>

#define DAY_S 86400.0
#define ROUNDING 1e-9 /* what sums of money are off by */

enum { EPOCH_WEEKDAY = 3, WEEK_DAYS = 7 }; /* 1970-01-01 was a Thursday */

static bool begins_on(const struct scale_window *window, int64_t day)
{
    int64_t weekday = ((day + EPOCH_WEEKDAY) % WEEK_DAYS + WEEK_DAYS) % WEEK_DAYS;

    return window->days >> weekday & 1;
}

static bool fits(const struct scale_window *window, double now_s)
{
    double local_s = now_s + window->offset_min * 60.0;
    int64_t day = (int64_t)floor(local_s / DAY_S);
    int minute = (int)((local_s - (double)day * DAY_S) / 60);

    if (window->from_min < window->to_min)
        return minute >= window->from_min && minute < window->to_min && begins_on(window, day);
    return (minute >= window->from_min && begins_on(window, day)) ||
           (minute < window->to_min && begins_on(window, day - 1));
}

/* To at most so many replicas, of which a part may be left. */
static void cap(struct scale_bounds *bounds, double replicas, enum scale_limit by)
{
    uint32_t least = bounds->min > 1 ? bounds->min : 1;
    double whole = floor(fmax(replicas, least) + ROUNDING);
    double begun = ceil(fmax(replicas, least) - ROUNDING);

    if (whole < bounds->grow) {
        bounds->grow = (uint32_t)whole;
        bounds->by = by;
    }
    if (begun < bounds->hold)
        bounds->hold = (uint32_t)begun;
}

struct scale_bounds scale_bounds_at(const struct scale_limits *limits, double now_s,
                                    double spent_day)
{
    struct scale_bounds bounds = {limits->min, limits->max, limits->max, SCALE_BY_MAX, false};

    for (size_t i = 0; i < limits->window_count; i++) {
        const struct scale_window *window = &limits->windows[i];

        if (fits(window, now_s)) {
            bounds =
                (struct scale_bounds){window->min, window->max, window->max, SCALE_BY_WINDOW, true};
            break;
        }
    }
    if (limits->ceiling) {
        bounds.min = bounds.min < limits->ceiling ? bounds.min : limits->ceiling;
        cap(&bounds, limits->ceiling, SCALE_BY_CEILING);
    }
    if (limits->price_hour > 0 && limits->budget_hour > 0)
        cap(&bounds, limits->budget_hour / limits->price_hour, SCALE_BY_HOUR);
    if (limits->price_hour > 0 && limits->budget_day > 0) {
        double left_h = (DAY_S - (now_s - floor(now_s / DAY_S) * DAY_S)) / 3600;

        cap(&bounds, (limits->budget_day - spent_day) / (limits->price_hour * left_h),
            SCALE_BY_DAY);
    }
    return bounds;
}
