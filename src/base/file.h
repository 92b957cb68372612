/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files, read and written. Blocking: not on a loop's thread. Any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/arena.h"

/* The contents, terminated, in `arena`. E_NOT_FOUND, E_IO (errno), E_NOMEM. */
MUST_USE enum status file_read(const char *path, struct arena *arena, struct str *text);

/* Writes atomically: a temporary file beside it, fsync, rename, fsync of the folder. The mode is
 * that of the file that is there, else `mode` (0: 0600). E_IO with errno: the old file is
 * untouched. */
MUST_USE enum status file_write(const char *path, struct str text, unsigned mode);

/* Makes a directory and its parents, 0700. An existing one is fine. */
MUST_USE enum status file_make_directory(const char *path);

#endif
