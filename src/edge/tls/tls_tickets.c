/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_tickets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MAGIC = 0x534c5401, /* "SLT" and the version */
    WORDS = sizeof(struct tls_tickets_key) / sizeof(uint64_t),
    STUCK_MS = 10000, /* whoever turned for so long has died */
    SPINS = 16,       /* of a reader that meets a change, before it lets others run */
    TRIES = 1000,     /* until it goes on: whoever made the change has died in its midst */
};

enum place { PREVIOUS, CURRENT, NEXT, PLACES };

/* As it lies in the memory; all words are atomic. */
struct block {
    uint32_t magic;    /* 0: not filled yet; written last */
    uint32_t sequence; /* odd while keys change */
    uint64_t turning;  /* Unix ms since when somebody rotates; 0: nobody */
    uint64_t rotated;  /* Unix ms of the last rotation */
    uint64_t keys[PLACES][WORDS];
};

struct tls_tickets {
    struct block *block;
};

_Static_assert(sizeof(struct block) <= TLS_TICKETS_SIZE, "fits");
_Static_assert(sizeof(struct tls_tickets_key) % sizeof(uint64_t) == 0, "is whole words");

/* RELEASE beside ACQUIRE: whoever reads a new word sees the odd count that was set before it. */
static void store_key(uint64_t *to, const uint64_t *words)
{
    for (unsigned i = 0; i < WORDS; i++)
        __atomic_store_n(&to[i], words[i], __ATOMIC_RELEASE);
}

static void load_key(const uint64_t *from, uint64_t *words)
{
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
}

/* --- changing */

