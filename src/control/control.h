/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process: one thread, one loop, a client of the edges' admin API and of nothing else
 * of them, with an API of its own behind the edge's. Its tenant is ACME. Started by the supervisor
 * as `sluice control FILE`, beside the edge; no request feels whether it runs. There is one: by a
 * lock on <state>/control.lock.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "config/conf.h"

enum {
    CONTROL_EXIT_NONE = 0, /* nothing to do here, by the configuration */
    CONTROL_EXIT_FAILED = 1,
    CONTROL_EXIT_STOPPED = 143, /* by SIGTERM */
};

struct control_options {
    const char *config;             /* FILE */
    const struct conf_world *world; /* borrowed */
};

/* Runs until SIGTERM or SIGINT, or until the supervisor dies; one of the exit codes. */
int control_run(const struct control_options *options);

#endif
