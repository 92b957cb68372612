/* SPDX-License-Identifier: Apache-2.0
 *
 * A slot is a sequence lock: its number is odd while it is written. Texts are copied in words, each
 * by itself atomic, so that a reader that comes in between reads nonsense and not undefined bytes,
 * and sees by the number that it did.
 */
#include "edge/metric/trail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { WORDS = TRAIL_TEXT_MAX / sizeof(uint64_t) };

struct slot {
    uint64_t number; /* odd: being written */
    uint64_t id;     /* hash; 0: free */
    uint64_t when;
    uint64_t len;
    uint64_t words[WORDS];
};

struct trail {
    uint64_t count; /* kept so far; the worker's */
    uint32_t next[TRAIL_KINDS];
    struct slot slots[TRAIL_KINDS][TRAIL_KEPT];
};

/* What is loaded later is not older; what was stored before is seen no later. */
static uint64_t load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *at, uint64_t value)
{
    __atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static uint64_t hash(struct str id)
{
    uint64_t found = XXH3_64bits(id.p, id.len);

    return found ? found : 1;
}

struct trail *trail_new(void)
{
    return calloc(1, sizeof(struct trail));
}

void trail_free(struct trail **trail)
{
    free(*trail);
    *trail = NULL;
}

void trail_keep(struct trail *trail, enum trail_kind kind, struct str id, struct str text)
{
    struct slot *slot = &trail->slots[kind][trail->next[kind]];
    uint64_t word;

    assert(text.len <= TRAIL_TEXT_MAX);
    trail->next[kind] = (trail->next[kind] + 1) % TRAIL_KEPT;
    store(&slot->number, slot->number + 1);
    store(&slot->id, hash(id));
    store(&slot->when, ++trail->count);
    store(&slot->len, text.len);
    for (size_t at = 0; at < text.len; at += sizeof(word)) {
        size_t left = text.len - at;

        word = 0;
        memcpy(&word, text.p + at, left < sizeof(word) ? left : sizeof(word));
        store(&slot->words[at / sizeof(word)], word);
    }
    store(&slot->number, slot->number + 1);
}

/* The text if the slot has not changed meanwhile. */
static struct str read_slot(const struct slot *slot, uint64_t id, char *out, uint64_t *when)
{
    uint64_t number = load(&slot->number), len, word;
    bool is_it = !(number & 1) && load(&slot->id) == id;

    if (!is_it)
        return STR_NONE;
    *when = load(&slot->when);
    len = load(&slot->len);
    for (size_t i = 0; i < WORDS && i * sizeof(word) < len; i++) {
        word = load(&slot->words[i]);
        memcpy(out + i * sizeof(word), &word, sizeof(word));
    }
    return load(&slot->number) == number ? (struct str){out, len} : STR_NONE;
}

struct str trail_find(const struct trail *trail, struct str id, char *out, uint64_t *when)
{
    const struct slot *newest = NULL, *slots = trail->slots[0];
    uint64_t wanted = hash(id), best = 0;

    for (size_t i = 0; i < (size_t)TRAIL_KINDS * TRAIL_KEPT; i++)
        if (load(&slots[i].id) == wanted && load(&slots[i].when) > best) {
            newest = &slots[i];
            best = load(&slots[i].when);
        }
    return newest ? read_slot(newest, wanted, out, when) : STR_NONE;
}
