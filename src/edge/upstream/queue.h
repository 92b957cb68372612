/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries that wait, served fairly: stochastic fairness queueing (McKenney, INFOCOM 1990). A key, a
 * client's for instance, is hashed to one of a few lanes, and lanes are served in turns, so a
 * client with a thousand waiting delays the others by one each round. Entries are embedded in what
 * waits; nothing is allocated, and every call takes constant time or a look at each lane. One
 * thread.
 */
#ifndef EDGE_UPSTREAM_QUEUE_H
#define EDGE_UPSTREAM_QUEUE_H

#include "sluice/types.h"

enum { QUEUE_LANES = 32 };

/* Belongs to one queue at a time; {0}: to none. Stays where it is while it is in. */
struct queue_entry {
    struct queue_entry *next, *prev; /* younger, older; NULL: none */
    uint8_t lane;
    bool is_in;
};

struct queue_lane {
    struct queue_entry *first, *last; /* oldest, newest */
    uint32_t count;
};

struct queue {
    struct queue_lane lanes[QUEUE_LANES];
    uint32_t count;  /* of all lanes */
    uint32_t turn;   /* the lane that is looked at first */
    uint32_t filled; /* a bit for each lane that is not empty */
};

/* Empty. */
void queue_init(struct queue *queue);

/* The newest of the key's lane from now on; it must not be in. Any bits will do for a key; a secret
 * or a random number mixed into it keeps a client from choosing the lane it shares. */
void queue_join(struct queue *queue, struct queue_entry *entry, uint64_t key);

/* Takes an entry out, from wherever it is; one that is not in is left alone. If its turn it was,
 * the turn moves on to the next lane. */
void queue_leave(struct queue *queue, struct queue_entry *entry);

/* The entry whose turn it is, which stays in: the oldest of the next lane that has any. NULL:
 * empty.
 */
struct queue_entry *queue_next(const struct queue *queue);

/* Who should leave a full queue for a newcomer of this key: the newest of the longest lane, if that
 * is longer by two or more than the key's lane. NULL: it is the newcomer that should be refused. */
struct queue_entry *queue_victim(const struct queue *queue, uint64_t key);

#endif
