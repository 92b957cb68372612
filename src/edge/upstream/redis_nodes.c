/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is asked: the one of the URL, the master that sentinels name, or the masters of a cluster by
 * its map. Nodes are connected to as long as they are wanted.
 */
#include <stdio.h>
#include <string.h>

#include "edge/upstream/redis_impl.h"

enum {
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 2000,
    SENTINEL_MS = 1000, /* how often sentinels are asked while all is well */
    MAP_MS = 10 * 1000, /* and a cluster for its map */
};

static uint64_t in_ms(const struct redis *redis, uint32_t ms)
{
    return redis->loop->now_us + (uint64_t)ms * 1000;
}

/* --- nodes */

bool redis_node_is_up(const struct redis_node *node)
{
    return node->link && redis_link_is_up(node->link);
}

static bool is_up(const struct redis *redis)
{
    bool is_good = redis->mode != CONF_REDIS_CLUSTER || (redis->has_map && !redis->uncovered);

    if (redis->mode != CONF_REDIS_CLUSTER)
        return redis_node_is_up(&redis->nodes[0]);
    for (unsigned i = 0; is_good && i < REDIS_NODES_MAX; i++)
        is_good = !redis->nodes[i].is_master || redis_node_is_up(&redis->nodes[i]);
    return is_good;
}

void redis_nodes_tell(struct redis *redis)
{
    redis->is_up = redis->is_used && is_up(redis);
    redis->home.on_change(redis->home.owner);
}

void redis_nodes_doubt(struct redis *redis)
{
    if (redis->mode != CONF_REDIS_SINGLE)
        redis_scout_hurry(&redis->scout);
}

static void say(const struct redis_node *node, const char *what)
{
    fprintf(stderr, "sluice: edge: redis at %s:%u: %s\n", node->address.host, node->address.port,
            what);
}

static void on_up(void *owner)
{
    struct redis_node *node = owner;

    if (node->was_told)
        say(node, "connected");
    node->was_told = false;
    node->why[0] = '\0';
    redis_nodes_tell(node->redis);
}

static void retry_later(struct redis_node *node)
{
    node->retry_us = in_ms(node->redis, node->retry_ms);
    node->retry_ms = node->retry_ms * 2 < RETRY_MAX_MS ? node->retry_ms * 2 : RETRY_MAX_MS;
    node->attempt++;
}

static void on_down(void *owner, const char *why)
{
    struct redis_node *node = owner;
    struct redis *redis = node->redis;

    node->link = NULL;
    retry_later(node);
    snprintf(node->why, sizeof(node->why), "%s", why);
    if (!node->was_told)
        say(node, why);
    node->was_told = true;
    if (redis->mode == CONF_REDIS_SENTINEL && why == redis_no_master)
        redis_scout_doubt(&redis->scout);
    redis_nodes_doubt(redis);
    redis_nodes_tell(redis);
}

static void connect_node(struct redis_node *node)
{
    struct redis *redis = node->redis;
    struct redis_link_home home = {redis->loop, node, on_up, on_down};

    node->link = redis_link_open(&home, &redis->manner, &node->address, node->attempt);
    if (!node->link)
        retry_later(node);
}

static void use_node(struct redis *redis, struct redis_node *node,
                     const struct redis_address *address)
{
    *node = (struct redis_node){.redis = redis,
                                .address = *address,
                                .retry_ms = RETRY_MIN_MS,
                                .is_used = true};
    connect_node(node);
}

static void leave_node(struct redis_node *node)
{
    node->is_used = node->is_master = false;
    redis_link_close(&node->link);
}

static bool is_same(const struct redis_address *a, const struct redis_address *b)
{
    return a->port == b->port && !strcmp(a->host, b->host);
}

struct redis_node *redis_nodes_want(struct redis *redis, const struct redis_address *address,
                                    const struct redis_address *near)
{
    struct redis_address full = *address;
    struct redis_node *free = NULL;

    if (!full.host[0])
        memcpy(full.host, near->host, sizeof(full.host));
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &redis->nodes[i];

        if (node->is_used && is_same(&node->address, &full))
            return node;
        if (!node->is_used && !free)
            free = node;
    }
    if (free)
        use_node(redis, free, &full);
    return free;
}

/* --- the master that sentinels name */

static const char *take_master(void *owner, const struct redis_reply *reply)
{
    struct redis *redis = owner;
    struct redis_node *node = &redis->nodes[0];
    struct redis_address address;
    enum status status = redis_master_read(reply, &address);

    if (status)
        return status == E_NOT_FOUND ? "it knows no master of that name"
                                     : "no answer of a sentinel";
    if (node->is_used && is_same(&node->address, &address))
        return NULL;
    if (node->is_used)
        leave_node(node);
    use_node(redis, node, &address);
    redis_nodes_tell(redis);
    return NULL;
}

