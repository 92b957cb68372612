/* SPDX-License-Identifier: Apache-2.0
 *
 * `balance: hash`: consistent hashing by a Maglev table (Eisenbud and others, NSDI 2016): every
 * target fills slots in an order of its own, in turns by weight. A pick is one look; a target that
 * comes or goes moves little more than its own share. Depends on ids and weights alone: the same in
 * each worker, edge and order of the file. The table costs 128 KiB and a few milliseconds to fill.
 */
#include "edge/balance/balance.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum {
    // A prime, so that every stride visits every slot; 128 slots a target at 512, 16 at the most
    // there
    // may be. The same for any n: with another size nearly all keys would move.
    SLOTS = 65537,
    FREE = UINT16_MAX,
    LOOKS = 32,
};

// Only while the table is filled: the way of a target over the slots.
struct walker {
    uint64_t id;
    uint32_t at, stride;
    uint32_t target;
};

// What lies in the state, one behind the other.
struct maglev {
    struct balancer_turn *turns; // n, only while filling
    struct walker *walkers;      // n, only while filling
    uint16_t *slots;             // SLOTS target indexes
};

static struct maglev parts_of(void *state, uint32_t n)
{
    struct balancer_turn *turns = state;
    struct walker *walkers = (struct walker *)(void *)(turns + n);

    return (struct maglev){turns, walkers, (uint16_t *)(void *)(walkers + n)};
}

static size_t state_size(uint32_t n)
{
    return (size_t)n * (sizeof(struct balancer_turn) + sizeof(struct walker)) +
           SLOTS * sizeof(uint16_t);
}

static int compare(const void *left, const void *right)
{
    const struct walker *a = left, *b = right;

    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->target < b->target ? -1 : a->target > b->target;
}

// Turns of equal time go by id, never by place in the file, so the walkers are sorted by it.
static void start(const struct maglev *maglev, const struct balancer_target *targets, uint32_t n)
{
    struct walker *walkers = maglev->walkers;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t mixed = random_mix(targets[i].id_hash + 1);

        walkers[i] = (struct walker){
            .id = targets[i].id_hash,
            .at = (uint32_t)(mixed >> 32) % SLOTS,
            .stride = 1 + (uint32_t)mixed % (SLOTS - 1),
            .target = i,
        };
    }
    // Turns of equal time go by id, never by place in the file.
    qsort(walkers, n, sizeof(*walkers), compare);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t step = BALANCER_CYCLE / targets[walkers[i].target].weight;

        maglev->turns[i] = (struct balancer_turn){step / 2, i};
    }
    balancer_turns_sort(maglev->turns, n);
}

static void take_slot(struct walker *walker, uint16_t *slots)
{
    while (slots[walker->at] != FREE)
        walker->at = (walker->at + walker->stride) % SLOTS;
    slots[walker->at] = (uint16_t)walker->target;
}

static void init(void *state, const struct balancer_target *targets, uint32_t n, uint64_t seed)
{
    struct maglev maglev = parts_of(state, n);

    (void)seed; // all workers must agree
    memset(maglev.slots, 0xff, SLOTS * sizeof(*maglev.slots));
    if (!n)
        return;
    start(&maglev, targets, n);
    for (uint32_t left = SLOTS; left; left--) {
        struct balancer_turn *turn = &maglev.turns[0];
        struct walker *walker = &maglev.walkers[turn->target];

        take_slot(walker, maglev.slots);
        turn->deadline += BALANCER_CYCLE / targets[walker->target].weight;
        balancer_turns_sink(maglev.turns, n, 0);
    }
}

static int pick(void *state, const struct balancer_target *targets, uint32_t n, uint64_t key,
                uint64_t tried)
{
    const uint16_t *slots = parts_of(state, n).slots;

    // A key whose target is out looks again elsewhere, so its keys spread over all others by
    // weight.
    for (unsigned look = 0; n && look < LOOKS; look++) {
        uint64_t mixed = random_next(&key);
        uint32_t i = slots[(mixed >> 32) * SLOTS >> 32];

        if (balancer_can_take(targets, i, tried))
            return (int)i;
    }
    return balancer_scan(targets, n, tried, BALANCER_NONE, random_mix(key));
}

const struct balancer balancer_hash = {
    .name = "hash",
    .state_size = state_size,
    .init = init,
    .pick = pick,
};
