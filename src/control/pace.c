/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pace.h"

enum { HOUR_MS = 3600 * 1000, SECOND_MS = 1000 };

/* Half of an hour's calls, spread over it. */
static int64_t gap_ms(const struct pace *pace)
{
    int64_t calls = (int64_t)pace->per_hour - pace->per_hour / 2;

    return (HOUR_MS + calls - 1) / calls;
}

int64_t pace_take(struct pace *pace, int64_t now_ms)
{
    int64_t gap = gap_ms(pace), room_ms = gap * (pace->per_hour / 2 - 1), wait_ms;

    if (pace->full_ms < now_ms)
        pace->full_ms = now_ms;
    wait_ms = pace->full_ms - now_ms - room_ms;
    if (wait_ms < pace->next_ms - now_ms)
        wait_ms = pace->next_ms - now_ms;
    if (wait_ms > 0)
        return wait_ms;
    pace->full_ms += gap;
    pace->next_ms = now_ms + SECOND_MS / pace->per_second + 1;
    return 0;
}

void pace_pause(struct pace *pace, int64_t until_ms)
{
    if (pace->next_ms < until_ms)
        pace->next_ms = until_ms;
}
