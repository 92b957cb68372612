/* SPDX-License-Identifier: Apache-2.0
 *
 * The check of a new binary before it is executed: `version --handover N`, then `check FILE`, each
 * within 5 s, both as child processes while the supervisor goes on serving its edges. The
 * supervisor's one thread.
 */
#ifndef PROCESS_UPGRADE_H
#define PROCESS_UPGRADE_H

#include "process/supervisor.h"

#include <limits.h>
#include <sys/types.h>

enum upgrade_state { UPGRADE_IDLE, UPGRADE_VERSION, UPGRADE_CHECK };

struct upgrade {
    enum upgrade_state state;
    pid_t pid;        /* of the check that runs */
    int output_fd;    /* memfd with what it prints */
    int reply_fd;     /* of the edge that asked; -1: a signal did */
    int64_t until_ms; /* monotonic */
    bool is_late;
    char path[PATH_MAX]; /* of the new binary */
};

/* Starts to check; takes `reply_fd`. When it cannot even start, that is answered and logged. */
void upgrade_begin(struct upgrade *upgrade, const struct supervisor_conf *conf, int reply_fd,
                   int64_t now_ms);

/* The check's process ended. True: all passed, the asker is answered and `path` is to be executed.
 */
bool upgrade_advance(struct upgrade *upgrade, const struct supervisor_conf *conf, int wait_status,
                     int64_t now_ms);

/* Kills a check that takes too long; its end then comes to upgrade_advance(). */
void upgrade_expire(struct upgrade *upgrade, int64_t now_ms);

/* Gives up (a check that runs is killed) and says why to the asker and the log. */
void upgrade_fail(struct upgrade *upgrade, enum status status, const char *why);

#endif
