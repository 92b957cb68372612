/* SPDX-License-Identifier: Apache-2.0
 *
 * Who changed what on this edge, until control has it in its ledger. Numbered, in memory and in
 * <state>/changes.jsonl, so that neither a control that is away nor a restart loses one: a line for
 * the journal, then one a change. What was acknowledged goes; when control is away for so long that
 * more than CHANGES_BYTES wait, the oldest go, and the gap in the numbers shows it. A change is in
 * the file when changes_note() returns, and on the disk once the file is synced. Manager thread.
 */
#ifndef EDGE_MANAGER_CHANGES_H
#define EDGE_MANAGER_CHANGES_H

#include <jansson.h>

#include "sluice/types.h"

enum { CHANGES_BYTES = 1024 * 1024, CHANGES_ENTRY = 32 * 1024, CHANGES_ID = 32 };

struct changes;

/* Reads the file; one that is damaged is taken as far as it goes, with a warning in `error` (NULL:
 * fine). NULL when memory ends. Blocking. */
struct changes *changes_open(const char *state_dir, const char **error);
void changes_close(struct changes **changes);

/* Appends one, an object, and gives it its number as `seq`; takes it. The values of one that is
 * larger than CHANGES_ENTRY are left out. */
void changes_note(struct changes *changes, json_t *change);
/* Control has all up to `seq` of this journal; another journal's are not ours. */
void changes_acknowledge(struct changes *changes, struct str journal, int64_t seq);
/* {"journal", "changes", "more"}: what comes after `seq` of this journal (of another one: all), a
 * page of it. NULL: no memory. */
json_t *changes_after(struct changes *changes, struct str journal, int64_t seq);
/* Whether changes_after() has something. */
bool changes_wait(struct changes *changes, struct str journal, int64_t seq);

/* A second has passed: what could not be written is tried again. */
void changes_tick(struct changes *changes);
/* A descriptor of the file to be synced and closed by the caller, if anything was written since;
 * -1: nothing was. */
int changes_unsynced(struct changes *changes);

#endif
