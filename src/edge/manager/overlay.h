/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API changed at run time: targets added, removed, drained, services paused. Kept in
 * <state>/edge.json, written (temporary, fsync, rename) before a change is acknowledged, so that it
 * survives a restart. The builder thread reads it while a build runs; it is changed by the manager
 * thread only between builds.
 */
#ifndef EDGE_MANAGER_OVERLAY_H
#define EDGE_MANAGER_OVERLAY_H

#include "rest/target.h"
#include "edge/snapshot.h"

struct overlay;

/* Reads the file; one that is not there is empty, one that is damaged is set aside as
 * edge.json.damaged with a warning in `error` (NULL: fine). NULL when memory ends. Blocking. */
struct overlay *overlay_open(const char *state_dir, const char **error);
void overlay_close(struct overlay **overlay);

/* Changes in memory. E_CONFLICT: exists already; E_NOT_FOUND; E_INVALID: no target could be so.
 * `base` is what the file has. */
MUST_USE enum status overlay_add(struct overlay *overlay, const struct conf_service *base,
                                 const struct target_text *target);
MUST_USE enum status overlay_remove(struct overlay *overlay, const struct conf_service *base,
                                    struct str id);
MUST_USE enum status overlay_drain(struct overlay *overlay, const struct conf_service *base,
                                   struct str id, bool drained);
MUST_USE enum status overlay_set_mode(struct overlay *overlay, struct str service,
                                      enum service_mode mode);
struct overlay_share {
    struct str release;
    uint32_t share;
};

/* The shares of all releases that have one, and which is stable (empty: as it was); none: as the
 * file says, both. */
struct overlay_split {
    const struct overlay_share *shares;
    uint32_t count;
    struct str stable;
};

MUST_USE enum status overlay_set_split(struct overlay *overlay, struct str service,
                                       const struct overlay_split *split);
/* The same as a part of another change: overlay_remember() before it. */
MUST_USE enum status overlay_put_split(struct overlay *overlay, struct str service,
                                       const struct overlay_split *split);

/* --- overlay_control.c: what control wants of a service */
struct overlay_control {
    int64_t epoch, revision; /* of control's last word on it; 0: it has said none */
    struct str deploy;       /* the deploy that runs; empty: none */
};
struct overlay_control overlay_control(const struct overlay *overlay, struct str service);
/* Of the last control that was heard; a lower one is not obeyed. 0: none was. */
int64_t overlay_epoch(const struct overlay *overlay);
/* Whether this is a target of control's. */
bool overlay_control_has(const struct overlay *overlay, struct str service, struct str id);
/* Whether control has it get nothing new. */
bool overlay_control_drains(const struct overlay *overlay, struct str service, struct str id);
/* What it says of units, as it is kept: read from {"state", "eta_ms", "why", "retry_ms"} at
 * `now_ms` of the wall clock. NULL: a word of it is wrong, or memory ends. */
json_t *overlay_scale_read(const json_t *said, uint64_t now_ms);
/* What was kept, for a build; awake where nothing was. The text is the overlay's. */
struct service_scale overlay_scale(const struct overlay *overlay, struct str service);
/* The word for it: "awake", "asleep", "waking" or "broken". */
const char *overlay_scale_word(enum service_state state);
/* Replaces it, with the split; `control` was checked, and a reference is taken. */
MUST_USE enum status overlay_set_control(struct overlay *overlay, struct str service,
                                         json_t *control, const struct overlay_split *split);
/* Until when the shield is up, in wall-clock milliseconds; 0: down. */
MUST_USE enum status overlay_set_shield(struct overlay *overlay, uint64_t until_ms);
/* As it was set last, also before a restart; the time may be over. */
uint64_t overlay_shield(const struct overlay *overlay);
/* Takes the last change back, when it could not be built or saved. */
void overlay_undo(struct overlay *overlay);
/* Writes the file, if anything has changed since: any thread while nothing changes it; errno on
 * E_IO. */
MUST_USE enum status overlay_save(struct overlay *overlay);

/* How a build asks. */
struct snapshot_overlay overlay_view(struct overlay *overlay);

#endif
