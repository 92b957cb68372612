/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/script/dict.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SHARDS = 32, BUCKETS = 1024 };

/* A list through its shard, the one used last first; beside it, one through its bucket. */
struct entry {
    struct entry *newer, *older, *next;
    uint64_t hash, dies_ms; /* 0: never */
    double number;
    uint32_t key_len, text_len;
    bool is_number;
    char bytes[]; /* key, then text */
};

struct shard {
    pthread_mutex_t lock;
    struct entry *newest, *oldest;
    size_t used;
    struct entry *buckets[BUCKETS];
};

struct dict_store {
    size_t limit; /* bytes of a shard */
    uint64_t seed;
    struct shard shards[SHARDS];
};

/* What is looked for, and in which shard; held until leave(). */
struct place {
    struct shard *shard;
    struct entry **bucket;
    struct str key;
    uint64_t hash, now_ms;
    struct entry *dead; /* taken out: freed once the lock is let go */
};

static size_t size_of(const struct entry *entry)
{
    return sizeof(*entry) + entry->key_len + entry->text_len;
}

/* --- one shard, locked */

static void unlink_use(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void link_use(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

static void take_out(struct place *place, struct entry *entry)
{
    struct entry **at = &place->shard->buckets[entry->hash / SHARDS % BUCKETS];

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    unlink_use(place->shard, entry);
    place->shard->used -= size_of(entry);
    entry->next = place->dead;
    place->dead = entry;
}

static void put_in(struct place *place, struct entry *entry)
{
    entry->next = *place->bucket;
    *place->bucket = entry;
    link_use(place->shard, entry);
    place->shard->used += size_of(entry);
}

static void make_room(struct place *place, size_t need, size_t limit)
{
    while (place->shard->oldest && place->shard->used + need > limit)
        take_out(place, place->shard->oldest);
}

static struct place enter(struct dict_store *store, struct str key, uint64_t now_ms)
{
    uint64_t hash = XXH3_64bits_withSeed(key.p, key.len, store->seed);
    struct shard *shard = &store->shards[hash % SHARDS];
    struct place place = {.shard = shard,
                          .bucket = &shard->buckets[hash / SHARDS % BUCKETS],
                          .key = key,
                          .hash = hash,
                          .now_ms = now_ms};

    pthread_mutex_lock(&shard->lock);
    return place;
}

static void leave(struct place *place)
{
    pthread_mutex_unlock(&place->shard->lock);
    while (place->dead) {
        struct entry *next = place->dead->next;

        free(place->dead);
        place->dead = next;
    }
}

/* The one that lives; what is past its time goes. */
static struct entry *find(struct place *place)
{
    struct entry *entry = *place->bucket;

    while (entry && (entry->hash != place->hash ||
                     !str_same(place->key, (struct str){entry->bytes, entry->key_len})))
        entry = entry->next;
    if (!entry || !entry->dies_ms || place->now_ms < entry->dies_ms)
        return entry;
    take_out(place, entry);
    return NULL;
}

/* --- public */

struct dict_store *dict_open(size_t bytes)
{
    struct dict_store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->limit = bytes / SHARDS;
    if (getrandom(&store->seed, sizeof(store->seed), 0) < 0)
        store->seed = (uintptr_t)store;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&store->shards[i].lock, NULL);
    return store;
}

void dict_close(struct dict_store **store)
{
    for (size_t i = 0; *store && i < SHARDS; i++) {
        struct shard *shard = &(*store)->shards[i];

        while (shard->newest) {
            struct entry *older = shard->newest->older;

            free(shard->newest);
            shard->newest = older;
        }
        pthread_mutex_destroy(&shard->lock);
    }
    free(*store);
    *store = NULL;
}

enum status dict_get(struct dict_store *store, struct str key, uint64_t now_ms, char *room,
                     struct dict_value *value)
{
    struct place place = enter(store, key, now_ms);
    struct entry *entry = find(&place);

    if (entry) {
        unlink_use(place.shard, entry);
        link_use(place.shard, entry);
        memcpy(room, entry->bytes + entry->key_len, entry->text_len);
        *value = (struct dict_value){entry->is_number, entry->number, {room, entry->text_len}};
    }
    leave(&place);
    return entry ? OK : E_NOT_FOUND;
}

static struct entry *make(const struct dict_write *write, uint64_t hash)
{
    const struct dict_value *value = &write->value;
    size_t text_len = value->is_number ? 0 : value->text.len;
    struct entry *entry = malloc(sizeof(*entry) + write->key.len + text_len);

    if (!entry)
        return NULL;
    *entry = (struct entry){.hash = hash,
                            .dies_ms = write->ttl_ms ? write->now_ms + write->ttl_ms : 0,
                            .number = value->is_number ? value->number : 0,
                            .key_len = (uint32_t)write->key.len,
                            .text_len = (uint32_t)text_len,
                            .is_number = value->is_number};
    memcpy(entry->bytes, write->key.p, write->key.len);
    if (text_len)
        memcpy(entry->bytes + write->key.len, value->text.p, text_len);
    return entry;
}

static bool is_allowed(const struct dict_store *store, const struct dict_write *write)
{
    return write->key.len <= DICT_KEY_MAX && write->value.text.len <= DICT_VALUE_MAX &&
           write->key.len + write->value.text.len + sizeof(struct entry) <= store->limit;
}

enum status dict_set(struct dict_store *store, const struct dict_write *write)
{
    struct entry *fresh, *old;
    struct place place;

    if (!is_allowed(store, write))
        return E_INVALID;
    fresh = make(write, XXH3_64bits_withSeed(write->key.p, write->key.len, store->seed));
    if (!fresh)
        return E_NOMEM;
    place = enter(store, write->key, write->now_ms);
    old = find(&place);
    if (old && write->only_new) {
        leave(&place);
        free(fresh);
        return E_CONFLICT;
    }
    if (old)
        take_out(&place, old);
    make_room(&place, size_of(fresh), store->limit);
    put_in(&place, fresh);
    leave(&place);
    return OK;
}

/* Within the lock, of a few bytes: two that add at once must not both begin. */
static enum status begin(const struct dict_store *store, struct place *place,
                         const struct dict_write *write)
{
    struct entry *fresh = make(write, place->hash);

    if (!fresh)
        return E_NOMEM;
    make_room(place, size_of(fresh), store->limit);
    put_in(place, fresh);
    return OK;
}

enum status dict_add(struct dict_store *store, const struct dict_write *write, double *sum)
{
    struct place place;
    struct entry *entry;
    enum status status = OK;

    if (!is_allowed(store, write))
        return E_INVALID;
    place = enter(store, write->key, write->now_ms);
    entry = find(&place);
    if (!entry) {
        status = begin(store, &place, write);
        *sum = write->value.number;
    } else if (!entry->is_number) {
        status = E_CONFLICT;
    } else {
        unlink_use(place.shard, entry);
        link_use(place.shard, entry);
        *sum = entry->number += write->value.number;
    }
    leave(&place);
    return status;
}

bool dict_remove(struct dict_store *store, struct str key, uint64_t now_ms)
{
    struct place place = enter(store, key, now_ms);
    struct entry *entry = find(&place);

    if (entry)
        take_out(&place, entry);
    leave(&place);
    return entry != NULL;
}

size_t dict_used(struct dict_store *store)
{
    size_t used = 0;

    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&store->shards[i].lock);
        used += store->shards[i].used;
        pthread_mutex_unlock(&store->shards[i].lock);
    }
    return used;
}
