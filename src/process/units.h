/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of units: apps as children of the supervisor, so that they outlive edges, control and
 * an exec of the supervisor. Each is started by `sluice unit FILE SERVICE RELEASE ID PORT
 * [WORD...]`, which reads the configuration, becomes the app's user and executes the command; here
 * nothing of the configuration is known. One that has not executed it after half a minute is ended,
 * with a fault. A unit that ends is never started again from here, and stays in the table with how
 * it ended until it is removed, or its place is needed. unit_desk.h says who asks. The supervisor's
 * one thread.
 */
#ifndef PROCESS_UNITS_H
#define PROCESS_UNITS_H

#include "process/supervisor.h"
#include "process/unit_log.h"
#include "process/unit_port.h"

#include <poll.h>
#include <stdio.h>
#include <sys/types.h>

enum { UNITS_MAX = 256, UNITS_POLL_MAX = 2 * UNITS_MAX };

struct unit {
    enum unit_state state;
    char id[UNIT_ID_SIZE], release[UNIT_RELEASE_SIZE], service[UNIT_SERVICE_SIZE];
    pid_t pid;   /* 0: it has ended */
    pid_t group; /* of its processes, some of which may be left when it has */
    uint16_t port;
    uint32_t restarts, grace_ms;
    int exit_code, signal; /* as in a view */
    enum status fault;
    char reason[UNIT_REASON_SIZE];
    int status_fd; /* -1 but while STARTING: the words of `sluice unit`, ended by exec */
    int output_fd; /* -1: closed */
    struct unit_log log;
    int64_t born_ms, kill_ms;       /* monotonic; kill_ms: STOPPING, when to send SIGKILL */
    int64_t started_ms, changed_ms; /* Unix */
    uint64_t lived_ms;
    bool is_asked;   /* it was told to end */
    bool is_killed;  /* SIGKILL was sent; kill_ms is then when nobody waits any more */
    bool is_removed; /* it is forgotten once it has ended and control was told */
    bool is_news;    /* control is to be told */
};

struct units {
    struct unit items[UNITS_MAX];
    struct unit_ports ports;
    pid_t sweep_pid; /* of the process that ends leftovers, see unit_desk.h; 0: none runs */
};

/* For a table that holds nothing yet. */
void units_init(struct units *units);
/* Kills what is left and closes what is open. */
void units_fini(struct units *units);

/* Starts a unit, or one again that has ended; one that runs already is fine. `error`
 * (UNIT_REASON_SIZE) has a sentence after E_INVALID: it belongs to another service or release;
 * E_AGAIN: it is stopping; E_FULL: no place or no port; E_IO (errno). */
MUST_USE enum status units_start(struct units *units, const struct supervisor_conf *conf,
                                 const struct unit_ask *ask, char *error);
/* SIGTERM to its processes, SIGKILL to those left after `grace_ms`; said again, the sooner counts.
 * E_NOT_FOUND. */
MUST_USE enum status units_stop(struct units *units, const char *id, uint32_t grace_ms,
                                bool is_removed);
/* NULL: unknown. */
struct unit *units_find(struct units *units, const char *id);
/* For the end of the supervisor: the same for all, each with the grace that the configuration gave
 * it; and SIGKILL at once. */
void units_stop_all(struct units *units);
void units_kill_all(struct units *units);
/* How many have processes. */
unsigned units_count(const struct units *units);

/* A process ended: true when it was a unit's. */
bool units_reap(struct units *units, pid_t pid, int wait_status);
/* Fills fds[0 .. UNITS_POLL_MAX) for poll(), and reads what came in. */
void units_watch(const struct units *units, struct pollfd *fds);
void units_read(struct units *units, const struct pollfd *fds);
/* What time brings; units_due_ms(): when next (monotonic), INT64_MAX: never. */
void units_run(struct units *units, int64_t now_ms);
int64_t units_due_ms(const struct units *units, int64_t now_ms);

void unit_show(const struct unit *unit, struct unit_view *view);
/* Control was told. */
void unit_settle(struct unit *unit);

/* For the next binary: lines "unit ..." and "units ...", and back (what follows the first word
 * "unit" or "units"). The descriptors stay open across the exec or not: units_keep_fds(). */
void units_write(const struct units *units, FILE *out);
MUST_USE enum status units_read_line(struct units *units, char *line);
void units_keep_fds(const struct units *units, bool is_kept);

#endif
