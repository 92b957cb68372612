/* SPDX-License-Identifier: Apache-2.0
 *
 * Which targets there are, for services that `discover` them: names by DNS, files. Each source is
 * watched once, whoever uses it; its last good list stands whatever becomes of the source, also
 * across restarts (<state>/discovered.json). Builds get immutable sets (edge/found.h), so the
 * manager need not wait for them. The manager's thread; callbacks come from the loop, or from
 * within discovery_follow() and discovery_tick().
 */
#ifndef EDGE_MANAGER_DISCOVERY_H
#define EDGE_MANAGER_DISCOVERY_H

#include <uv.h>

#include "config/conf.h"
#include "edge/found.h"

struct discovery;

/* What is known of a source; borrowed until the loop turns. */
struct discovery_view {
    const struct conf_discover *what;
    uint32_t count;
    const char *problem;     /* in words; NULL: all is well */
    uint64_t changed_ago_ms; /* since the list is as it is; 0 also: nothing was found yet */
};

/* All borrowed. */
struct discovery_home {
    uv_loop_t *loop;
    const char *config; /* the configuration's file: relative paths begin in its folder */
    const char *state_dir;
    void *owner;
    /* The set is another one: a build should take it. */
    void (*on_change)(void *owner);
    /* A source found other targets, or has another problem. */
    void (*on_news)(void *owner, const struct discovery_view *view);
};

/* Reads what was found last. NULL: memory. Blocking. */
struct discovery *discovery_open(const struct discovery_home *home);
/* Ends all; the loop must run until its handles are closed. Clears the pointer; it may be NULL. */
void discovery_close(struct discovery **discovery);

/* Looks for what this configuration wants, and no longer for the rest. Sources that go on keep
 * their watches. */
void discovery_follow(struct discovery *discovery, const struct conf *conf);
/* A second has passed. */
void discovery_tick(struct discovery *discovery);
/* Another edge does it from now on: the file is written no more. */
void discovery_retire(struct discovery *discovery);

/* All lists as they are, for a build: a reference. NULL: memory. */
struct found *discovery_found(struct discovery *discovery);
/* The list of a source, borrowed until the loop turns; NULL: none yet. */
const struct found_list *discovery_list(const struct discovery *discovery,
                                        const struct conf_discover *what);
/* False: nobody looks there yet. */
bool discovery_see(const struct discovery *discovery, const struct conf_discover *what,
                   struct discovery_view *view);

#endif
