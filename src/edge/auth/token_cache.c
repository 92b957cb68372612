/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/token_cache.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/text.h"

enum {
    SETS = 512,
    WAYS = 4,
    BYTES_MAX = 4 * 1024 * 1024, /* a worker */
    SECRET_SIZE = 192,
};

struct entry {
    uint64_t hash;
    uint64_t rules, keys;
    struct str token;
    struct jwt jwt;
    size_t size; /* bytes of `block` */
    void *block; /* holds all of the above texts; NULL: free */
};

struct token_cache {
    struct entry sets[SETS][WAYS];
    size_t bytes;
    unsigned next; /* way that goes next, where all are taken */
    unsigned hand; /* entry that goes next, where bytes are short */
    uint8_t secret[SECRET_SIZE];
};

struct token_cache *token_cache_new(void)
{
    struct token_cache *cache = calloc(1, sizeof(*cache));

    if (cache && RAND_bytes(cache->secret, sizeof(cache->secret)) == 1)
        return cache;
    free(cache);
    return NULL;
}

static void drop(struct token_cache *cache, struct entry *entry)
{
    if (!entry->block)
        return;
    cache->bytes -= entry->size;
    OPENSSL_cleanse(entry->block, entry->size);
    free(entry->block);
    *entry = (struct entry){.block = NULL};
}

void token_cache_free(struct token_cache **cache)
{
    struct token_cache *gone = *cache;

    *cache = NULL;
    if (!gone)
        return;
    for (unsigned i = 0; i < SETS * WAYS; i++)
        drop(gone, &gone->sets[i / WAYS][i % WAYS]);
    OPENSSL_cleanse(gone->secret, sizeof(gone->secret));
    free(gone);
}

static uint64_t hash_of(const struct token_cache *cache, const struct token_key *key)
{
    return XXH3_64bits_withSecret(key->token.p, key->token.len, cache->secret, SECRET_SIZE) ^
           key->rules * 0x9e3779b97f4a7c15U;
}

static struct entry *find(struct token_cache *cache, const struct token_key *key, uint64_t hash)
{
    struct entry *set = cache->sets[hash % SETS];

    for (unsigned way = 0; way < WAYS; way++)
        if (set[way].block && set[way].hash == hash && set[way].rules == key->rules &&
            str_same(set[way].token, key->token))
            return &set[way];
    return NULL;
}

const struct jwt *token_cache_find(struct token_cache *cache, const struct token_key *key,
                                   uint64_t now_ms)
{
    struct entry *entry = find(cache, key, hash_of(cache, key));

    if (!entry)
        return NULL;
    if (entry->keys == key->keys && now_ms < entry->jwt.ends_ms)
        return &entry->jwt;
    drop(cache, entry);
    return NULL;
}

static size_t size_of(const struct token_key *key, const struct jwt *jwt, uint32_t forwards)
{
    size_t size =
        forwards * sizeof(struct str) + key->token.len + jwt->claims.len + jwt->subject.len + 1;

    for (uint32_t i = 0; i < forwards; i++)
        size += jwt->forward[i].len;
    return size;
}

static struct str copy(char **at, struct str text)
{
    struct str out = {text.p ? *at : NULL, text.len};

    *at = text_put(*at, text);
    return out;
}

static void fill(struct entry *entry, const struct token_key *key, const struct jwt *jwt,
                 uint32_t forwards)
{
    struct str *values = entry->block;
    char *at = (char *)(values + forwards);

    entry->rules = key->rules;
    entry->keys = key->keys;
    entry->token = copy(&at, key->token);
    entry->jwt = (struct jwt){.claims = copy(&at, jwt->claims),
                              .subject = copy(&at, jwt->subject),
                              .forward = values,
                              .ends_ms = jwt->ends_ms};
    for (uint32_t i = 0; i < forwards; i++)
        values[i] = copy(&at, jwt->forward[i]);
}

/* A place for the hash: a free one, else the one whose turn it is. */
static struct entry *make_place(struct token_cache *cache, uint64_t hash)
{
    struct entry *set = cache->sets[hash % SETS], *entry;

    for (unsigned way = 0; way < WAYS; way++)
        if (!set[way].block)
            return &set[way];
    entry = &set[cache->next++ % WAYS];
    drop(cache, entry);
    return entry;
}

void token_cache_put(struct token_cache *cache, const struct token_key *key, const struct jwt *jwt,
                     uint32_t forwards)
{
    uint64_t hash = hash_of(cache, key);
    size_t size = size_of(key, jwt, forwards);
    struct entry *entry = find(cache, key, hash);

    if (size > BYTES_MAX / 16)
        return;
    if (entry)
        drop(cache, entry);
    while (cache->bytes + size > BYTES_MAX) {
        unsigned hand = cache->hand++ % (SETS * WAYS);

        drop(cache, &cache->sets[hand / WAYS][hand % WAYS]);
    }
    entry = make_place(cache, hash);
    entry->block = malloc(size);
    if (!entry->block)
        return;
    entry->size = size;
    cache->bytes += size;
    entry->hash = hash;
    fill(entry, key, jwt, forwards);
}
