/* SPDX-License-Identifier: Apache-2.0
 *
 * A slot is one word: 38 bits of the signature's hash and the minute at which its time is over. So
 * it is taken in one step. Two threads with the same signature may take different slots, when one
 * finds a slot free that the other does not yet: each looks again afterwards, and who sees the
 * other one is not new. All steps are in one order for all threads: one at least sees the other.
 */
#include "edge/auth/replay.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SLOTS = 8,
    LINES = REPLAY_SIZE / SLOTS / 8,
    MINUTE_BITS = 26,
    MINUTE_MS = 60000,
    TRIES = 64, /* at slots that others are faster to take */
};

#define MINUTE_MASK ((UINT64_C(1) << MINUTE_BITS) - 1)

struct line {
    uint64_t slots[SLOTS]; /* atomic */
};

struct replay {
    struct line *lines;
};

struct replay *replay_open(int fd)
{
    struct replay *replay = malloc(sizeof(*replay));
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory =
        replay ? mmap(NULL, REPLAY_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (memory == MAP_FAILED) {
        free(replay);
        return NULL;
    }
    replay->lines = memory;
    return replay;
}

void replay_close(struct replay **replay)
{
    if (*replay)
        munmap((*replay)->lines, REPLAY_SIZE);
    free(*replay);
    *replay = NULL;
}

/* --- slots */

struct look {
    uint64_t *free_slot, seen; /* in the line with more room; NULL: there is none */
    unsigned same;             /* slots that have this signature */
};

static bool is_over(uint64_t word, uint64_t now_ms)
{
    return (word & MINUTE_MASK) * MINUTE_MS <= now_ms;
}

static struct line *line_of(const struct replay *replay, struct limiter_key key, unsigned which)
{
    uint64_t half = which ? key.place >> 32 : key.place & UINT32_MAX;

    return &replay->lines[half * LINES >> 32];
}

static unsigned look_at(struct line *line, uint64_t word, uint64_t now_ms, struct look *look)
{
    unsigned room = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t seen = __atomic_load_n(&line->slots[i], __ATOMIC_SEQ_CST);

        if (is_over(seen, now_ms)) {
            look->free_slot = &line->slots[i];
            look->seen = seen;
            room++;
        } else {
            look->same += seen >> MINUTE_BITS == word >> MINUTE_BITS;
        }
    }
    return room;
}

static struct look look_around(const struct replay *replay, struct limiter_key key, uint64_t word,
                               uint64_t now_ms)
{
    struct line *first = line_of(replay, key, 0), *second = line_of(replay, key, 1);
    struct look one = {.same = 0}, other = {.same = 0};
    unsigned room = look_at(first, word, now_ms, &one);

    if (second != first && look_at(second, word, now_ms, &other) > room) {
        other.same += one.same;
        return other;
    }
    one.same += other.same;
    return one;
}

enum replay_answer replay_note(struct replay *replay, struct limiter_key key, uint64_t now_ms,
                               uint64_t until_ms)
{
    uint64_t minute = until_ms / MINUTE_MS + 2; // workers' clocks are not quite the same
    uint64_t word = key.print << MINUTE_BITS | (minute & MINUTE_MASK);

    for (unsigned i = 0; i < TRIES; i++) {
        struct look look = look_around(replay, key, word, now_ms);

        if (look.same)
            return REPLAY_SEEN;
        if (!look.free_slot)
            return REPLAY_FULL;
        if (!__atomic_compare_exchange_n(look.free_slot, &look.seen, word, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST))
            continue;
        look = look_around(replay, key, word, now_ms);
        return look.same == 1 ? REPLAY_NEW : REPLAY_SEEN;
    }
    return REPLAY_FULL;
}
