/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice run`: opens the listening sockets, keeps an edge process and the control process running,
 * restarts them with back-off, passes signals on as notices, and replaces its own binary in place.
 * One thread, poll() and a signalfd; as PID 1 it reaps whatever is left to it. Called once by main.
 */
#ifndef PROCESS_SUPERVISOR_H
#define PROCESS_SUPERVISOR_H

#include "sluice/types.h"

struct supervisor_conf {
    char *const *argv; /* of main, ended by NULL: an upgrade executes it again; argv[0] (with PATH)
                          is the new binary */
    const char *self;  /* the program edges are started from. "/proc/self/exe": what runs now, even
                          if the file changed */
    /* `sluice unit`, without the name of the program: it reads the file and becomes an app, in a
     * process that was forked from here, since all libraries of a new one to be loaded is most of
     * what waking an app takes. NULL: that is executed from `self`. */
    int (*unit)(int argc, char **argv);
    const char *config;     /* FILE, or NULL when there is none */
    char *const *edge_args; /* more arguments of the edge, ended by NULL; or NULL */
    bool watch;             /* --watch */
};

/* Starts {"sluice", "edge", FILE, edge_args ..., "--watch", "--last-good"} and returns when all is
 * over, with main's exit code: 0 stopped by a signal, 2 the first edge found the configuration
 * wrong, 1 anything else. Closes no descriptor it did not open; blocks and resets the signals it
 * serves. */
int supervisor_run(const struct supervisor_conf *conf);

/* What `sluice version --handover N` compares: exit 0 when N is this, so that state written by N
 * can be read. */
unsigned supervisor_handover_version(void);
/* Whether this binary can take over from a supervisor that writes this version. */
bool supervisor_takes_handover(unsigned long version);

#endif
