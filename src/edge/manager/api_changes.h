/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes on their way to control's ledger: noted by whoever makes one, fetched by control. Manager
 * thread.
 */
#ifndef EDGE_MANAGER_API_CHANGES_H
#define EDGE_MANAGER_API_CHANGES_H

#include "edge/manager/admin_impl.h"

/* What a change was. Nothing secret. */
struct api_change {
    const char *action;          /* "target.drain" */
    struct str service, subject; /* absent: none */
    json_t *before, *after;      /* taken; NULL: nothing was, or is */
};

/* Notes what was changed by `actor`; nothing if it is after as it was before. */
void api_changes_note(struct admin *admin, struct str actor, const struct api_change *change);

/* Answers what control does not know yet; ?wait= when there is something. */
void api_changes_get(struct admin_call *call);
/* A second has passed. */
void api_changes_tick(struct admin *admin);
/* Nobody is to wait any more. */
void api_changes_end(struct admin *admin);

#endif
