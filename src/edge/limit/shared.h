/* SPDX-License-Identifier: Apache-2.0
 *
 * Buckets of tokens that gateways share through Redis, as one worker sees them. Where tokens come
 * fast some are taken ahead and spent without asking; where they come slowly each request asks, and
 * waits for the answer as long as it is said to and no longer. What was refused is not asked for
 * again before it can be there. While Redis is down or late nobody waits: the caller goes by its
 * own buckets; of a cluster that holds for each node and the buckets it has. One thread, the
 * loop's.
 */
#ifndef EDGE_LIMIT_SHARED_H
#define EDGE_LIMIT_SHARED_H

#include "edge/metric/note.h"
#include "config/conf_redis.h"
#include "edge/limit/limiter.h"
#include "edge/loop.h"

enum { SHARED_NAME_LEN = 32, SHARED_ASKS_MAX = 8 };

struct shared;
struct tls_client;

/* Of a bucket, the same in all gateways: a digest of what it goes by, in hexadecimal. */
struct shared_name {
    char text[SHARED_NAME_LEN];
};

enum shared_result {
    SHARED_PASSES,
    SHARED_REFUSES,
    SHARED_UNKNOWN, /* it is down, late, or has not answered in time */
    SHARED_WAITS,   /* on_end will come */
};

enum shared_state { SHARED_NONE, SHARED_UP, SHARED_DEGRADED };

struct flight;

/* One request that asks; in its memory. The first group is the caller's to set. */
struct shared_wait {
    const struct limiter_ask *asks;
    const struct shared_name *names; /* beside the asks */
    struct gcra_answer *answers;     /* beside them: set when the result is known */
    unsigned count;                  /* at most SHARED_ASKS_MAX */
    uint32_t wait_ms;                /* at most */
    /* Once, unless it was cancelled before, in a callback that has entered the loop. */
    void (*on_end)(struct shared_wait *wait, enum shared_result result);

    struct shared *shared; /* private from here on */
    struct flight *flights[SHARED_ASKS_MAX];
    unsigned left;
    uint64_t deadline_us;
    bool is_refused, is_failed;
    struct shared_wait *prev, *next;
};

struct shared_name shared_name(struct str bytes);
/* The digest alone, to be part of what a name is made of. */
void shared_digest(struct str bytes, unsigned char digest[32]);

/* NULL: no memory. */
struct shared *shared_open(struct loop *loop);
/* Which Redis from now on, and how it is spoken to; see redis_use(). */
void shared_use(struct shared *shared, const struct conf_redis *conf, struct tls_client *tls);
/* Whether gateways share at all; any thread. */
enum shared_state shared_state(const struct shared *shared);
/* Why they are degraded, printable; empty: they are not. Into NOTE_MAX + 1 bytes; any thread. */
struct str shared_reason(const struct shared *shared, char *text);
/* Whether one of these buckets cannot be asked for now. */
bool shared_is_cut_off(const struct shared *shared, const struct shared_name *names,
                       unsigned count);

/* Takes from all buckets, or from none. SHARED_WAITS: `wait` and what it points to stay until
 * on_end or shared_cancel(). */
enum shared_result shared_take(struct shared *shared, struct shared_wait *wait);
/* on_end will not come. Twice is fine. */
void shared_cancel(struct shared_wait *wait);
/* Gives tokens that were taken back, some time. */
void shared_refund(struct shared *shared, const struct limiter_ask *ask,
                   const struct shared_name *name);

/* Ends it, as redis_close() and redis_free() do. */
void shared_close(struct shared *shared);
void shared_free(struct shared **shared);

#endif
