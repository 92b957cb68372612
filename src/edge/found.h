/* SPDX-License-Identifier: Apache-2.0
 *
 * What discovery has found: lists of targets, and a set that says which list each source has now.
 * Both are immutable once they are made, and counted: the manager makes them and takes and gives
 * references, a build on its thread reads the set that it was given, so that the manager may go on
 * finding meanwhile.
 */
#ifndef EDGE_FOUND_H
#define EDGE_FOUND_H

#include "config/conf_targets.h"

struct found_list {
    uint32_t refs;
    struct arena arena;
    struct conf_target *items; /* without places in a file */
    uint32_t count;
};

/* A place where targets are found. */
struct found_source {
    struct conf_discover what;
    struct found_list *list; /* a reference; NULL: nothing was found yet */
    bool is_awaited;         /* and it is worth waiting for */
};

struct found {
    uint32_t refs;
    struct arena arena;
    struct found_source *sources;
    uint32_t count, room;
};

/* Copies the targets; with one reference. NULL: memory. */
struct found_list *found_list_new(const struct conf_target *items, uint32_t count);
/* Takes a reference; NULL is fine. */
struct found_list *found_list_ref(struct found_list *list);
/* The last one frees. Clears the pointer; it may be NULL. */
void found_list_unref(struct found_list **list);
/* The same targets in the same order; NULL equals only NULL. */
bool found_list_equal(const struct found_list *a, const struct found_list *b);

/* An empty set with room for `room` sources and one reference. NULL: memory. */
struct found *found_new(uint32_t room);
/* Adds a source; copies what it says, takes a reference to its list. False: memory. */
bool found_add(struct found *found, const struct found_source *source);
/* Takes a reference; NULL is fine. */
struct found *found_ref(struct found *found);
/* The last one frees. Clears the pointer; it may be NULL. */
void found_unref(struct found **found);
/* The source of a service's `discover`; NULL: it is not known. */
const struct found_source *found_of(const struct found *found, const struct conf_discover *what);
/* Whether both mean the same source: how often it is asked does not matter. */
bool found_is_same(const struct conf_discover *a, const struct conf_discover *b);

#endif
