/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes beside the gateway of `sluice demo`: children of its supervisor that end with it.
 */
#ifndef CLI_DEMO_PROCESS_H
#define CLI_DEMO_PROCESS_H

#include "sluice/types.h"

struct demo_process {
    const char *name;          /* as `ps` shows it; 15 characters at most */
    int (*run)(void *subject); /* what it does; gives its exit status */
    void *subject;
};

/* Forks. The process ends by SIGKILL when the thread that called this does, also across an exec of
 * it; signals that a terminal sends to all are the gateway's to obey. E_IO with errno. */
MUST_USE enum status demo_process_start(const struct demo_process *process);

#endif
