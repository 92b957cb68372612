/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process beside the edges: started once an edge has served, restarted when it dies,
 * with a back-off of its own that no edge feels, and over an upgrade replaced by that of the new
 * binary. Invariant: at most one is ours at any time. The supervisor's one thread.
 */
#ifndef PROCESS_CONTROL_CHILD_H
#define PROCESS_CONTROL_CHILD_H

#include "process/backoff.h"
#include "process/supervisor.h"

#include <stdio.h>
#include <sys/types.h>

struct control_child {
    pid_t pid;                      /* 0: none runs */
    int link_fd;                    /* our end of the link of unit_wire.h; -1: none */
    uint32_t link;                  /* the how manieth it is */
    int64_t started_ms, restart_ms; /* monotonic; restart_ms 0: at once */
    int64_t kill_ms;                /* when one that was told to end is killed; 0: not said yet */
    struct backoff backoff;
    bool is_idle;    /* the last one said that there is nothing to do here */
    bool is_leaving; /* it was told to end */
};

/* For one of which nothing is known yet. */
void control_child_init(struct control_child *control);
/* Closes our end of the link. */
void control_child_hang_up(struct control_child *control);
/* Starts one if it is time to, and kills one that was told to end and hangs; for an edge has served
 * and we are not stopping. */
void control_child_run(struct control_child *control, const struct supervisor_conf *conf,
                       int64_t now_ms);
/* When control_child_run() has something to do; INT64_MAX: not before something happens. */
int64_t control_child_due_ms(const struct control_child *control,
                             const struct supervisor_conf *conf);
/* Tells it to end; `signal` is SIGTERM, or SIGKILL. */
void control_child_end(struct control_child *control, int signal);
/* The configuration may have something to do for it now. */
void control_child_wake(struct control_child *control);
/* A process ended: true when it was this one. */
bool control_child_reap(struct control_child *control, pid_t pid, int wait_status, int64_t now_ms);

/* For the next binary: the line "control PID", and back; what is read is told to end. */
void control_child_write(const struct control_child *control, FILE *out);
MUST_USE enum status control_child_read(struct control_child *control, const char *line);

#endif
