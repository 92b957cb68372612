/* SPDX-License-Identifier: Apache-2.0
 *
 * What redis.c (calls, their life) and redis_nodes.c (who is asked) share. One thread.
 */
#ifndef EDGE_UPSTREAM_REDIS_IMPL_H
#define EDGE_UPSTREAM_REDIS_IMPL_H

#include "edge/upstream/redis.h"
#include "edge/upstream/redis_scout.h"

enum { REDIS_NODE_NONE = 0xff };

/* One that is connected to for as long as it is wanted. */
struct redis_node {
    struct redis *redis;
    struct redis_address address;
    struct redis_link *link; /* NULL: none */
    uint64_t retry_us;       /* not before */
    uint32_t retry_ms;
    unsigned attempt;
    bool is_used;             /* this place is taken */
    bool is_master;           /* slots are its, as the map says */
    uint64_t wanted_us;       /* also without slots, until then: some come to it */
    bool was_told;            /* that it is down */
    char why[REDIS_TEXT_MAX]; /* it was down last */
};

struct redis {
    struct redis_home home;
    struct loop *loop; /* of home */
    uv_timer_t timer;
    enum conf_redis_mode mode;
    bool is_used, is_closed;
    bool is_up; /* as redis_is_up() */
    unsigned calls;
    struct redis_manner manner; /* of nodes; its tls a reference */
    struct redis_scout scout;   /* not for a single one */
    struct redis_node nodes[REDIS_NODES_MAX];
    uint8_t slots[REDIS_SLOTS]; /* of a cluster: the node of each, REDIS_NODE_NONE: none */
    unsigned uncovered;         /* slots without one */
    bool has_map;
    /* The configuration, copied to the arena. */
    struct arena arena;
    struct str url;
    uint64_t identity; /* of its TLS and of what sentinels are told */
    struct redis_address *places;
    unsigned place_count;
    struct str master;
};

/* --- redis_nodes.c */

/* Begins with what the configuration says, and ends with it. */
void redis_nodes_begin(struct redis *redis, const struct conf_redis *conf);
void redis_nodes_end(struct redis *redis);
/* What is due: connections, questions. */
void redis_nodes_look(struct redis *redis);
/* The node at an address, made if there is none; `host` empty: as `near`. NULL: all places are
 * taken. */
struct redis_node *redis_nodes_want(struct redis *redis, const struct redis_address *address,
                                    const struct redis_address *near);
/* The map is old. */
void redis_nodes_doubt(struct redis *redis);
bool redis_node_is_up(const struct redis_node *node);
/* Tells the owner when it is up now and was not, or the other way round. */
void redis_nodes_tell(struct redis *redis);

#endif
