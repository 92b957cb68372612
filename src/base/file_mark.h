/* SPDX-License-Identifier: Apache-2.0
 *
 * What tells one state of a file from another, for those who look whether it has changed. Any
 * thread.
 */
#ifndef BASE_FILE_MARK_H
#define BASE_FILE_MARK_H

#include <sys/types.h>
#include <time.h>

#include "sluice/types.h"

/* All zero: the file is not there. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
};

/* The file as it is now: one stat(), of what a symbolic link leads to. */
struct file_mark file_mark_of(const char *path);
/* Whether both are of the same state of the same file. */
bool file_mark_same(const struct file_mark *a, const struct file_mark *b);

#endif
