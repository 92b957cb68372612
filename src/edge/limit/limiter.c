/* SPDX-License-Identifier: Apache-2.0
 *
 * A slot is two words that change apart from each other. The fingerprint is claimed by a
 * compare-and-swap; the TAT that the last owner left is not after now, and so right for the new
 * one. Who charges a slot looks afterwards whether it is still its own, and if not, begins again.
 */
#include "edge/limit/limiter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    HEADER = 4096, /* bytes */
    LINE = 64,
    SLOTS = 4,
    LINES = (LIMITER_SIZE - HEADER) / LINE,
    SECRET_WORDS = 24,
};

struct slot {
    uint64_t print, tat_ns; /* atomic both */
};

struct line {
    struct slot slots[SLOTS];
};

_Static_assert(sizeof(struct line) == LINE, "a line of the cache");
_Static_assert(SECRET_WORDS * sizeof(uint64_t) >= XXH3_SECRET_SIZE_MIN, "as long as XXH3 wants it");

struct memory {
    uint64_t secret[SECRET_WORDS]; /* atomic; 0: not made yet */
    char rest[HEADER - SECRET_WORDS * sizeof(uint64_t)];
    struct line lines[LINES];
};

_Static_assert(sizeof(struct memory) == LIMITER_SIZE, "no byte more");

struct count {
    _Alignas(LINE) uint64_t evicted, trials; /* by one worker */
};

struct limiter {
    struct memory *memory;
    uint64_t secret[SECRET_WORDS];
    struct count counts[STAT_WORKERS_MAX];
};

/* --- the memory */

/* Whichever process is first makes a word, and all use what is there then: one that dies half-way
 * leaves nothing wrong. */
