/* SPDX-License-Identifier: Apache-2.0
 *
 * What units look like to a deploy, and to what scales them.
 */
#include "control/deploy/unit.h"

static bool is_gone(const struct managed *managed, const char *release)
{
    for (const struct unit *unit = managed->units; unit; unit = unit->next)
        if (!strcmp(unit->release, release) && (unit->is_listed || unit->is_busy))
            return false;
    return true;
}

/* A new one has ended before anybody used it. */
static bool has_failed(const struct unit *unit)
{
    return unit_is_on_probation(unit) && unit->is_tried && !unit->is_busy && !unit_runs(unit) &&
           (unit->state == PROVIDER_FAILED || unit->state == PROVIDER_STOPPED);
}

/* What is wrong with the platform, if nothing else is. */
static const char *trouble_of(const struct managed *managed, const char *why)
{
    return !why && managed->is_unlisted && *managed->trouble ? managed->trouble : why;
}

void units_see(struct deploy *deploy, struct deploy_seen *seen)
{
    struct managed *managed = deploy->managed;
    enum deploy_units units;
    uint32_t running = 0, count = units_wanted(managed, deploy->release, &units);

    if (!deploy->plan.has_units)
        return;
    seen->units = DEPLOY_RUNS;
    seen->why = trouble_of(managed, seen->why);
    seen->is_new_gone &= managed->is_listed && is_gone(managed, deploy->release);
    seen->is_old_gone &= managed->is_listed && is_gone(managed, deploy->old);
    for (const struct unit *unit = managed->units; unit; unit = unit->next) {
        if (strcmp(unit->release, deploy->release) != 0 || !unit->is_wanted)
            continue;
        running += unit_runs(unit) && unit->state == PROVIDER_RUNNING;
        if (has_failed(unit)) {
            seen->units = DEPLOY_BAD;
            seen->why = unit->why;
        }
    }
    if (seen->units != DEPLOY_BAD && managed->is_listed && count && running >= count)
        seen->units = DEPLOY_GOOD;
}

void units_look(const struct managed *managed, struct units_sight *sight)
{
    const char *stable = json_string_value(json_object_get(managed->record, "stable"));

    *sight = (struct units_sight){.why = NULL};
    for (const struct unit *unit = managed->units; unit; unit = unit->next) {
        bool has_ended = unit->state == PROVIDER_FAILED || unit->state == PROVIDER_STOPPED;
        bool is_stable = stable && !strcmp(unit->release, stable);

        sight->paid += unit_runs(unit) || (unit->is_listed && unit->state == PROVIDER_STOPPING);
        sight->running += is_stable && unit_runs(unit);
        if (is_stable && unit->is_wanted && !unit->is_busy && has_ended &&
            unit->failures >= sight->failures) {
            sight->failures = unit->failures;
            sight->why = unit->why;
        }
    }
}

void units_forgive(struct managed *managed)
{
    for (struct unit *unit = managed->units; unit; unit = unit->next) {
        unit->failures = unit->stop_failures = 0;
        unit->next_ms = unit->stop_ms = 0;
    }
}
