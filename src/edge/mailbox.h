/* SPDX-License-Identifier: Apache-2.0
 *
 * The one way into a loop from another thread: letters in a queue and one uv_async. Wake-ups
 * coalesce, so the reader always drains the queue. Letters are embedded in what they speak of, and
 * belong to the mailbox from post to delivery.
 */
#ifndef EDGE_MAILBOX_H
#define EDGE_MAILBOX_H

#include <pthread.h>
#include <uv.h>

#include "sluice/types.h"

struct letter {
    struct letter *next;
    int kind; /* the reader's */
};

struct mailbox {
    uv_async_t async;
    pthread_mutex_t lock; /* held for a few instructions */
    struct letter *first, **last;
    void (*read)(void *owner,
                 struct letter *letter); /* on the loop's thread, in order of posting */
    void (*woken)(void *owner);          /* after the letters of a wake-up; may be NULL */
    void *owner;
};

/* read, woken and owner are set. E_IO when libuv says no. Loop's thread. */
MUST_USE enum status mailbox_open(struct mailbox *mailbox, uv_loop_t *loop);
/* Undelivered letters stay with their owners. Loop's thread, nobody posts any more. */
void mailbox_close(struct mailbox *mailbox);

/* Any thread. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);
/* Any thread: only `woken` will be called. */
void mailbox_wake(struct mailbox *mailbox);

#endif
