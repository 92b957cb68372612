/* SPDX-License-Identifier: Apache-2.0
 *
 * When a process that died is started again: at once, then after 100 ms, doubling to 5 s; a minute
 * of health starts anew. Pure: times come in as milliseconds of the monotonic clock, above 0.
 */
#ifndef PROCESS_BACKOFF_H
#define PROCESS_BACKOFF_H

#include "sluice/types.h"

enum {
    BACKOFF_CRASHES = 3,
    BACKOFF_WINDOW_MS = 60000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 5000
};

struct backoff {
    uint32_t streak;                   /* crashes since it was last healthy */
    int64_t crash_ms[BACKOFF_CRASHES]; /* newest first; 0: none */
};

/* Notes a crash of a process that was ready for `healthy_ms` (0: never was); milliseconds to wait.
 */
uint32_t backoff_crash(struct backoff *backoff, int64_t now_ms, int64_t healthy_ms);

/* The last three crashes lie within a minute before now. */
bool backoff_is_looping(const struct backoff *backoff, int64_t now_ms);

#endif
