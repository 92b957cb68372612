/* SPDX-License-Identifier: Apache-2.0
 *
 * A file in memory, with its digest. Read on a thread of the pool; the rest on whatever thread has
 * it.
 */
#ifndef CONTROL_WHOLE_FILE_H
#define CONTROL_WHOLE_FILE_H

#include "sluice/types.h"

enum { WHOLE_FILE_SHA = 65, WHOLE_FILE_ERROR = 256 };

/* Begins as {0}. */
struct whole_file {
    int fd; /* only between the next two */
    char *bytes;
    size_t len;
    char sha[WHOLE_FILE_SHA];     /* SHA-256, in hex */
    char error[WHOLE_FILE_ERROR]; /* a sentence without full stop; empty: all is well */
};

/* Opens it; its name is not needed any more then. */
void whole_file_open(struct whole_file *file, const char *path);
/* Reads what was opened, if it is at most so large, and closes it. Blocks. */
void whole_file_read(struct whole_file *file, size_t size_max);
/* Gives the memory back; it is as it began. */
void whole_file_free(struct whole_file *file);

#endif
