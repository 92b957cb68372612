/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's connection to Redis (6 or later, RESP2) for one script: it is made anew by itself when
 * it breaks, and what is asked in one turn of the loop leaves in one write. Nothing waits here for
 * a connection: what cannot be asked now is refused, and what is asked is answered or given up
 * within a second. One thread, the loop's.
 */
#ifndef EDGE_UPSTREAM_REDIS_H
#define EDGE_UPSTREAM_REDIS_H

#include "config/conf_redis.h"
#include "edge/loop.h"

enum { REDIS_VALUES_MAX = 4, REDIS_CALLS_MAX = 4096 /* at once; more are refused */ };

struct redis;

/* What the script gave: a list of integers. */
struct redis_answer {
    unsigned count;
    int64_t values[REDIS_VALUES_MAX];
};

/* One call of the script; the caller's, and its memory stays until on_answer. */
struct redis_call {
    /* Once, from a later callback that has entered the loop; NULL: it failed. May ask again. */
    void (*on_answer)(struct redis_call *call, const struct redis_answer *answer);
    uint64_t sent_us;
    struct redis_call *next; /* private */
};

struct redis_home {
    struct loop *loop;
    struct str script; /* static */
    void *owner;
    /* It can be asked now, or no more. May ask; may not close. */
    void (*on_change)(void *owner);
};

/* `home` is copied. NULL: no memory. */
struct redis *redis_open(const struct redis_home *home);
/* Which one from now on; copied; NULL: none. Nothing happens when it is the same. */
void redis_use(struct redis *redis, const struct conf_redis *conf);
/* Whether it can be asked now. */
bool redis_is_up(const struct redis *redis);
/* Calls the script with one key and `count` arguments. E_CLOSED, E_FULL or E_NOMEM: not now,
 * on_answer will not come. */
MUST_USE enum status redis_ask(struct redis *redis, struct redis_call *call, struct str key,
                               const struct str *arguments, unsigned count);
/* Ends it; calls are answered with failure. Handles close while the loop runs on. */
void redis_close(struct redis *redis);
/* After the loop has run. Clears the pointer; NULL is fine. */
void redis_free(struct redis **redis);

#endif
