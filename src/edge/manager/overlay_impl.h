/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by overlay.c and overlay_control.c: the tree that is kept, and how it is looked at and
 * changed.
 */
#ifndef EDGE_MANAGER_OVERLAY_IMPL_H
#define EDGE_MANAGER_OVERLAY_IMPL_H

#include <limits.h>

#include "edge/manager/overlay.h"

struct overlay {
    json_t *root;
    json_t *before;               /* the last change; NULL: there is nothing to undo */
    bool is_unsaved, was_unsaved; /* changed since the file was written; before the last change */
    char path[PATH_MAX];
    char error[PATH_MAX + 128];
};

/* What there is of a service under that key; NULL: nothing. Borrowed. */
json_t *overlay_part(const struct overlay *overlay, struct str service, const char *kind);
/* The entry of a service, made if it is not there; NULL: memory. Borrowed. */
json_t *overlay_entry(struct overlay *overlay, struct str service);
/* Takes what a service has under that key away; nothing is left of one that has no more. */
void overlay_drop(struct overlay *overlay, struct str service, const char *kind);
/* Before a change, for overlay_undo(). False: memory. */
bool overlay_remember(struct overlay *overlay);
/* The end of a change: taken back unless OK, which is passed on. */
enum status overlay_settle(struct overlay *overlay, enum status status);
/* Index of an id in a list of ids or of targets; -1: it is not there. */
int overlay_find(const json_t *list, struct str id);
/* A target of the tree as it is built. The texts are the tree's. */
struct snapshot_wish overlay_wish(const json_t *target, enum target_source source);

/* --- overlay_control.c */
/* Whether this could be control's part of a service; NULL could. */
bool overlay_control_is_sound(const json_t *control);
/* Calls `add` for every target of control's. */
void overlay_control_tell(const struct overlay *overlay, struct str service, void *to,
                          void (*add)(void *to, const struct snapshot_wish *wish));
/* Whether control has taken this target of the file away, or put one in its place. */
bool overlay_control_removes(const struct overlay *overlay, struct str service, struct str id);

#endif
