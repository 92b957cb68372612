/* SPDX-License-Identifier: Apache-2.0
 *
 * Which units run, on disk: <state>/units/ID, one line each, written by `sluice unit` before it
 * becomes the app. An app dies with its supervisor, what it started does not: a fresh supervisor
 * has it ended before anything is started, so that nothing runs twice. The folder belongs to
 * whoever the supervisor runs as and to nobody else, or what it says is not believed: it names
 * processes that are killed. Blocking; one thread.
 */
#ifndef PROCESS_UNIT_RECORD_H
#define PROCESS_UNIT_RECORD_H

#include <sys/types.h>

#include "sluice/types.h"

struct unit_record {
    char boot[37]; /* of the kernel; a pid of another boot says nothing */
    pid_t supervisor;
    uint64_t supervisor_start; /* clock ticks after boot, as of /proc */
    pid_t session;             /* of the unit's processes: the pid of the first */
    uint64_t start;
};

/* This process, which leads a session, and its parent. E_IO: /proc says nothing. */
MUST_USE enum status unit_record_self(struct unit_record *record);
/* Keeps it as that of `id` in the folder `state`. E_DENIED: the folder is not ours alone; E_IO
 * (errno). Those whose processes have ended are dropped. */
MUST_USE enum status unit_record_write(const char *state, const char *id,
                                       const struct unit_record *record);
/* Kills the processes of all units whose supervisor is gone, and waits until they are. How many
 * units; -1: they do not end, or the folder is not ours alone. */
int unit_record_sweep(const char *state);

/* The line of a record, and back. E_INVALID: it is none. Pure. */
size_t unit_record_format(const struct unit_record *record, char *out, size_t size);
MUST_USE enum status unit_record_parse(const char *line, struct unit_record *record);

#endif
