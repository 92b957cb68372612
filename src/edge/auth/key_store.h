/* SPDX-License-Identifier: Apache-2.0
 *
 * Where keys come from: files and URLs, each known by its name, shared by all filters that name it
 * and by the configurations that follow each other, so that a reload has its keys at once. The
 * manager reads and fetches them, workers verify with them. Also what each worker has of its own: a
 * cache of tokens, a desk for passwords. One a process.
 */
#ifndef EDGE_AUTH_KEY_STORE_H
#define EDGE_AUTH_KEY_STORE_H

#include <pthread.h>

#include "edge/auth/cell.h"
#include "edge/auth/jwks.h"
#include "edge/auth/key_ring.h"
#include "edge/auth/password_desk.h"
#include "edge/auth/token_cache.h"

enum { KEY_SOURCE_PROBLEM = 200 };

struct key_source {
    struct key_source *next;
    unsigned refs; /* under the store's lock */
    char *name;    /* path or URL */
    bool is_url;
    struct cell keys;    /* of struct jwks */
    uint32_t is_missing; /* atomic: a worker saw a key that is not there; the manager clears it */
    uint64_t serial;     /* of the last set */
    /* the manager's */
    bool is_busy;                       /* being read */
    uint64_t due_ms, asked_ms, good_ms; /* monotonic: next reading, the last, the last good one */
    unsigned failures;                  /* since the last good one */
    uint64_t signature[4];              /* of a file: what tells one state from another */
    char problem[KEY_SOURCE_PROBLEM];   /* of the last reading; empty: none */
};

struct key_store {
    pthread_mutex_t lock; /* of the list and of refs: never held while anything is read */
    struct key_source *sources;
    struct cell ring; /* of struct key_ring: API keys made at run time; the manager writes */
    unsigned workers;
    uint64_t last_rules;          /* under the lock */
    struct token_cache **caches;  /* of each worker */
    struct password_desk **desks; /* of each worker */
    void (*wake)(void *owner);    /* a source has come; any thread */
    void *owner;
};

/* NULL: memory. Then `wake` and `owner` are set. */
struct key_store *key_store_new(unsigned workers);
/* No worker asks any more; while a filter has a source, all stays. Clears the pointer; it may be
 * NULL. */
void key_store_free(struct key_store **store);

/* The source of that name, a reference; a new one begins with `first`, which is taken over in any
 * case and may be NULL. NULL: memory. Any thread. */
struct key_source *key_store_take(struct key_store *store, struct str name, bool is_url,
                                  struct jwks *first);
/* The first source that `is_due`, a reference; NULL: none. The manager's thread. */
struct key_source *key_store_pick(struct key_store *store,
                                  bool (*is_due)(struct key_source *source, void *owner),
                                  void *owner);
/* Calls `look` with each source, under the lock: it is to be short. The manager's thread. */
void key_store_each(struct key_store *store,
                    void (*look)(const struct key_source *source, void *owner), void *owner);
/* Gives it back. Clears the pointer; it may be NULL. Any thread. */
void key_store_drop(struct key_store *store, struct key_source **source);
/* A number for a filter's rules, never 0 and never given twice. Any thread. */
uint64_t key_store_rules(struct key_store *store);

/* The manager's thread: takes `keys` over as what workers verify with from now on. */
void key_source_set(struct key_source *source, struct jwks *keys);

/* The worker's cache, made when it is first asked for. NULL: memory. That worker's thread. */
struct token_cache *key_store_cache(struct key_store *store, unsigned worker);
/* The same of its desk for passwords. */
struct password_desk *key_store_desk(struct key_store *store, struct loop *loop, unsigned worker);

#endif
