/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/purse.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

void purse_pay(struct purse *purse, int64_t now_ms, double per_hour)
{
    int64_t midnight_ms = now_ms - now_ms % DAY_MS, from_ms = purse->at_ms;

    if (from_ms < midnight_ms) {
        purse->spent = 0;
        from_ms = from_ms ? midnight_ms : now_ms;
    }
    if (now_ms > from_ms)
        purse->spent += per_hour * (double)(now_ms - from_ms) / HOUR_MS;
    purse->at_ms = now_ms;
}
