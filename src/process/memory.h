/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that outlives an edge: memfds by name, made when an edge first asks, held until the
 * supervisor ends. Zeroed at first, and of one size for good. The supervisor's one thread.
 */
#ifndef PROCESS_MEMORY_H
#define PROCESS_MEMORY_H

#include "process/link_wire.h"

#include <stdio.h>

enum { MEMORY_BLOCKS_MAX = 16, MEMORY_NAME_SIZE = 64 };
#define MEMORY_BYTES_MAX (UINT64_C(1) << 30)

struct memory_block {
    char name[MEMORY_NAME_SIZE];
    uint64_t size; /* bytes */
    int fd;
};

struct memory {
    struct memory_block blocks[MEMORY_BLOCKS_MAX];
    unsigned count;
};

/* The descriptor of that name, which stays ours. E_INVALID: a bad name or size; E_CONFLICT: it is
 * there in another size; E_FULL; E_IO (errno). `error` (LINK_ERROR_SIZE) has a sentence then. */
MUST_USE enum status memory_open(struct memory *memory, const char *name, uint64_t size, int *fd,
                                 char *error);
void memory_fini(struct memory *memory);

/* For the next binary: a line "memory FD SIZE NAME" each, and back (what follows the word). */
void memory_write(const struct memory *memory, FILE *out);
MUST_USE enum status memory_read(struct memory *memory, const char *line);

#endif
