/* SPDX-License-Identifier: Apache-2.0
 *
 * Scaling in the ledger: another number of units, sleep, waking, and what keeps a service from more
 * units, of which people are told.
 */
#include "control/journal.h"
#include "control/scale/scaler_impl.h"

static const char *const life_actions[] = {[LIFE_AWAKE] = "service.awake",
                                           [LIFE_ASLEEP] = "service.sleep",
                                           [LIFE_WAKING] = "service.wake",
                                           [LIFE_BROKEN] = "service.broken"};

static void note(const struct managed *managed, struct journal_entry *entry)
{
    entry->service = managed->name;
    journal_note(managed->deploys->options.journal, entry);
}

static void note_life(const struct managed *managed, const char *actor)
{
    const struct life *life = &managed->scaled->life;
    struct journal_entry entry = {.actor = actor, .action = life_actions[life->mode]};

    if (life->mode == LIFE_BROKEN)
        entry.after = json_pack("{s:s}", "why", life->why);
    else if (life->mode == LIFE_AWAKE)
        entry.after = json_pack("{s:I}", "took_ms", (json_int_t)life->boots_ms[0]);
    note(managed, &entry);
}

void scaler_ledger_change(const struct managed *managed, struct scaler_mark before,
                          struct scaler_cause cause)
{
    const struct scaled *scaled = managed->scaled;

    if (scaled->life.mode != before.mode)
        note_life(managed, cause.actor);
    if (scaled->state.wanted == before.wanted || scaled->life.mode != LIFE_AWAKE)
        return;
    note(managed,
         &(struct journal_entry){
             .actor = cause.actor,
             .action = "service.scale",
             .before = json_pack("{s:i}", "units", (int)before.wanted),
             .after = json_pack("{s:i,s:s*}", "units", (int)scaled->state.wanted, "why", cause.why),
         });
}

void scaler_ledger_cap(const struct managed *managed)
{
    note(managed, &(struct journal_entry){
                      .action = "budget.units",
                      .after = json_pack("{s:s,s:o}", "text", managed->scaled->why, "next",
                                         json_sprintf("sluice status; then `scale` of %s in the "
                                                      "configuration",
                                                      managed->name)),
                  });
}
