/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's database put back from a backup, while control does not run. Called by `sluice backup`
 * and `sluice restore`. Blocking.
 */
#ifndef CONTROL_STORE_RESTORE_H
#define CONTROL_STORE_RESTORE_H

#include "sluice/types.h"

enum { STORE_RESTORE_ERROR = 512 };

/* Whether a file is a whole backup of a version that this one knows, and its ledger's chain holds.
 * E_INVALID or E_IO: `error` says in a sentence what is wrong. */
MUST_USE enum status store_restore_check(const char *path, char error[STORE_RESTORE_ERROR]);

/* Puts it in the place of the database of a state directory, with an epoch above all that ran
 * there; what was there is kept as control.db.before-restore. E_CONFLICT: control runs; else as
 * above. */
MUST_USE enum status store_restore(const char *state, const char *path,
                                   char error[STORE_RESTORE_ERROR]);

#endif
