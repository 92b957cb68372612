/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by units.c, unit_start.c and unit_handover.c.
 */
#ifndef PROCESS_UNIT_IMPL_H
#define PROCESS_UNIT_IMPL_H

#include "process/units.h"

/* Monotonic, and Unix. */
int64_t unit_clock_ms(void);
int64_t unit_date_ms(void);
/* It has processes, or may have. */
static inline bool unit_is_alive(const struct unit *unit)
{
    return unit->state == UNIT_STARTING || unit->state == UNIT_RUNNING ||
           unit->state == UNIT_STOPPING;
}
/* Closes all that is open and frees the place. */
void unit_forget(struct unit *unit);
/* "SERVICE/RELEASE/ID", valid until the next call with the same `buf`. */
const char *unit_label(const struct unit *unit,
                       char buf[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE]);
/* Another state from now on; control is to be told. */
void unit_turn(struct unit *unit, enum unit_state state);

#endif
