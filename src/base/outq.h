/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes on their way to one socket, in order: copied ones in blocks of the queue's own, borrowed
 * ones (body slices in the worker's read buffer) by reference until outq_own() is called, which
 * the connection does before it returns to the loop. A queue exists only while something waits:
 * it is taken from a slab and given back when empty, LIFO, so that one warm block serves all.
 * One thread. Pure memory, no I/O.
 */
#ifndef BASE_OUTQ_H
#define BASE_OUTQ_H

#include <sys/uio.h>

#include "base/slab.h"

enum {
    OUTQ_BLOCK = 16 * 1024,     /* bytes of one block of the slab, its header included */
    OUTQ_RESERVE = 8 * 1024,    /* the most that outq_reserve() gives in one piece */
    OUTQ_COPY_BELOW = 4 * 1024, /* shorter slices are copied rather than referenced */
};

struct outq; /* private: one slab block */

/* The slab all queues and their blocks of a worker come from. */
void outq_slab_init(struct slab *slab, struct budget *budget);

/* An empty queue, NULL when the budget says no. */
struct outq *outq_take(struct slab *slab);
/* Gives the queue and all that waits in it back, and clears the pointer. NULL is fine. */
void outq_give(struct outq **queue);

/* Bytes that wait. */
size_t outq_pending(const struct outq *queue);

/* Contiguous room for at least n <= OUTQ_RESERVE bytes at the end; NULL when the budget says no.
 * Follow with outq_commit(n used). Nothing else may be called in between. */
char *outq_reserve(struct outq *queue, size_t n);
void outq_commit(struct outq *queue, size_t n);
/* Appends a copy; any length. On E_NOMEM nothing was appended. */
MUST_USE enum status outq_put(struct outq *queue, struct str bytes);
/* Appends by reference, or a copy where that is cheaper or something is referenced already: the
 * bytes must stay until outq_own() or until they are sent. */
MUST_USE enum status outq_ref(struct outq *queue, struct str bytes);
/* Copies what is still borrowed; NULL is fine. On E_NOMEM the connection must be dropped. */
MUST_USE enum status outq_own(struct outq *queue);

/* Fills up to `max` vectors with what waits, oldest first; how many. */
unsigned outq_vectors(struct outq *queue, struct iovec *vectors, unsigned max);
/* The first n bytes have been written. */
void outq_sent(struct outq *queue, size_t n);

#endif
