/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting one process: its arguments, environment, descriptors and signals. Used for edges and for
 * the checks of a new binary. The supervisor's one thread.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include "process/link.h"
#include "process/supervisor.h"

#include <sys/types.h>

enum { CHILD_ARGS_MAX = 64, CHILD_REQUEST_FD = 3, CHILD_NOTICE_FD = 4 };

struct child_command {
    const char *path;
    char *const *argv;
    const struct link *link; /* become descriptors 3 and 4, told in SLUICE_LINK; NULL: none */
    int output_fd;           /* in place of stdout and stderr; -1: ours */
    int death_signal;        /* sent to it when the supervisor dies */
};

/* The arguments of an edge; E_FULL: more than CHILD_ARGS_MAX. */
MUST_USE enum status child_edge_args(const struct supervisor_conf *conf, bool is_last_good,
                                     char *args[CHILD_ARGS_MAX]);

/* The process id, or -1 with errno. A program that cannot be executed ends with 127. */
pid_t child_spawn(const struct child_command *command);

#endif
