/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of units: one unit as control knows it.
 */
#ifndef CONTROL_DEPLOY_UNIT_H
#define CONTROL_DEPLOY_UNIT_H

#include <string.h>

#include "control/deploy/impl.h"

/* One that is there, or shall be. */
struct unit {
    struct unit *next;
    struct managed *managed;
    char id[PROVIDER_ID_MAX + 1], release[PROVIDER_ID_MAX + 1], address[64], why[160];
    enum provider_state state;
    bool is_listed, is_wanted, is_busy;
    bool is_tried;               /* a start of it ended, and not for a passing reason */
    bool is_left;                /* neither started nor stopped: the platform does it */
    int64_t started_ms, next_ms; /* wall clock; monotonic: not before it */
    int64_t leaving_ms;          /* monotonic: no edge has it since; 0: it stays */
    uint32_t failures;           /* in a row */
    int64_t stop_ms;             /* monotonic: not stopped before it */
    uint32_t stop_failures;      /* of stops, in a row */
};

/* It does, or is about to. */
static inline bool unit_runs(const struct unit *unit)
{
    return unit->is_listed && (unit->state == PROVIDER_STARTING || unit->state == PROVIDER_RUNNING);
}

/* A new release that ends while it is waited for has failed: it is not tried again and again. */
static inline bool unit_is_on_probation(const struct unit *unit)
{
    const struct deploy *deploy = unit->managed->deploy;

    return deploy && !strcmp(unit->release, deploy->release) && deploy->state.phase <= DEPLOY_SMOKE;
}

/* How many units of a release are to run now. */
uint32_t units_wanted(const struct managed *managed, const char *release, enum deploy_units *units);

#endif
