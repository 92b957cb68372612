/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets by key, for all workers and without a lock: 16 bytes a key, in cache lines of four
 * slots, of which each key has two candidates. A slot whose TAT has passed is a full bucket and so
 * carries nothing: whoever needs it takes it, and nothing sweeps. When all eight are in use, the
 * one that is nearest to full is given up and counted. A race over a slot costs at most one more
 * admission. The memory outlives the edge, and several processes may have it mapped; counts are
 * this process's. Any thread.
 */
#ifndef EDGE_LIMIT_LIMITER_H
#define EDGE_LIMIT_LIMITER_H

#include "edge/limit/gcra.h"
#include "edge/metric/stat.h"

#define LIMITER_MEMORY_NAME "limiter-1" /* of this layout */
enum { LIMITER_SIZE = 24 * 1024 * 1024 };

struct limiter;

/* What a bucket goes by: a keyed hash of what the caller counts by, and of the limit itself. */
struct limiter_key {
    uint64_t print; /* in the slot; never 0 */
    uint64_t place; /* which two lines */
};

struct limiter_ask {
    struct limiter_key key;
    struct gcra_rate rate;
    uint64_t now_ns, cost;
};

/* Maps it; takes the descriptor over, whatever it returns. -1: memory of this process alone. NULL:
 * there is none. */
struct limiter *limiter_open(int fd);
/* Clears the pointer; NULL is fine. */
void limiter_close(struct limiter **limiter);

/* The same bytes give the same key as long as the memory lives; nobody outside can aim at it. */
struct limiter_key limiter_hash(const struct limiter *limiter, struct str bytes);

/* Names a limit, from all that makes it the same one; the same in every process. */
uint64_t limiter_id(struct str text);

/* How the bucket stands; nothing is taken or written. */
struct gcra_answer limiter_peek(const struct limiter *limiter, const struct limiter_ask *ask);
/* Takes the tokens if they are there. A refusal writes nothing. */
struct gcra_answer limiter_take(struct limiter *limiter, const struct limiter_ask *ask,
                                unsigned worker);
/* Takes from all buckets or, when one refuses, from none. `answers` has one for each ask: what is
 * left after it, or how it stands. True: all pass. */
bool limiter_take_all(struct limiter *limiter, const struct limiter_ask *asks, unsigned count,
                      struct gcra_answer *answers, unsigned worker);
/* Gives the tokens of an ask that passed back. */
void limiter_refund(struct limiter *limiter, const struct limiter_ask *ask);

/* A request would have been refused, had the limit not been on trial. */
void limiter_note_trial(struct limiter *limiter, unsigned worker);

/* Of this process: buckets in use that were given up for others; and what was noted. */
uint64_t limiter_evicted(const struct limiter *limiter);
uint64_t limiter_trials(const struct limiter *limiter);

#endif
