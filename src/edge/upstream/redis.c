/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the script, and where a cluster sends them on to.
 */
#include "edge/upstream/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/redis_impl.h"

enum {
    LOOK_MS = 100,
    HOPS_MAX = 3,      /* of a call, from node to node */
    SHA_AT = 22,       /* where a command has the script's name: *N, EVALSHA, $40 */
    ARGUMENTS_MAX = 5, /* so that N has one digit */
    RETRY_MIN_MS = 100,
    WANTED_MS = 60 * 1000, /* how long a node is kept that had no slots when it was named */
};

static const struct str asking = STR_INIT("*1\r\n$6\r\nASKING\r\n");

/* --- calls */

static void end(struct redis_call *call, const struct redis_answer *answer)
{
    call->redis->calls--;
    call->on_answer(call, answer);
}

static enum status send_to(struct redis_node *node, struct redis_call *call)
{
    if (!redis_node_is_up(node))
        return E_CLOSED;
    memcpy(call->command + SHA_AT, redis_link_sha(node->link), REDIS_SHA_LEN);
    call->node = (unsigned)(node - node->redis->nodes);
    return redis_link_ask(node->link, &call->ask, (struct str){call->command, call->len});
}

static void ignore(struct redis_ask *ask, const struct redis_reply *reply)
{
    (void)ask;
    (void)reply;
}

/* Where a slot is on its way to, only who says so first is let in. */
static enum status send_asking(struct redis_node *node, struct redis_call *call)
{
    enum status status;

    if (!redis_node_is_up(node))
        return E_CLOSED;
    call->asking.on_reply = ignore;
    status = redis_link_ask(node->link, &call->asking, asking);
    if (status)
        return status;
    status = send_to(node, call);
    if (status) // the call must not end while a part of it waits
        redis_link_fail(node->link, "cannot ask");
    return status;
}

/* Goes where an error sends it. False: it does not, or nobody is there yet. */
static bool follow(struct redis *redis, struct redis_call *call, enum redis_hint hint,
                   struct redis_node *to)
{
    if (!to || ++call->hops > HOPS_MAX)
        return false;
    to->wanted_us = redis->loop->now_us + WANTED_MS * UINT64_C(1000);
    return hint == REDIS_ASK ? !send_asking(to, call) : !send_to(to, call);
}

/* False: the error is none of those that a cluster sends on with. */
static bool take_hint(struct redis *redis, struct redis_call *call, const char *text)
{
    const struct redis_address *from = &redis->nodes[call->node].address;
    struct redis_node *to = NULL;
    struct redis_address address;
    enum redis_hint hint;
    unsigned slot = 0;
    enum status status = redis_hint_read(text, &hint, &slot, &address);

    if (hint == REDIS_STAYS)
        return false;
    if (!status)
        to = redis_nodes_want(redis, &address, from);
    if (to && hint == REDIS_MOVED) {
        redis->slots[slot] = (uint8_t)(to - redis->nodes);
        to->is_master = true;
    }
    if (hint == REDIS_MOVED)
        redis_nodes_doubt(redis);
    if (!follow(redis, call, hint, to))
        end(call, NULL);
    return true;
}

static void on_reply(struct redis_ask *ask, const struct redis_reply *reply)
{
    struct redis_call *call = (struct redis_call *)ask;
    struct redis *redis = call->redis;
    struct redis_node *node = &redis->nodes[call->node];
    struct redis_link *link = node->link;

    if (!reply) {
        end(call, NULL);
        return;
    }
    if (reply->is_error && redis->mode == CONF_REDIS_CLUSTER && take_hint(redis, call, reply->text))
        return;
    if (reply->is_answer) {
        node->retry_ms = RETRY_MIN_MS;
        end(call, &reply->answer);
        return;
    }
    end(call, NULL);
    if (link && link == node->link) // no script, full, loading or a replica now: begin again
        redis_link_fail(link, reply->is_error ? reply->text : "an answer that no script gives");
}

bool redis_is_up(const struct redis *redis)
{
    return redis->is_up;
}

int redis_find(const struct redis *redis, struct str key)
{
    unsigned node = 0;

    if (redis->mode == CONF_REDIS_CLUSTER)
        node = redis->slots[redis_slot(key)];
    return node < REDIS_NODES_MAX && redis_node_is_up(&redis->nodes[node]) ? (int)node : -1;
}

enum status redis_ask(struct redis *redis, struct redis_call *call, struct str key,
                      const struct str *arguments, unsigned count)
{
    static const char any[REDIS_SHA_LEN];
    struct str words[4 + ARGUMENTS_MAX] = {STR("EVALSHA"), {any, REDIS_SHA_LEN}, STR("1"), key};
    int node = redis_find(redis, key);
    enum status status;

    if (node < 0)
        return E_CLOSED;
    if (redis->calls == REDIS_CALLS_MAX || count > ARGUMENTS_MAX)
        return E_FULL;
    if (count)
        memcpy(words + 4, arguments, count * sizeof(*arguments));
    call->len = (uint16_t)redis_encode(call->command, sizeof(call->command), words, 4 + count);
    if (!call->len)
        return E_FULL;
    call->redis = redis;
    call->hops = 0;
    call->ask.on_reply = on_reply;
    call->sent_us = redis->loop->now_us;
    status = send_to(&redis->nodes[node], call);
    redis->calls += !status;
    return status;
}

/* --- what is said of it */

