/* SPDX-License-Identifier: Apache-2.0
 *
 * `balance: least_request`: two targets drawn by weight, the one with less load for its weight wins
 * (Mitzenmacher's power of two choices). The first drawn wins a tie, so idle targets share by
 * weight. Constant time.
 */
#include "edge/balance/balance.h"

static void init(void *state, const struct balancer_target *targets, uint32_t n, uint64_t seed)
{
    balancer_sampler_init(state, targets, n, seed);
}

static int pick(void *state, const struct balancer_target *targets, uint32_t n, uint64_t key,
                uint64_t tried)
{
    int first = balancer_sampler_pick(state, targets, n, tried, BALANCER_NONE);
    const struct balancer_target *a, *b;
    int second;

    (void)key;
    if (first == BALANCER_NONE || n == 1)
        return first;
    second = balancer_sampler_pick(state, targets, n, tried, first);
    if (second == BALANCER_NONE)
        return first;
    a = &targets[first];
    b = &targets[second];
    return (uint64_t)b->load * a->weight < (uint64_t)a->load * b->weight ? second : first;
}

const struct balancer balancer_least_request = {
    .name = "least_request",
    .state_size = balancer_sampler_size,
    .init = init,
    .pick = pick,
};