static bool agree_on_secret(struct limiter *limiter)
{
    uint64_t fresh[SECRET_WORDS];

    if (getrandom(fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
        return false;
    for (unsigned i = 0; i < SECRET_WORDS; i++) {
        uint64_t none = 0;

        fresh[i] |= 1;
        if (__atomic_compare_exchange_n(&limiter->memory->secret[i], &none, fresh[i], false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            none = fresh[i];
        limiter->secret[i] = none;
    }
    return true;
}

struct limiter *limiter_open(int fd)
{
    struct limiter *limiter = aligned_alloc(LINE, sizeof(*limiter));
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory =
        limiter ? mmap(NULL, LIMITER_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (memory == MAP_FAILED) {
        free(limiter);
        return NULL;
    }
    memset(limiter, 0, sizeof(*limiter));
    limiter->memory = memory;
    if (!agree_on_secret(limiter))
        limiter_close(&limiter);
    return limiter;
}

void limiter_close(struct limiter **limiter)
{
    if (*limiter)
        munmap((*limiter)->memory, LIMITER_SIZE);
    free(*limiter);
    *limiter = NULL;
}

struct limiter_key limiter_hash(const struct limiter *limiter, struct str bytes)
{
    XXH128_hash_t hash =
        XXH3_128bits_withSecret(bytes.p, bytes.len, limiter->secret, sizeof(limiter->secret));

    return (struct limiter_key){.print = hash.low64 ? hash.low64 : 1, .place = hash.high64};
}

uint64_t limiter_id(struct str text)
{
    return XXH3_64bits(text.p, text.len);
}

/* --- slots */

static uint64_t load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static bool swap(uint64_t *word, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* One of a key's two lines; each half of the word decides one, evenly. */
static struct line *line_of(const struct limiter *limiter, struct limiter_key key, unsigned which)
{
    uint64_t half = which ? key.place >> 32 : key.place & UINT32_MAX;

    return &limiter->memory->lines[half * LINES >> 32];
}

static void fetch(const struct limiter *limiter, struct limiter_key key)
{
    __builtin_prefetch(line_of(limiter, key, 0), 1);
    __builtin_prefetch(line_of(limiter, key, 1), 1);
}

static struct slot *find(const struct limiter *limiter, struct limiter_key key)
{
    for (unsigned which = 0; which < 2; which++) {
        struct line *line = line_of(limiter, key, which);

        for (unsigned i = 0; i < SLOTS; i++)
            if (load(&line->slots[i].print) == key.print)
                return &line->slots[i];
    }
    return NULL;
}

/* A slot to be taken over, as it was seen. */
struct offer {
    struct slot *slot;
    uint64_t print, tat_ns;
};

/* Looks through one line for a slot that carries nothing and for the one nearest to that; how many
 * of the first kind there are. */
static unsigned look(struct line *line, uint64_t now_ns, struct offer *empty, struct offer *oldest)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &line->slots[i];
        struct offer seen = {slot, load(&slot->print), load(&slot->tat_ns)};

        if (seen.tat_ns <= now_ns) {
            *empty = seen;
            count++;
        } else if (!oldest->slot || seen.tat_ns < oldest->tat_ns) {
            *oldest = seen;
        }
    }
    return count;
}

/* Tries to take a slot over for a key that has none: in the line with more room, which keeps both
 * from being full for as long as can be. Another thread may be faster. */
static void claim(struct limiter *limiter, const struct limiter_ask *ask, unsigned worker)
{
    struct offer empty[2] = {{0}}, oldest = {0}, best;
    unsigned first = look(line_of(limiter, ask->key, 0), ask->now_ns, &empty[0], &oldest);
    unsigned second = look(line_of(limiter, ask->key, 1), ask->now_ns, &empty[1], &oldest);

    best = first || second ? empty[second > first] : oldest;
    if (!first && !second) {
        if (!swap(&best.slot->tat_ns, best.tat_ns, 0))
            return;
        stat_add(&limiter->counts[worker].evicted, 1);
    }
    (void)swap(&best.slot->print, best.print, ask->key.print);
}

/* The slot of a key. When two threads have claimed one each, both go on with the same. */
static struct slot *have(struct limiter *limiter, const struct limiter_ask *ask, unsigned worker)
{
    struct slot *slot;

    while (!(slot = find(limiter, ask->key)))
        claim(limiter, ask, worker);
    return slot;
}

/* --- asking */

static struct gcra_answer look_at(const struct limiter *limiter, const struct limiter_ask *ask,
                                  uint64_t cost)
{
    const struct slot *slot;

    fetch(limiter, ask->key);
    slot = find(limiter, ask->key);
    return gcra_ask(&ask->rate, slot ? load(&slot->tat_ns) : 0, ask->now_ns, cost);
}

struct gcra_answer limiter_peek(const struct limiter *limiter, const struct limiter_ask *ask)
{
    return look_at(limiter, ask, ask->cost);
}

/* Charges a slot; false when it became another's meanwhile. */
static bool charge(struct slot *slot, const struct limiter_ask *ask, struct gcra_answer *answer)
{
    uint64_t tat_ns;

    do {
        tat_ns = load(&slot->tat_ns);
        *answer = gcra_ask(&ask->rate, tat_ns, ask->now_ns, ask->cost);
    } while (answer->passes && !swap(&slot->tat_ns, tat_ns, answer->tat_ns));
    return load(&slot->print) == ask->key.print;
}

struct gcra_answer limiter_take(struct limiter *limiter, const struct limiter_ask *ask,
                                unsigned worker)
{
    struct gcra_answer answer = gcra_ask(&ask->rate, 0, ask->now_ns, ask->cost);

    if (!answer.passes || !ask->cost)
        return ask->cost ? answer : limiter_peek(limiter, ask);
    fetch(limiter, ask->key);
    while (!charge(have(limiter, ask, worker), ask, &answer))
        ;
    return answer;
}

bool limiter_take_all(struct limiter *limiter, const struct limiter_ask *asks, unsigned count,
                      struct gcra_answer *answers, unsigned worker)
{
    bool pass = true;
    unsigned taken;

    for (unsigned i = 0; i < count && count > 1; i++) {
        answers[i] = limiter_peek(limiter, &asks[i]);
        pass &= answers[i].passes;
    }
    for (taken = 0; taken < count && pass; taken++) {
        answers[taken] = limiter_take(limiter, &asks[taken], worker);
        pass = answers[taken].passes;
    }
    for (unsigned i = 0; i + 1 < taken && !pass; i++) // the last one refused after all
        limiter_refund(limiter, &asks[i]);
    for (unsigned i = 0; i < count && !pass; i++)
        if (answers[i].passes)
            answers[i] = look_at(limiter, &asks[i], 0); // nothing was taken
    return pass;
}

void limiter_refund(struct limiter *limiter, const struct limiter_ask *ask)
{
    struct slot *slot = find(limiter, ask->key);
    uint64_t tat_ns;

    if (!slot)
        return; // given up for another: full, as far as anybody knows
    do
        tat_ns = load(&slot->tat_ns);
    while (!swap(&slot->tat_ns, tat_ns, gcra_refund(&ask->rate, tat_ns, ask->cost)));
}

/* --- counts */

void limiter_note_trial(struct limiter *limiter, unsigned worker)
{
    stat_add(&limiter->counts[worker].trials, 1);
}

uint64_t limiter_evicted(const struct limiter *limiter)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < STAT_WORKERS_MAX; w++)
        sum += __atomic_load_n(&limiter->counts[w].evicted, __ATOMIC_RELAXED);
    return sum;
}

uint64_t limiter_trials(const struct limiter *limiter)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < STAT_WORKERS_MAX; w++)
        sum += __atomic_load_n(&limiter->counts[w].trials, __ATOMIC_RELAXED);
    return sum;
}
