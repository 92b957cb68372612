/* SPDX-License-Identifier: Apache-2.0
 *
 * That there is one control for a state directory: the lock on <state>/control.lock. The file also
 * keeps the highest epoch that was ever begun here, beside the one in the database, so that it
 * rises also when an older database takes the place of a damaged one. Blocking.
 */
#ifndef CONTROL_LOCK_H
#define CONTROL_LOCK_H

#include "sluice/types.h"

/* Makes the directory too. The descriptor is held until the process ends or closes it. E_CONFLICT:
 * another process has the lock; E_IO with errno. */
MUST_USE enum status lock_take(const char *state, int *fd);

/* The epoch in the file; 0: there is none yet. */
int64_t lock_epoch(int fd);
/* E_IO with errno. */
MUST_USE enum status lock_set_epoch(int fd, int64_t epoch);

#endif
