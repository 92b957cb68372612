/* SPDX-License-Identifier: Apache-2.0
 *
 * `balance: random`: by weight, whatever the load. Constant time.
 */
#include "edge/balance/balance.h"

static void init(void *state, const struct balancer_target *targets, uint32_t n, uint64_t seed)
{
    balancer_sampler_init(state, targets, n, seed);
}

static int pick(void *state, const struct balancer_target *targets, uint32_t n, uint64_t key,
                uint64_t tried)
{
    (void)key;
    return balancer_sampler_pick(state, targets, n, tried, BALANCER_NONE);
}

const struct balancer balancer_random = {
    .name = "random",
    .state_size = balancer_sampler_size,
    .init = init,
    .pick = pick,
};
