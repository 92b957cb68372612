/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans that wait to be sent to a collector, oldest first, within a bound: what is too much drops
 * the oldest, and is counted. Pure but for memory.
 */
#ifndef CONTROL_SPANS_QUEUE_H
#define CONTROL_SPANS_QUEUE_H

#include "sluice/types.h"

enum {
    SPANS_WAITING_MAX = 16 * 1024 * 1024, /* bytes of JSON */
    SPANS_BODY_MAX = 1024 * 1024,         /* of one request, unless one item is larger */
};

struct spans_item; /* private */

struct spans_queue {
    struct spans_item *first, *last;
    struct spans_item *sent; /* the last of those that are on their way; NULL: none is */
    size_t bytes;
    uint64_t waiting; /* spans, with those on their way */
    uint64_t dropped; /* for lack of room, or of memory */
};

/* What an edge told: `text` is an array of spans in JSON, copied, and sent as it is. */
void spans_queue_add(struct spans_queue *queue, const char *edge, struct str text, uint64_t count);
/* The oldest as the body of a request (ExportTraceServiceRequest); the caller's, free(). They are
 * on their way then. NULL: none waits, or there is no memory. */
char *spans_queue_send(struct spans_queue *queue, const char *service);
/* What was on its way is over; how many spans that was. */
uint64_t spans_queue_drop(struct spans_queue *queue);
/* It is to be sent again. */
void spans_queue_return(struct spans_queue *queue);
void spans_queue_clear(struct spans_queue *queue);

#endif
