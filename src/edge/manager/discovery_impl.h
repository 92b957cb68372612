/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by discovery.c, which knows the sources and keeps what they found, and discovery_source.c,
 * which watches one.
 */
#ifndef EDGE_MANAGER_DISCOVERY_IMPL_H
#define EDGE_MANAGER_DISCOVERY_IMPL_H

#include "edge/manager/discovery.h"
#include "edge/manager/discovery_file.h"
#include "edge/manager/discovery_fly.h"

struct discovery_saving;

struct discovery_source {
    struct discovery_source *next;
    struct discovery *discovery;
    struct conf_discover what; /* its texts are in `arena` */
    struct arena arena;
    bool is_wanted;  /* by the configuration */
    bool is_awaited; /* builds say so: requests wait */
    uint64_t begun_ms, changed_ms;
    struct found_list *list; /* a reference; the last good one; NULL: none yet */
    char *problem;           /* owned; NULL: all is well */
    struct resolver_watch *watch;
    struct discovery_fly *fly; /* NULL: none of Fly's names */
    uint64_t asked_ms;         /* for regions, last */
    struct discovery_file *file;
};

struct discovery {
    struct discovery_home home;
    struct discovery_source *sources;
    struct resolver *resolver;       /* NULL: nothing is asked by DNS */
    char *servers;                   /* owned; as it was opened; NULL: the system's */
    struct discovery_saving *saving; /* under way */
    bool is_unsaved, is_retired;
};

/* --- discovery.c */
/* A list is another one, or is no longer waited for. */
void discovery_changed(struct discovery *discovery, bool is_saved);

/* --- discovery_source.c */
/* Nothing is watched yet. NULL: memory. */
struct discovery_source *discovery_source_new(struct discovery *discovery,
                                              const struct conf_discover *what);
/* Ends its watch. Clears the pointer. */
void discovery_source_free(struct discovery_source **source);
/* Begins to watch, unless it does. */
void discovery_source_start(struct discovery_source *source);
/* Ends the watch; what was found stays. */
void discovery_source_stop(struct discovery_source *source);
/* A second has passed. */
void discovery_source_tick(struct discovery_source *source);

#endif
