/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_schedule.h"

#include "base/random.h"

static const int64_t SECOND_MS = 1000, MINUTE_MS = 60 * 1000, HOUR_MS = 3600 * 1000,
                     DAY_MS = 24 * 3600 * 1000;

/* From 0 to `most`, both included. */
static int64_t some(uint64_t seed, int64_t most)
{
    return most <= 0 ? 0 : (int64_t)(random_mix(seed) % ((uint64_t)most + 1));
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

int64_t acme_schedule_renewal(const struct acme_life *life)
{
    const struct acme_window *window = &life->window;
    int64_t span_ms = life->not_after_ms - life->not_before_ms, left_ms;

    if (window->end_ms)
        return window->start_ms + some(life->seed ^ random_mix((uint64_t)window->start_ms),
                                       window->end_ms - window->start_ms);
    left_ms = span_ms < 10 * DAY_MS ? span_ms / 2 : span_ms / 3;
    return life->not_after_ms - left_ms - some(life->seed, left_ms / 10);
}

int64_t acme_schedule_retry_ms(enum acme_failure failure, uint32_t failures, int64_t retry_after_ms,
                               uint64_t seed)
{
    static const int64_t refused[] = {60, 600, 6000, 86400};
    static const int64_t unreachable[] = {5, 30, 60, 300, 1800, 3600};
    uint32_t last =
        failure == ACME_FAILURE_REFUSED ? ARRAY_LEN(refused) - 1 : ARRAY_LEN(unreachable) - 1;
    uint32_t at = failures ? failures - 1 : 0;
    int64_t wait_ms;

    at = at < last ? at : last;
    wait_ms = (failure == ACME_FAILURE_REFUSED ? refused[at] : unreachable[at]) * SECOND_MS;
    retry_after_ms = clamp(retry_after_ms, 0, 2 * DAY_MS);
    wait_ms = wait_ms > retry_after_ms ? wait_ms : retry_after_ms;
    return wait_ms + some(seed ^ random_mix(failures), wait_ms / 10);
}

int64_t acme_schedule_window_ms(int64_t retry_after_ms)
{
    return retry_after_ms <= 0 ? 6 * HOUR_MS : clamp(retry_after_ms, MINUTE_MS, DAY_MS);
}

int64_t acme_schedule_hold_ms(uint32_t streak)
{
    static const int64_t hold[] = {0, 10, 100, 1440}; /* minutes */

    return hold[streak < ARRAY_LEN(hold) ? streak : ARRAY_LEN(hold) - 1] * MINUTE_MS;
}

bool acme_schedule_is_skewed(int64_t difference_ms)
{
    return difference_ms > HOUR_MS || difference_ms < -HOUR_MS;
}
