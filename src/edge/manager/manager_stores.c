/* SPDX-License-Identifier: Apache-2.0
 *
 * What filters keep for the whole process: buckets of rate limits, keys, dictionaries of scripts,
 * the shield. Opened before the workers, lent to them, looked after each second.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/access/shield.h"
#include "edge/auth/replay.h"
#include "edge/limit/limiter.h"
#include "edge/manager/admin.h"
#include "edge/manager/manager_impl.h"
#include "edge/script/dict.h"

enum { DICTS_SIZE = 16 * 1024 * 1024 /* bytes that the shared dictionaries of scripts may take */ };

/* Without the memory that outlives this process buckets begin full. */
static struct limiter *open_limiter(struct manager *m)
{
    char error[LINK_ERROR_SIZE] = "no memory";
    int fd = -1;

    if (link_memory(m->options.link, STR(LIMITER_MEMORY_NAME), LIMITER_SIZE, &fd, error))
        fprintf(stderr, "sluice: edge: rate limits will not outlive this process: %s\n", error);
    return limiter_open(fd);
}

/* Without it signatures that were accepted before a restart could be used again until they are too
 * old. */
static struct replay *open_replay(struct manager *m)
{
    char error[LINK_ERROR_SIZE] = "no memory";
    int fd = -1;

    if (link_memory(m->options.link, STR(REPLAY_MEMORY_NAME), REPLAY_SIZE, &fd, error))
        fprintf(stderr,
                "sluice: edge: what is known of signed requests will not outlive this "
                "process: %s\n",
                error);
    return replay_open(fd);
}

/* A filter names keys that are not known: the manager is woken to read them. */
static void wake_manager(void *owner)
{
    struct manager *m = owner;

    mailbox_wake(&m->home);
}

static bool open_keys(struct manager *m)
{
    const char *error;
    struct key_ring *ring;

    m->key_store = key_store_new(m->worker_count);
    if (!m->key_store)
        return false;
    m->key_book = key_book_open(m->state_dir, &error);
    if (error)
        fprintf(stderr, "sluice: edge: %s\n", error);
    ring = m->key_book ? key_book_ring(m->key_book) : NULL;
    if (!ring)
        return false;
    cell_write(&m->key_store->ring, ring);
    m->key_store->wake = wake_manager;
    m->key_store->owner = m;
    m->keys = keys_open(&m->loop.uv, m->key_store);
    return m->keys != NULL;
}

bool manager_open_stores(struct manager *m)
{
    m->limiter = open_limiter(m);
    m->replay = open_replay(m);
    m->dicts = dict_open(DICTS_SIZE);
    m->shield = shield_new();
    if (!m->limiter || !m->replay || !m->dicts || !m->shield)
        return false;
    shield_set(m->shield, overlay_shield(m->overlay));
    return open_keys(m);
}

struct filter_env manager_env(const struct manager *m)
{
    return (struct filter_env){
        .workers = m->worker_count,
        .limiter = m->limiter,
        .replay = m->replay,
        .keys = m->key_store,
        .shield = m->shield,
        .dicts = m->dicts,
    };
}

/* The reason is told anew when it becomes another one while limits are degraded. */
static void tell_shared(struct manager *m)
{
    bool is_degraded = manager_shared(m) == SHARED_DEGRADED;
    char text[NOTE_MAX + 1];
    struct str reason = is_degraded ? manager_shared_reason(m, text) : STR("");
    json_t *json;
    char *said;

    if (is_degraded == m->was_degraded && (!reason.len || !strcmp(reason.p, m->degraded_why)))
        return;
    m->was_degraded = is_degraded;
    snprintf(m->degraded_why, sizeof(m->degraded_why), "%.*s", STR_FMT(reason));
    json = json_pack("{s:s}", "shared", is_degraded ? "degraded" : "up");
    if (reason.len)
        json_object_set_new(json, "reason", json_stringn(reason.p, reason.len));
    said = json_dumps(json, JSON_COMPACT);
    if (said)
        admin_event(m->admin, "limit", "%s", said);
    free(said);
    json_decref(json);
}

void manager_tick_stores(struct manager *m)
{
    keys_tick(m->keys);
    tell_shared(m);
}
