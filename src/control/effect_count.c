/* SPDX-License-Identifier: Apache-2.0 */
#include "control/effect_count.h"

#include <string.h>

static uint64_t number_of(const json_t *told, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(told, name));

    return number > 0 ? (uint64_t)number : 0;
}

static void read_sum(const json_t *told, struct effect_sum *sum)
{
    const json_t *pair;
    size_t i;

    memset(sum, 0, sizeof(*sum));
    sum->requests = number_of(told, "requests");
    sum->failures = number_of(told, "failures");
    json_array_foreach(json_object_get(told, "latency"), i, pair)
    {
        json_int_t bucket = json_integer_value(json_array_get(pair, 0));
        json_int_t count = json_integer_value(json_array_get(pair, 1));

        if (bucket >= 0 && bucket < LATENCY_BUCKETS && count > 0)
            sum->latency[bucket] = (uint64_t)count;
    }
}

static struct effect_slot *slot_at(struct effect_ring *ring, int64_t number)
{
    struct effect_slot *slot = &ring->slots[number % EFFECT_SLOTS];

    if (slot->number != number) {
        memset(slot, 0, sizeof(*slot));
        slot->number = number;
    }
    return slot;
}

static uint64_t rise(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

void effect_take(struct effect_seen *seen, const json_t *told, struct effect_ring *ring,
                 int64_t number)
{
    struct effect_slot *slot = ring ? slot_at(ring, number) : NULL;
    struct effect_sum now;

    read_sum(told, &now);
    if (now.requests < seen->sum.requests)
        memset(seen, 0, sizeof(*seen));
    if (slot) {
        slot->requests += rise(now.requests, seen->sum.requests);
        slot->failures += rise(now.failures, seen->sum.failures);
        for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
            slot->latency[b] += (uint32_t)rise(now.latency[b], seen->sum.latency[b]);
    }
    seen->sum = now;
}

void effect_sum(const struct effect_ring *ring, int64_t first, struct effect_sum *sum)
{
    memset(sum, 0, sizeof(*sum));
    for (int64_t number = first; number < first + EFFECT_SPAN; number++) {
        const struct effect_slot *slot = &ring->slots[number % EFFECT_SLOTS];

        if (slot->number != number)
            continue;
        sum->requests += slot->requests;
        sum->failures += slot->failures;
        for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
            sum->latency[b] += slot->latency[b];
    }
}

static uint64_t count_timed(const struct effect_sum *sum)
{
    uint64_t all = 0;

    for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
        all += sum->latency[b];
    return all;
}

/* Below which so many hundredths of all lie. */
static json_int_t quantile_us(const struct effect_sum *sum, uint64_t hundredths)
{
    uint64_t all = count_timed(sum), below = 0;
    unsigned bucket = 0;

    while (bucket < LATENCY_BUCKETS - 1) {
        below += sum->latency[bucket++];
        if (below * 100 >= all * hundredths)
            break;
    }
    return (json_int_t)latency_least_us(bucket);
}

json_t *effect_json(const struct effect_sum *sum)
{
    json_t *json = json_pack("{s:I,s:I}", "requests", (json_int_t)sum->requests, "failures",
                             (json_int_t)sum->failures);

    if (json && count_timed(sum)) {
        json_object_set_new(json, "p50_us", json_integer(quantile_us(sum, 50)));
        json_object_set_new(json, "p95_us", json_integer(quantile_us(sum, 95)));
    }
    return json;
}
