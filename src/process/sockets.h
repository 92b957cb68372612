/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets the supervisor holds, by the text of their bind. They outlive every edge:
 * while none runs, clients wait in the backlog. Each bind remembers which edges (by generation)
 * asked for it; one that no living edge asked for would let clients hang, so sockets_sweep() closes
 * it. The supervisor's one thread.
 */
#ifndef PROCESS_SOCKETS_H
#define PROCESS_SOCKETS_H

#include "process/bind.h"
#include "process/link_wire.h"

#include <stdio.h>

enum { SOCKETS_BINDS_MAX = 256, SOCKETS_USERS_MAX = 8 };

/* Which file it was: inode numbers alone are used again at once. */
struct sockets_file {
    uint64_t device, inode, changed_ns;
};

struct sockets_bind {
    struct sockets_bind *next;
    char text[LINK_BIND_SIZE];
    struct bind_address address;
    struct bind_options options;
    uint32_t users[SOCKETS_USERS_MAX]; /* generations; 0: free */
    struct sockets_file file;          /* of a unix socket, removed only while it is ours */
    uint32_t count;
    int fds[LINK_SOCKETS_MAX];
};

struct sockets {
    struct sockets_bind *first;
    uint32_t count;
};

/* What an edge asks for, and whose it is. */
struct sockets_ask {
    const char *bind;
    uint32_t count, generation;
    struct bind_options options;
};

/* Sees to it that at least `count` (1 .. LINK_SOCKETS_MAX) are open; *held has all. For unix there
 * is one socket, listed `count` times or more. On failure nothing changed and `error`
 * (LINK_ERROR_SIZE) has a sentence. */
MUST_USE enum status sockets_open(struct sockets *sockets, const struct sockets_ask *ask,
                                  const struct sockets_bind **held, char *error);

/* Edge `generation` wants it no more; closed unless one of `living` (ended by 0) does. E_NOT_FOUND.
 */
MUST_USE enum status sockets_release(struct sockets *sockets, const char *bind, uint32_t generation,
                                     const uint32_t *living);

/* Closes what none of `living` (ended by 0) asked for; how many binds that were. */
unsigned sockets_sweep(struct sockets *sockets, const uint32_t *living);

/* Closes all and removes the files of unix sockets. */
void sockets_fini(struct sockets *sockets);

/* For the next binary: one line a bind with the numbers of its descriptors, and back. */
void sockets_write(const struct sockets *sockets, FILE *out);
MUST_USE enum status sockets_read(struct sockets *sockets, char *line);

#endif
