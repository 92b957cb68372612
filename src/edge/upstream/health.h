/* SPDX-License-Identifier: Apache-2.0
 *
 * What the active checks of one target have come to: unknown, up or down, and when to check next.
 * A change of mind takes several results in a row, so that one lost packet moves no traffic. Pure:
 * times are milliseconds of one monotonic clock, given by the caller. One thread.
 */
#ifndef EDGE_UPSTREAM_HEALTH_H
#define EDGE_UPSTREAM_HEALTH_H

#include "sluice/types.h"

enum { HEALTH_DEAD_MS = 60000 }; /* down for longer: checked at leisure */

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

struct health_rule {
    uint32_t rise, fall;           /* results in a row to go up, to go down; 0 counts as 1 */
    uint32_t interval_ms, fast_ms; /* between checks; fast_ms while something may change */
    bool assume_up;                /* up, in place of unknown, before the first result */
};

struct health {
    enum health_state state;
    uint32_t in_row; /* results against the state; bad ones while unknown */
    bool last_passed;
    uint64_t since_ms; /* when the state began */
};

/* Unknown; with assume_up, up. */
void health_init(struct health *health, const struct health_rule *rule, uint64_t now_ms);

/* Counts a result; true when the state changed. Unknown goes up by one good result whatever `rise`
 * is, so that a new target need not wait, and down by `fall` bad ones. */
bool health_note(struct health *health, const struct health_rule *rule, bool passed,
                 uint64_t now_ms);

/* Milliseconds from a check to the next, at least 1. interval_ms while steadily up; fast_ms, never
 * longer than interval_ms, while unknown, while down, and while results speak against the state. A
 * target that has been down for over HEALTH_DEAD_MS, and whose last check failed, is asked every
 * interval_ms again. `random` (64 random bits) moves it by up to 10 % either way, so that checks of
 * many targets and edges do not march in line. */
uint32_t health_delay_ms(const struct health *health, const struct health_rule *rule,
                         uint64_t now_ms, uint64_t random);

#endif
