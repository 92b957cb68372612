/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/queue.h"

#include "base/random.h"

_Static_assert(QUEUE_LANES == 32, "a lane is 5 bits of a hash and a bit of `filled`");

void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
}

static uint8_t lane_of(uint64_t key)
{
    return (uint8_t)(random_mix(key) >> 59);
}

void queue_join(struct queue *queue, struct queue_entry *entry, uint64_t key)
{
    uint8_t at = lane_of(key);
    struct queue_lane *lane = &queue->lanes[at];

    *entry = (struct queue_entry){.prev = lane->last, .lane = at, .is_in = true};
    if (lane->last)
        lane->last->next = entry;
    else
        lane->first = entry;
    lane->last = entry;
    lane->count++;
    queue->count++;
    queue->filled |= UINT32_C(1) << at;
}

void queue_leave(struct queue *queue, struct queue_entry *entry)
{
    struct queue_lane *lane = &queue->lanes[entry->lane];

    if (!entry->is_in)
        return;
    if (entry == queue_next(queue))
        queue->turn = (entry->lane + 1u) % QUEUE_LANES;
    if (entry->prev)
        entry->prev->next = entry->next;
    else
        lane->first = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    else
        lane->last = entry->prev;
    lane->count--;
    queue->count--;
    if (!lane->count)
        queue->filled &= ~(UINT32_C(1) << entry->lane);
    *entry = (struct queue_entry){0};
}

struct queue_entry *queue_next(const struct queue *queue)
{
    uint32_t turn = queue->turn;
    uint32_t ahead = queue->filled >> turn << turn; // from `turn` up; if none, from 0

    if (!queue->filled)
        return NULL;
    return queue->lanes[__builtin_ctz(ahead ? ahead : queue->filled)].first;
}

struct queue_entry *queue_victim(const struct queue *queue, uint64_t key)
{
    const struct queue_lane *longest = &queue->lanes[0];

    for (unsigned i = 1; i < QUEUE_LANES; i++)
        if (queue->lanes[i].count > longest->count)
            longest = &queue->lanes[i];
    return longest->count >= queue->lanes[lane_of(key)].count + 2 ? longest->last : NULL;
}
