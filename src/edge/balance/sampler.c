/* SPDX-License-Identifier: Apache-2.0
 *
 * Weighted sampling for least_request.c and random.c. The table holds the weights of all targets;
 * those that are out are drawn and thrown away, which keeps the shares of the rest.
 */
#include "edge/balance/balance.h"

#include "base/random.h"

enum { DRAWS = 16 }; // before the weights are counted: with half of them out, one pick in 65,536

size_t balancer_sampler_size(uint32_t n)
{
    return sizeof(struct balancer_sampler) +
           (size_t)n * (sizeof(struct balancer_column) + sizeof(uint64_t) + 4);
}

static uint64_t total_weight(const struct balancer_target *targets, uint32_t n)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < n; i++)
        total += targets[i].weight;
    return total;
}

// Vose's method in whole numbers: `left` is a target's weight times n, a full column is the total.
void balancer_sampler_init(struct balancer_sampler *sampler, const struct balancer_target *targets,
                           uint32_t n, uint64_t seed)
{
    uint64_t total = total_weight(targets, n);
    uint64_t *left = (uint64_t *)(void *)(sampler->columns + n);
    uint32_t *list =
        (uint32_t *)(left + n); // small ones grow from the start, large ones from the end
    uint32_t small = 0, large = n;

    sampler->random = seed;
    for (uint32_t i = 0; i < n; i++) {
        sampler->columns[i] = (struct balancer_column){UINT32_MAX, i};
        left[i] = (uint64_t)targets[i].weight * n;
        if (left[i] < total)
            list[small++] = i;
        else
            list[--large] = i;
    }
    while (small && large < n) {
        uint32_t poor = list[--small], rich = list[large];

        sampler->columns[poor] =
            (struct balancer_column){(uint32_t)((left[poor] << 32) / total), rich};
        left[rich] -= total - left[poor];
        if (left[rich] < total) {
            large++;
            list[small++] = rich;
        }
    }
}

int balancer_scan(const struct balancer_target *targets, uint32_t n, uint64_t tried, int but,
                  uint64_t number)
{
    uint64_t total = 0, at;

    for (uint32_t i = 0; i < n; i++) {
        if ((int)i != but && balancer_can_take(targets, i, tried))
            total += targets[i].weight;
    }
    at = (uint64_t)((unsigned __int128)number * total >> 64);
    for (uint32_t i = 0; i < n; i++) {
        if ((int)i == but || !balancer_can_take(targets, i, tried))
            continue;
        if (at < targets[i].weight)
            return (int)i;
        at -= targets[i].weight;
    }
    return BALANCER_NONE;
}

int balancer_sampler_pick(struct balancer_sampler *sampler, const struct balancer_target *targets,
                          uint32_t n, uint64_t tried, int but)
{
    for (unsigned draw = 0; n && draw < DRAWS; draw++) {
        uint64_t bits = random_next(&sampler->random);
        uint32_t i = (uint32_t)((bits >> 32) * n >> 32);
        const struct balancer_column *column = &sampler->columns[i];

        if ((uint32_t)bits >= column->threshold)
            i = column->alias;
        if ((int)i != but && balancer_can_take(targets, i, tried))
            return (int)i;
    }
    return balancer_scan(targets, n, tried, but, random_next(&sampler->random));
}
