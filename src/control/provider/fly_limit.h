/* SPDX-License-Identifier: Apache-2.0
 *
 * The published rates of Fly's Machines API, kept to before the API has to say so: of each action
 * and machine, or app, one request a second and three at once; five and ten of reads of a machine.
 * A fixed table: what has not been asked for a while leaves it. Pure, one thread.
 */
#ifndef CONTROL_PROVIDER_FLY_LIMIT_H
#define CONTROL_PROVIDER_FLY_LIMIT_H

#include "sluice/types.h"

enum { FLY_LIMIT_ROWS = 256 };

enum fly_action {
    FLY_PAUSE, /* no request at all */
    FLY_APP,
    FLY_LIST,
    FLY_CREATE,
    FLY_GET,
    FLY_WAIT,
    FLY_START,
    FLY_STOP,
    FLY_SUSPEND,
    FLY_DELETE,
    FLY_LEASE,
    FLY_UNLEASE,
};

struct fly_limit_row {
    uint64_t key;    /* 0: free */
    int64_t next_ms; /* when the next is due, were they evenly spread */
};

struct fly_limit {
    int64_t opened_ms;
    struct fly_limit_row rows[FLY_LIMIT_ROWS];
};

/* Times are monotonic. Whoever asked before us may just have had all that is allowed, so that is
 * where it begins. */
void fly_limit_init(struct fly_limit *limit, int64_t now_ms);
/* 0: the request may go, and is counted; else how long to wait before asking again. `subject`: the
 * machine's id, or empty for the app. */
int64_t fly_limit_take(struct fly_limit *limit, enum fly_action action, const char *subject,
                       int64_t now_ms);
/* Its answer came: it may have been on its way until now, and the API counts from when it came. */
void fly_limit_done(struct fly_limit *limit, enum fly_action action, const char *subject,
                    int64_t now_ms);

#endif