/* One at a time, over all processes. A word that was left by a process that died is taken over. */
static bool take_turn(struct block *block, uint64_t now_ms)
{
    uint64_t since = __atomic_load_n(&block->turning, __ATOMIC_RELAXED);
    bool is_stuck = since && (now_ms > since + STUCK_MS || now_ms + STUCK_MS < since);

    if (since && !is_stuck)
        return false;
    return __atomic_compare_exchange_n(&block->turning, &since, now_ms ? now_ms : 1, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void give_turn(struct block *block)
{
    __atomic_store_n(&block->turning, 0, __ATOMIC_RELEASE);
}

/* A process that died in the midst of it left an odd count: then it stays odd until the end. */
static void begin_change(struct block *block)
{
    uint32_t sequence = __atomic_load_n(&block->sequence, __ATOMIC_RELAXED);

    __atomic_store_n(&block->sequence, sequence | 1, __ATOMIC_RELAXED);
}

static void end_change(struct block *block)
{
    uint32_t sequence = __atomic_load_n(&block->sequence, __ATOMIC_RELAXED);

    __atomic_store_n(&block->sequence, sequence + 1, __ATOMIC_RELEASE);
}

static bool fill(struct block *block, enum place place)
{
    uint64_t words[WORDS];
    bool is_good = RAND_priv_bytes((unsigned char *)words, sizeof(words)) == 1;

    if (is_good)
        store_key(block->keys[place], words);
    OPENSSL_cleanse(words, sizeof(words));
    return is_good;
}

static bool rotate(struct block *block)
{
    uint64_t fresh[WORDS], words[WORDS];

    if (RAND_priv_bytes((unsigned char *)fresh, sizeof(fresh)) != 1)
        return false; // the key that is there goes on
    begin_change(block);
    load_key(block->keys[CURRENT], words);
    store_key(block->keys[PREVIOUS], words);
    load_key(block->keys[NEXT], words);
    store_key(block->keys[CURRENT], words);
    store_key(block->keys[NEXT], fresh);
    end_change(block);
    OPENSSL_cleanse(fresh, sizeof(fresh));
    OPENSSL_cleanse(words, sizeof(words));
    return true;
}

/* The first process that maps it. */
static bool begin(struct block *block, uint64_t now_ms)
{
    bool is_good = true;

    if (__atomic_load_n(&block->magic, __ATOMIC_ACQUIRE) == MAGIC)
        return true;
    if (!take_turn(block, now_ms))
        return true; // another process fills it: its keys are there in a moment
    if (__atomic_load_n(&block->magic, __ATOMIC_ACQUIRE) != MAGIC) {
        begin_change(block);
        for (unsigned i = 0; is_good && i < PLACES; i++)
            is_good = fill(block, i);
        __atomic_store_n(&block->rotated, now_ms, __ATOMIC_RELAXED);
        end_change(block);
        __atomic_store_n(&block->magic, is_good ? MAGIC : 0, __ATOMIC_RELEASE);
    }
    give_turn(block);
    return is_good;
}

struct tls_tickets *tls_tickets_open(int fd, uint64_t wall_ms)
{
    struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, TLS_TICKETS_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (fd >= 0)
        close(fd);
    if (tickets && memory != MAP_FAILED) {
        madvise(memory, TLS_TICKETS_SIZE, MADV_DONTDUMP);
        tickets->block = memory;
        if (begin(tickets->block, wall_ms))
            return tickets;
    }
    if (memory != MAP_FAILED)
        munmap(memory, TLS_TICKETS_SIZE);
    free(tickets);
    return NULL;
}

void tls_tickets_close(struct tls_tickets **tickets)
{
    struct tls_tickets *gone = *tickets;

    *tickets = NULL;
    if (!gone)
        return;
    munmap(gone->block, TLS_TICKETS_SIZE);
    free(gone);
}

/* How many rotations are due; a clock that was set back is no reason to wait for it. */
static unsigned count_due(const struct block *block, uint64_t now_ms, uint64_t rotation_ms)
{
    uint64_t since = __atomic_load_n(&block->rotated, __ATOMIC_ACQUIRE);
    uint64_t passed = now_ms > since ? now_ms - since : 0;

    if (!rotation_ms)
        return 0;
    if (since > now_ms + rotation_ms)
        return 1;
    return passed >= 2 * rotation_ms ? 2 : passed >= rotation_ms;
}

bool tls_tickets_tick(struct tls_tickets *tickets, uint64_t wall_ms, uint64_t rotation_ms)
{
    struct block *block = tickets->block;
    unsigned due = count_due(block, wall_ms, rotation_ms);
    bool has_rotated = false;

    if (__atomic_load_n(&block->magic, __ATOMIC_ACQUIRE) != MAGIC)
        return begin(block, wall_ms); // whoever was to fill it has died
    if (!due || !take_turn(block, wall_ms))
        return false;
    for (due = count_due(block, wall_ms, rotation_ms); due; due--)
        has_rotated |= rotate(block); // another process may have been faster
    if (has_rotated)
        __atomic_store_n(&block->rotated, wall_ms, __ATOMIC_RELEASE);
    give_turn(block);
    return has_rotated;
}

/* --- reading */

/* False: there are no keys yet. Keys of which half is old are keys that nobody else has: what they
 * seal is not opened, and the client does a full handshake. */
static bool copy(const struct block *block, uint64_t words[PLACES][WORDS])
{
    uint32_t before, after;
    unsigned tries = 0;

    if (__atomic_load_n(&block->magic, __ATOMIC_ACQUIRE) != MAGIC)
        return false;
    do {
        if (tries > SPINS)
            sched_yield();
        before = __atomic_load_n(&block->sequence, __ATOMIC_ACQUIRE);
        for (unsigned i = 0; i < PLACES; i++)
            load_key(block->keys[i], words[i]);
        after = __atomic_load_n(&block->sequence, __ATOMIC_RELAXED);
    } while ((before != after || before & 1) && ++tries < TRIES);
    return true;
}

bool tls_tickets_current(const struct tls_tickets *tickets, struct tls_tickets_key *key)
{
    uint64_t words[PLACES][WORDS];

    if (!copy(tickets->block, words))
        return false;
    memcpy(key, words[CURRENT], sizeof(*key));
    OPENSSL_cleanse(words, sizeof(words));
    return true;
}

enum tls_tickets_age tls_tickets_find(const struct tls_tickets *tickets, const unsigned char *name,
                                      struct tls_tickets_key *key)
{
    uint64_t words[PLACES][WORDS];
    enum tls_tickets_age age = TLS_TICKETS_UNKNOWN;

    if (!copy(tickets->block, words))
        return age;
    for (unsigned i = 0; i < PLACES && age == TLS_TICKETS_UNKNOWN; i++) {
        if (memcmp(words[i], name, TLS_TICKETS_NAME) != 0)
            continue;
        memcpy(key, words[i], sizeof(*key));
        age = i == PREVIOUS ? TLS_TICKETS_OLD : TLS_TICKETS_FRESH;
    }
    OPENSSL_cleanse(words, sizeof(words));
    return age;
}
