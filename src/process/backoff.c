/* SPDX-License-Identifier: Apache-2.0 */
#include "process/backoff.h"

#include <string.h>

static uint32_t delay_ms(uint32_t streak)
{
    if (!streak)
        return 0;
    uint32_t delay = BACKOFF_FIRST_MS;
    while (--streak && delay < BACKOFF_MAX_MS)
        delay *= 2;
    return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}

uint32_t backoff_crash(struct backoff *backoff, int64_t now_ms, int64_t healthy_ms)
{
    if (healthy_ms >= BACKOFF_WINDOW_MS)
        *backoff = (struct backoff){0};
    memmove(backoff->crash_ms + 1, backoff->crash_ms,
            (BACKOFF_CRASHES - 1) * sizeof backoff->crash_ms[0]);
    backoff->crash_ms[0] = now_ms;
    uint32_t streak = backoff->streak;
    if (streak < UINT32_MAX)
        backoff->streak++;
    return delay_ms(streak);
}

bool backoff_is_looping(const struct backoff *backoff, int64_t now_ms)
{
    int64_t oldest = backoff->crash_ms[BACKOFF_CRASHES - 1];
    return oldest > 0 && now_ms - oldest <= BACKOFF_WINDOW_MS;
}
