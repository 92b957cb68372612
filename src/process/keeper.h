/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice run` where control runs alone (`role: control`): keeps that one process running, with a
 * back-off, and as PID 1 reaps whatever is left to it. Nothing is handed over: control resumes from
 * its store, so a new binary is a restart. One thread. Called once by main.
 */
#ifndef PROCESS_KEEPER_H
#define PROCESS_KEEPER_H

#include "process/supervisor.h"

/* Returns when it was stopped: main's exit code. */
int keeper_run(const struct supervisor_conf *conf);

#endif
