/* SPDX-License-Identifier: Apache-2.0
 *
 * Executing a new binary in place: state goes as text into a memfd whose number comes in
 * SLUICE_HANDOVER; the descriptors of sockets and links stay open across the exec. The supervisor's
 * one thread.
 */
#ifndef PROCESS_HANDOVER_H
#define PROCESS_HANDOVER_H

#include "process/children.h"
#include "process/control_child.h"
#include "process/memory.h"
#include "process/sockets.h"
#include "process/units.h"

/* 2: with the lines of memory.h and control_child.h; 3: with those of units.h. 1 can still be read.
 */
enum { HANDOVER_VERSION = 3, HANDOVER_OLDEST = 1 };

struct handover {
    struct sockets *sockets;
    struct children *children;
    struct memory *memory;
    struct control_child *control;
    struct units *units;
};

/* Executes `path` with `argv`; comes back only on failure (E_IO, errno), with everything as it was.
 */
MUST_USE enum status handover_exec(const struct handover *handover, const char *path,
                                   char *const *argv);

/* Takes what the binary before us left. E_NOT_FOUND: this is a fresh start; E_INVALID: it cannot be
 * read. */
MUST_USE enum status handover_take(const struct handover *handover);

#endif
