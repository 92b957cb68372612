/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting one process: its arguments, environment, descriptors and signals. Used for edges,
 * control, apps and the checks of a new binary. The supervisor's one thread.
 */
#ifndef PROCESS_CHILD_H
#define PROCESS_CHILD_H

#include "process/link.h"
#include "process/supervisor.h"

#include <sys/types.h>

enum { CHILD_ARGS_MAX = 64, CHILD_FIRST_FD = 3, CHILD_SECOND_FD = 4 };

/* For `entry`. */
#define CHILD_LINK_ENTRY "SLUICE_LINK=3,4"
#define CHILD_UNITS_ENTRY "SLUICE_UNITS=3"

struct child_command {
    const char *path;
    /* Called in the new process in place of executing `path`, with `argv` and its own environment;
     * the process ends with what it returns. NULL: `path` is executed. */
    int (*run)(int argc, char **argv);
    char *const *argv;
    const char *entry; /* added to its environment, "NAME=value"; NULL: nothing */
    int fds[2];        /* become descriptors 3 and 4; the second may be -1, or both: none */
    int output_fd;     /* in place of stdout and stderr; -1: ours */
    int death_signal;  /* sent to it when the supervisor dies */
    bool is_leader;    /* of a session and a group of its own */
};

/* The arguments of an edge; E_FULL: more than CHILD_ARGS_MAX. */
MUST_USE enum status child_edge_args(const struct supervisor_conf *conf, bool is_last_good,
                                     char *args[CHILD_ARGS_MAX]);

/* The process id, or -1 with errno. A program that cannot be executed ends with 127. */
pid_t child_spawn(const struct child_command *command);

#endif