struct str redis_node_name(const struct redis *redis, unsigned node, char *text, size_t size)
{
    const struct redis_address *address = &redis->nodes[node].address;
    int len = snprintf(text, size, "%s:%u", address->host, address->port);

    return (struct str){text, (size_t)len < size ? (size_t)len : size - 1};
}

/* Of the first that is down. */
static const struct redis_node *find_down(const struct redis *redis)
{
    for (unsigned i = 0; i < REDIS_NODES_MAX; i++) {
        const struct redis_node *node = &redis->nodes[i];
        bool is_needed = redis->mode == CONF_REDIS_CLUSTER ? node->is_master : node->is_used;

        if (is_needed && !redis_node_is_up(node))
            return node;
    }
    return NULL;
}

struct str redis_reason(const struct redis *redis, char *text, size_t size)
{
    const struct redis_node *node = find_down(redis);
    const char *why = "connecting";
    int len = 0;

    if (redis->is_up || !redis->is_used)
        return STR_NONE;
    if (node && node->why[0])
        why = node->why;
    if (node)
        len = snprintf(text, size, "%s:%u: %s", node->address.host, node->address.port, why);
    else if (redis->scout.why[0])
        len = snprintf(text, size, "%s", redis->scout.why);
    else
        len = snprintf(text, size, "%s",
                       redis->has_map ? "the cluster does not serve all slots" : why);
    return (struct str){text, (size_t)len < size ? (size_t)len : size - 1};
}

/* --- its life */

static void on_timer(uv_timer_t *timer)
{
    struct redis *redis = timer->data;

    loop_enter(redis->loop);
    redis_nodes_look(redis);
    loop_leave(redis->loop);
}

struct redis *redis_open(const struct redis_home *home)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    if (!redis)
        return NULL;
    redis->home = *home;
    redis->loop = home->loop;
    arena_init(&redis->arena, NULL, 0);
    uv_timer_init(&redis->loop->uv, &redis->timer); // cannot fail
    redis->timer.data = redis;
    return redis;
}

static uint64_t identity_of(const struct conf_redis *conf, const struct tls_client *tls)
{
    const struct str texts[] = {conf->sentinel_user.s, conf->sentinel_password.s};
    uint64_t identity = tls ? tls_client_identity(tls) : 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        for (size_t k = 0; k <= texts[i].len; k++)
            identity = identity * 1099511628211 + (k < texts[i].len ? (uint8_t)texts[i].p[k] : 256);
    return identity;
}

static void stop(struct redis *redis)
{
    if (!redis->is_used)
        return;
    redis->is_used = redis->is_up = false;
    uv_timer_stop(&redis->timer);
    redis_nodes_end(redis);
    tls_client_unref(&redis->manner.tls);
    arena_reset(&redis->arena);
    redis->url = STR_NONE;
}

static const char *terminated(struct redis *redis, struct str text)
{
    return text.p ? arena_copy(&redis->arena, text).p : NULL;
}

/* False: memory. */
static bool copy(struct redis *redis, const struct conf_redis *conf)
{
    struct arena *arena = &redis->arena;

    redis->mode = conf->mode;
    redis->url = arena_copy(arena, conf->url.s);
    redis->master = conf->master.p ? arena_copy(arena, conf->master) : STR_NONE;
    redis->places = arena_zero(arena, conf->place_count, sizeof(*redis->places));
    redis->place_count = conf->place_count;
    for (unsigned i = 0; redis->places && i < conf->place_count; i++) {
        snprintf(redis->places[i].host, sizeof(redis->places[i].host), "%.*s",
                 STR_FMT(conf->places[i].host));
        redis->places[i].port = conf->places[i].port;
    }
    redis->manner = (struct redis_manner){
        .user = terminated(redis, conf->user),
        .password = terminated(redis, conf->password),
        .database = conf->database,
        .wants_master = conf->mode == CONF_REDIS_SENTINEL,
        .script = redis->home.script,
    };
    return !arena->is_full;
}

/* Connections that are made from now on. */
static void set_tls(struct redis *redis, struct tls_client *tls)
{
    struct tls_client *old = redis->manner.tls;

    if (tls)
        tls_client_ref(tls);
    redis->manner.tls = redis->scout.manner.tls = tls;
    tls_client_unref(&old);
}

void redis_use(struct redis *redis, const struct conf_redis *conf, struct tls_client *tls)
{
    uint64_t identity = conf ? identity_of(conf, tls) : 0;

    assert(!conf || conf->is_tls == (tls != NULL)); // passwords must not leave in the plain
    if (redis->is_closed)
        return;
    if (redis->is_used && conf && str_same(redis->url, conf->url.s) &&
        redis->identity == identity) {
        set_tls(redis, tls);
        return;
    }
    stop(redis);
    if (!conf || !copy(redis, conf)) {
        arena_reset(&redis->arena);
        redis_nodes_tell(redis);
        return;
    }
    redis->identity = identity;
    redis->is_used = true;
    set_tls(redis, tls);
    redis_nodes_begin(redis, conf);
    uv_timer_start(&redis->timer, on_timer, LOOK_MS, LOOK_MS);
    redis_nodes_tell(redis);
}

void redis_close(struct redis *redis)
{
    if (redis->is_closed)
        return;
    stop(redis);
    redis->is_closed = true;
    uv_close((uv_handle_t *)&redis->timer, NULL);
}

void redis_free(struct redis **redis)
{
    free(*redis);
    *redis = NULL;
}