/* --- the map of a cluster */

static void take_range(void *owner, const struct redis_range *range)
{
    struct redis *redis = owner;
    struct redis_node *node = redis_nodes_want(redis, &range->master, &redis->scout.address);

    if (!node)
        return;
    node->is_master = true;
    memset(redis->slots + range->first, (int)(node - redis->nodes),
           (size_t)(range->last - range->first) + 1);
}

static void forget_map(struct redis *redis)
{
    redis->has_map = false;
    redis->uncovered = REDIS_SLOTS;
    memset(redis->slots, REDIS_NODE_NONE, sizeof(redis->slots));
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        redis->nodes[i].is_master = false;
}

static const char *take_map(void *owner, const struct redis_reply *reply)
{
    struct redis *redis = owner;

    if (redis_slots_read(reply, NULL, NULL))
        return "no answer to CLUSTER SLOTS";
    forget_map(redis);
    if (redis_slots_read(reply, take_range, redis))
        return "no answer to CLUSTER SLOTS";
    redis->has_map = true;
    redis->uncovered = 0;
    for (unsigned i = 0; i < REDIS_SLOTS; i++)
        redis->uncovered += redis->slots[i] == REDIS_NODE_NONE;
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (redis->nodes[i].is_used && !redis->nodes[i].is_master &&
            redis->nodes[i].wanted_us <= redis->loop->now_us)
            leave_node(&redis->nodes[i]);
    redis_nodes_tell(redis);
    return redis->uncovered == REDIS_SLOTS ? "it knows nobody who serves slots" : NULL;
}

/* --- whom to ask about them */

static bool choose(void *owner, unsigned i, struct redis_address *address)
{
    const struct redis *redis = owner;

    if (i < redis->place_count) {
        *address = redis->places[i];
        return true;
    }
    i -= redis->place_count;
    for (unsigned k = 0; redis->mode == CONF_REDIS_CLUSTER && k < REDIS_NODES_MAX; k++) {
        if (!redis->nodes[k].is_used || i--)
            continue;
        *address = redis->nodes[k].address;
        return true;
    }
    return false;
}

static void on_fail(void *owner)
{
    redis_nodes_tell(owner);
}

static const char *terminated(struct arena *arena, struct str text)
{
    return text.len ? arena_copy(arena, text).p : NULL;
}

static void begin_scout(struct redis *redis, const struct conf_redis *conf)
{
    struct redis_scout *scout = &redis->scout;
    struct str slots[] = {STR("CLUSTER"), STR("SLOTS")};
    struct str master[] = {STR("SENTINEL"), STR("get-master-addr-by-name"), redis->master};

    *scout = (struct redis_scout){.loop = redis->loop,
                                  .manner = redis->manner,
                                  .owner = redis,
                                  .choose = choose,
                                  .take = take_map,
                                  .on_fail = on_fail,
                                  .period_ms = MAP_MS};
    scout->manner.database = 0;
    scout->manner.script = STR_NONE;
    scout->manner.wants_master = false;
    if (redis->mode == CONF_REDIS_CLUSTER) {
        (void)redis_scout_begin(scout, slots, ARRAY_LEN(slots));
        return;
    }
    scout->take = take_master;
    scout->period_ms = SENTINEL_MS;
    scout->manner.user = terminated(&redis->arena, conf->sentinel_user.s);
    scout->manner.password = terminated(&redis->arena, conf->sentinel_password.s);
    if (!redis_scout_begin(scout, master, ARRAY_LEN(master)))
        snprintf(scout->why, sizeof(scout->why), "the master's name is too long");
}

/* --- life */

void redis_nodes_begin(struct redis *redis, const struct conf_redis *conf)
{
    forget_map(redis);
    if (redis->mode == CONF_REDIS_SINGLE)
        use_node(redis, &redis->nodes[0], &redis->places[0]);
    else
        begin_scout(redis, conf);
}

void redis_nodes_end(struct redis *redis)
{
    if (redis->mode != CONF_REDIS_SINGLE)
        redis_scout_end(&redis->scout);
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++)
        if (redis->nodes[i].is_used)
            leave_node(&redis->nodes[i]);
}

void redis_nodes_look(struct redis *redis)
{
    bool is_missing = redis->mode == CONF_REDIS_CLUSTER && redis->uncovered;

    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        struct redis_node *node = &redis->nodes[i];

        if (!node->is_used)
            continue;
        if (node->link)
            redis_link_look(node->link);
        else if (redis->loop->now_us >= node->retry_us)
            connect_node(node);
        is_missing |= !redis_node_is_up(node);
    }
    if (redis->mode == CONF_REDIS_SINGLE)
        return;
    if (is_missing)
        redis_scout_hurry(&redis->scout);
    redis_scout_look(&redis->scout);
}
