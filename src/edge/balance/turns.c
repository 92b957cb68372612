/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap of turns, for round_robin.c (one for each pick) and hash.c (to fill its table).
 */
#include "edge/balance/balance.h"

bool balancer_turns_before(const struct balancer_turn *a, const struct balancer_turn *b)
{
    if (a->deadline != b->deadline)
        return (int64_t)(a->deadline - b->deadline) < 0;
    return a->target < b->target;
}

void balancer_turns_sink(struct balancer_turn *heap, uint32_t n, uint32_t i)
{
    struct balancer_turn moved = heap[i];

    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= n)
            break;
        if (child + 1 < n && balancer_turns_before(&heap[child + 1], &heap[child]))
            child++;
        if (!balancer_turns_before(&heap[child], &moved))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

void balancer_turns_sort(struct balancer_turn *heap, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        balancer_turns_sink(heap, n, i);
}
