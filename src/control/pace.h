/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast one account may ask a platform: so many calls an hour at most in any hour, half of
 * them at once, and so many a second. Pure; the caller says what time it is.
 */
#ifndef CONTROL_PACE_H
#define CONTROL_PACE_H

#include "sluice/types.h"

/* {.per_hour, .per_second} is one that was idle for long. */
struct pace {
    uint32_t per_hour, per_second; /* at least 10, and 1 */
    int64_t full_ms;               /* when all that was spent has come back */
    int64_t next_ms;               /* not sooner */
};

/* How long until a call may be made; 0: now, and it is counted as made. Milliseconds, monotonic. */
int64_t pace_take(struct pace *pace, int64_t now_ms);
/* No call until then: the platform said so. */
void pace_pause(struct pace *pace, int64_t until_ms);

#endif
