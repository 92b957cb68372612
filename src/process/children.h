/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of edge processes: who starts, serves, drains. Owns their links. At most one serves
 * (READY) but for the moment between two; older ones drain. The supervisor's one thread.
 */
#ifndef PROCESS_CHILDREN_H
#define PROCESS_CHILDREN_H

#include "process/backoff.h"
#include "process/child.h"

#include <stdio.h>

enum { CHILDREN_MAX = 8 };

enum child_state { CHILD_NONE, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

struct child {
    enum child_state state;
    pid_t pid;
    uint32_t generation;
    struct link link;             /* our ends; -1: closed */
    int64_t started_ms, ready_ms; /* monotonic */
    uint64_t in_flight;           /* its last report */
    bool has_reported;
};

struct children {
    struct child items[CHILDREN_MAX];
    uint32_t generation; /* the last one given out */
    bool was_ready;      /* some edge served once */
    struct backoff backoff;
};

/* Starts the next generation. E_FULL: no slot; E_IO: no process (errno). *out may be NULL. */
MUST_USE enum status children_start(struct children *children, const struct supervisor_conf *conf,
                                    bool is_last_good, int64_t now_ms);

struct child *children_find(struct children *children, pid_t pid);
/* The youngest that serves or starts, or NULL. */
struct child *children_newest(struct children *children);
unsigned children_count(const struct children *children, enum child_state state);
/* Ended by 0: generations that start or serve. */
void children_living(const struct children *children, uint32_t living[CHILDREN_MAX + 1]);

/* One that cannot be told to drain gets SIGTERM instead, which means the same. */
void children_notify(struct child *child, const struct notice *notice);
/* DRAINING, told why; the newest hears of drained peers by children_tell_peer(). */
void children_drain(struct child *child, bool is_superseded);
/* Tells the newest edge about `child`: how many requests it has left, or that it is gone. */
void children_tell_peer(struct children *children, const struct child *child, bool is_gone);
void children_kill(struct children *children, int signal);
/* The process is gone: closes the link and frees the slot. */
void children_remove(struct child *child);

/* For the next binary: lines "children ..." and "child ...", and back. */
void children_write(const struct children *children, FILE *out);
MUST_USE enum status children_read(struct children *children, const char *line);

#endif
