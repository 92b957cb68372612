/* SPDX-License-Identifier: Apache-2.0
 *
 * `balance: round_robin`: weighted and smooth, by earliest deadline first. A target's turns lie
 * 1/weight apart in virtual time; the state is a heap by the time of the next turn. One that was
 * out has no turns saved up. O(log n) a pick.
 */
#include "edge/balance/balance.h"

#include "base/random.h"

enum { SKIPS = 8 }; // targets that are out, put off one by one before all are looked at

struct ring {
    uint64_t now; // virtual: the deadline last served
    struct balancer_turn heap[];
};

static size_t state_size(uint32_t n)
{
    return sizeof(struct ring) + (size_t)n * sizeof(struct balancer_turn);
}

// Each begins at a random part of its first step, so that workers do not march in line.
static void init(void *state, const struct balancer_target *targets, uint32_t n, uint64_t seed)
{
    struct ring *ring = state;

    ring->now = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t step = (uint32_t)(BALANCER_CYCLE / targets[i].weight >> 10);

        ring->heap[i] = (struct balancer_turn){(uint64_t)random_below(&seed, step) << 10, i};
    }
    balancer_turns_sort(ring->heap, n);
}

static int serve(struct ring *ring, const struct balancer_target *targets, uint32_t n, uint32_t at)
{
    struct balancer_turn *turn = &ring->heap[at];
    uint32_t target = turn->target;

    // A deadline in the past is of one that was out or passed over.
    if ((int64_t)(turn->deadline - ring->now) > 0)
        ring->now = turn->deadline;
    turn->deadline = ring->now + BALANCER_CYCLE / targets[target].weight;
    balancer_turns_sink(ring->heap, n, at);
    return (int)target;
}

static int serve_best(struct ring *ring, const struct balancer_target *targets, uint32_t n,
                      uint64_t tried)
{
    uint32_t best = n;

    for (uint32_t i = 0; i < n; i++) {
        if (balancer_can_take(targets, ring->heap[i].target, tried) &&
            (best == n || balancer_turns_before(&ring->heap[i], &ring->heap[best])))
            best = i;
    }
    return best == n ? BALANCER_NONE : serve(ring, targets, n, best);
}

static int pick(void *state, const struct balancer_target *targets, uint32_t n, uint64_t key,
                uint64_t tried)
{
    struct ring *ring = state;

    (void)key;
    for (unsigned i = 0; n && i < SKIPS; i++) {
        uint32_t top = ring->heap[0].target;

        if (balancer_can_take(targets, top, tried))
            return serve(ring, targets, n, 0);
        if (!targets[top].is_out) // tried by this request only: it keeps its turn
            break;
        serve(ring, targets, n, 0);
    }
    return serve_best(ring, targets, n, tried);
}

const struct balancer balancer_round_robin = {
    .name = "round_robin",
    .state_size = state_size,
    .init = init,
    .pick = pick,
};
