/* SPDX-License-Identifier: Apache-2.0
 *
 * What is remembered of single requests, for `sluice why`: texts by request id, the newest so many
 * of each kind, so that a flood of one kind does not push out the others. One a worker, who alone
 * writes and never waits; any thread may look.
 */
#ifndef EDGE_METRIC_TRAIL_H
#define EDGE_METRIC_TRAIL_H

#include "sluice/types.h"

enum trail_kind {
    TRAIL_GOOD,    /* a sample */
    TRAIL_REFUSED, /* by the gateway, for the client's sake */
    TRAIL_FAILED,  /* 5xx, and what was broken off */
    TRAIL_KINDS
};

enum {
    TRAIL_KEPT = 128,      /* of each kind */
    TRAIL_TEXT_MAX = 4064, /* bytes of one */
};

struct trail;

/* NULL: memory. 1.5 MiB, used as it fills. */
struct trail *trail_new(void);
void trail_free(struct trail **trail);

/* The worker: remembers `text`, at most TRAIL_TEXT_MAX bytes, in place of the oldest of its kind.
 */
void trail_keep(struct trail *trail, enum trail_kind kind, struct str id, struct str text);

/* Any thread: the newest text of that id, copied to `out` of TRAIL_TEXT_MAX bytes; absent: there is
 * none, or it is being written over. `*when` counts what was kept, over all kinds. */
struct str trail_find(const struct trail *trail, struct str id, char *out, uint64_t *when);

#endif
