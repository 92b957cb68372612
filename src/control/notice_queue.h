/* SPDX-License-Identifier: Apache-2.0
 *
 * What waits to be told to one receiver, and when the next message may go: grouped by a window,
 * limited by the hour, and put off when the receiver fails. Pure; times are of the wall clock, for
 * what waits outlives control.
 */
#ifndef CONTROL_NOTICE_QUEUE_H
#define CONTROL_NOTICE_QUEUE_H

#include <jansson.h>

#include "sluice/types.h"

enum { NOTICE_WAITING_MAX = 200, NOTICE_ID = 32 };

struct notice_queue {
    json_t *waiting;  /* array, oldest first */
    json_t *sent;     /* times of the messages of the last hour */
    uint64_t unshown; /* older ones that are not kept */
    int64_t since_ms; /* when the first one came */
    int64_t retry_ms; /* not before */
    unsigned tries;   /* that failed in a row */
    size_t sending;   /* how many are on their way */
    size_t tried;     /* the oldest, which were sent with this id and do not change; 0: not yet */
    uint64_t tried_unshown; /* told of with them */
    char id[NOTICE_ID + 1]; /* of the next message; empty: nothing waits */
};

struct notice_limits {
    uint32_t window_ms, per_hour;
};

/* False: no memory. */
bool notice_queue_init(struct notice_queue *queue);
void notice_queue_fini(struct notice_queue *queue);

void notice_queue_add(struct notice_queue *queue, json_t *notice, int64_t now_ms);
/* Whether a message may go now. */
bool notice_queue_is_due(const struct notice_queue *queue, const struct notice_limits *limits,
                         int64_t now_ms);
/* What waits is on its way; once it was, it alone until it has arrived: who drops what has an id
 * that was seen loses nothing then. */
void notice_queue_begin(struct notice_queue *queue);
/* What is on its way, oldest first; the caller's. NULL: no memory. */
json_t *notice_queue_sending(const struct notice_queue *queue);
/* It has arrived; or not, and may be sent again, at the earliest after `retry_ms`. */
void notice_queue_succeed(struct notice_queue *queue, int64_t now_ms);
void notice_queue_fail(struct notice_queue *queue, int64_t now_ms, int64_t retry_ms);

/* For the store; NULL: no memory. */
json_t *notice_queue_record(const struct notice_queue *queue);
/* From there; what is no record is passed over. */
void notice_queue_read(struct notice_queue *queue, const json_t *record);

#endif
