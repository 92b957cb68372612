/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/key_store.h"

#include <stdlib.h>
#include <string.h>

static void free_keys(void *keys)
{
    jwks_free(keys);
}

static void free_ring(void *ring)
{
    key_ring_free(ring);
}

struct key_store *key_store_new(unsigned workers)
{
    struct key_store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->workers = workers;
    store->caches = calloc(workers + 1, sizeof(struct token_cache *));
    store->desks = calloc(workers + 1, sizeof(struct password_desk *));
    if (store->caches && store->desks && !cell_init(&store->ring, workers, free_ring) &&
        !pthread_mutex_init(&store->lock, NULL))
        return store;
    free(store->desks);
    free(store->caches);
    free(store);
    return NULL;
}

void key_store_free(struct key_store **store)
{
    struct key_store *gone = *store;

    *store = NULL;
    if (!gone || gone->sources)
        return;
    for (unsigned w = 0; w < gone->workers; w++) {
        token_cache_free(&gone->caches[w]);
        password_desk_free(&gone->desks[w]);
    }
    cell_fini(&gone->ring);
    free(gone->desks);
    free(gone->caches);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

/* --- sources */

static struct key_source *find(const struct key_store *store, struct str name)
{
    for (struct key_source *source = store->sources; source; source = source->next)
        if (str_same(name, (struct str){source->name, strlen(source->name)}))
            return source;
    return NULL;
}

static struct key_source *new_source(struct key_store *store, struct str name, bool is_url)
{
    struct key_source *source = calloc(1, sizeof(*source));

    if (!source)
        return NULL;
    source->name = strndup(name.p, name.len);
    source->is_url = is_url;
    if (source->name && !cell_init(&source->keys, store->workers, free_keys)) {
        source->next = store->sources;
        store->sources = source;
        return source;
    }
    free(source->name);
    free(source);
    return NULL;
}

struct key_source *key_store_take(struct key_store *store, struct str name, bool is_url,
                                  struct jwks *first)
{
    struct key_source *source;

    pthread_mutex_lock(&store->lock);
    source = find(store, name);
    if (!source) {
        source = new_source(store, name, is_url);
        if (source && first) {
            key_source_set(source, first);
            first = NULL;
        }
    }
    if (source)
        source->refs++;
    pthread_mutex_unlock(&store->lock);
    jwks_free(first);
    if (source && store->wake)
        store->wake(store->owner);
    return source;
}

struct key_source *key_store_pick(struct key_store *store,
                                  bool (*is_due)(struct key_source *source, void *owner),
                                  void *owner)
{
    struct key_source *source;

    pthread_mutex_lock(&store->lock);
    for (source = store->sources; source && !is_due(source, owner);)
        source = source->next;
    if (source)
        source->refs++;
    pthread_mutex_unlock(&store->lock);
    return source;
}

void key_store_each(struct key_store *store,
                    void (*look)(const struct key_source *source, void *owner), void *owner)
{
    pthread_mutex_lock(&store->lock);
    for (const struct key_source *source = store->sources; source; source = source->next)
        look(source, owner);
    pthread_mutex_unlock(&store->lock);
}

void key_store_drop(struct key_store *store, struct key_source **source)
{
    struct key_source *gone = *source;
    bool is_last;

    *source = NULL;
    if (!gone)
        return;
    pthread_mutex_lock(&store->lock);
    is_last = !--gone->refs;
    for (struct key_source **at = &store->sources; is_last && *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    pthread_mutex_unlock(&store->lock);
    if (!is_last)
        return;
    cell_fini(&gone->keys);
    free(gone->name);
    free(gone);
}

uint64_t key_store_rules(struct key_store *store)
{
    uint64_t number;

    pthread_mutex_lock(&store->lock);
    number = ++store->last_rules;
    pthread_mutex_unlock(&store->lock);
    return number;
}

void key_source_set(struct key_source *source, struct jwks *keys)
{
    keys->serial = ++source->serial;
    cell_write(&source->keys, keys);
}

struct token_cache *key_store_cache(struct key_store *store, unsigned worker)
{
    if (!store->caches[worker])
        store->caches[worker] = token_cache_new();
    return store->caches[worker];
}

struct password_desk *key_store_desk(struct key_store *store, struct loop *loop, unsigned worker)
{
    if (!store->desks[worker])
        store->desks[worker] = password_desk_new(loop);
    return store->desks[worker];
}
