/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/health_memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A key's word lies within so many places from where it belongs. */
enum { REACH = 16, STATE_BITS = 3 };

struct health_memory {
    uint64_t *words; /* atomic: key without its lowest bits, and the state there; 0: free */
};

struct health_memory *health_memory_open(int fd)
{
    struct health_memory *memory = malloc(sizeof(*memory));
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *words =
        memory ? mmap(NULL, HEALTH_MEMORY_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (words == MAP_FAILED) {
        free(memory);
        return NULL;
    }
    memory->words = words;
    return memory;
}

void health_memory_close(struct health_memory **memory)
{
    if (*memory)
        munmap((*memory)->words, HEALTH_MEMORY_SIZE);
    free(*memory);
    *memory = NULL;
}

uint64_t health_memory_key(struct str service, struct str id, struct str address)
{
    uint64_t key = XXH3_64bits(service.p, service.len);

    key = XXH3_64bits_withSeed(id.p, id.len, key);
    return XXH3_64bits_withSeed(address.p, address.len, key);
}

static uint64_t *place(const struct health_memory *memory, uint64_t key, unsigned i)
{
    return &memory->words[((key >> STATE_BITS) + i) % HEALTH_MEMORY_WORDS];
}

/* The word of a key; NULL: it has none. */
static uint64_t *find(const struct health_memory *memory, uint64_t key)
{
    for (unsigned i = 0; i < REACH; i++) {
        uint64_t word = __atomic_load_n(place(memory, key, i), __ATOMIC_RELAXED);

        if (word && word >> STATE_BITS == key >> STATE_BITS)
            return place(memory, key, i);
    }
    return NULL;
}

enum health_state health_memory_get(const struct health_memory *memory, uint64_t key)
{
    const uint64_t *word = memory ? find(memory, key) : NULL;
    uint64_t bits = word ? __atomic_load_n(word, __ATOMIC_RELAXED) : 0;

    switch (bits & ((1 << STATE_BITS) - 1)) {
    case HEALTH_UP:
        return HEALTH_UP;
    case HEALTH_DOWN:
        return HEALTH_DOWN;
    default:
        return HEALTH_UNKNOWN;
    }
}

static uint64_t *find_free(const struct health_memory *memory, uint64_t key)
{
    for (unsigned i = 0; i < REACH; i++)
        if (!__atomic_load_n(place(memory, key, i), __ATOMIC_RELAXED))
            return place(memory, key, i);
    return NULL;
}

void health_memory_put(struct health_memory *memory, uint64_t key, enum health_state state)
{
    uint64_t *word = memory ? find(memory, key) : NULL;
    uint64_t bits = state == HEALTH_UNKNOWN ? 0 : (key >> STATE_BITS << STATE_BITS) | state;

    if (memory && !word && bits)
        word = find_free(memory, key);
    if (word)
        __atomic_store_n(word, bits, __ATOMIC_RELAXED);
}
