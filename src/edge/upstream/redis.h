/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's way to Redis (6 or later, RESP2) for one script: a single one, the master that
 * sentinels name, or all masters of a cluster. Connections are made anew by themselves when they
 * break, and what is asked in one turn of the loop leaves in one write. Nothing waits here for a
 * connection: what cannot be asked now is refused, and what is asked is answered or given up within
 * a second. One thread, the loop's.
 */
#ifndef EDGE_UPSTREAM_REDIS_H
#define EDGE_UPSTREAM_REDIS_H

#include "config/conf_redis.h"
#include "edge/upstream/redis_link.h"

enum {
    REDIS_CALLS_MAX = 4096, /* at once; more are refused */
    REDIS_NODES_MAX = 128,  /* masters of a cluster; slots of more are not reached */
    REDIS_COMMAND_MAX = 320 /* bytes of a call as it is sent */
};

struct redis;

/* One call of the script; the caller's, and its memory stays until on_answer. */
struct redis_call {
    struct redis_ask ask; /* first; private */
    /* Once, from a later callback that has entered the loop; NULL: it failed. May ask again. */
    void (*on_answer)(struct redis_call *call, const struct redis_answer *answer);
    uint64_t sent_us;
    unsigned node;           /* who has been asked, below REDIS_NODES_MAX */
    struct redis *redis;     /* private from here on */
    struct redis_ask asking; /* what goes before it where a slot is on its way */
    uint16_t len;
    uint8_t hops; /* from node to node */
    char command[REDIS_COMMAND_MAX];
};

struct redis_home {
    struct loop *loop;
    struct str script; /* static */
    void *owner;
    /* Some can be asked now, or no more. May ask; may not close. */
    void (*on_change)(void *owner);
};

/* `home` is copied. NULL: no memory. */
struct redis *redis_open(const struct redis_home *home);
/* Which one from now on; copied; NULL: none. `tls`: how, a reference is taken; NULL: in the plain.
 * Nothing happens when it is the same, but that later connections are made by the new `tls`. */
void redis_use(struct redis *redis, const struct conf_redis *conf, struct tls_client *tls);
/* Whether it can be asked now for any key. */
bool redis_is_up(const struct redis *redis);
/* Who can be asked now for a key, below REDIS_NODES_MAX; -1: nobody. */
int redis_find(const struct redis *redis, struct str key);
/* Why it is not up, printable; empty: it is. */
struct str redis_reason(const struct redis *redis, char *text, size_t size);
/* Where a node is: "host:port", printable. */
struct str redis_node_name(const struct redis *redis, unsigned node, char *text, size_t size);
/* Calls the script with one key and `count` arguments. E_CLOSED, E_FULL or E_NOMEM: not now,
 * on_answer will not come. */
MUST_USE enum status redis_ask(struct redis *redis, struct redis_call *call, struct str key,
                               const struct str *arguments, unsigned count);
/* Ends it; calls are answered with failure. Handles close while the loop runs on. */
void redis_close(struct redis *redis);
/* After the loop has run. Clears the pointer; NULL is fine. */
void redis_free(struct redis **redis);

#endif
