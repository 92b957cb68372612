/* SPDX-License-Identifier: Apache-2.0
 *
 * What the units of a service have cost since midnight UTC. Pure; any thread.
 */
#ifndef CONTROL_SCALE_PURSE_H
#define CONTROL_SCALE_PURSE_H

#include "sluice/types.h"

struct purse {
    int64_t at_ms; /* Unix: up to here it is counted; 0: not begun */
    double spent;  /* since the midnight before */
};

/* So much an hour was spent since the last time: for a time in which nobody looked, as now. */
void purse_pay(struct purse *purse, int64_t now_ms, double per_hour);

#endif
