/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_rate.h"

#include <math.h>

double top_rate_added(json_int_t now, json_int_t before)
{
    return now < 0 ? 0 : (double)(now >= before ? now - (before < 0 ? 0 : before) : now);
}

/* --- latencies */

static void spread(const json_t *pairs, json_int_t counts[TOP_BUCKETS])
{
    const json_t *pair;
    size_t i;

    json_array_foreach(pairs, i, pair)
    {
        json_int_t bucket = json_integer_value(json_array_get(pair, 0));

        if (bucket >= 0 && bucket < TOP_BUCKETS)
            counts[bucket] = json_integer_value(json_array_get(pair, 1));
    }
}

void top_rate_latency(struct top_latency *latency, const json_t *now, const json_t *before)
{
    json_int_t is[TOP_BUCKETS] = {0}, was[TOP_BUCKETS] = {0};
    bool is_anew = false;

    spread(now, is);
    spread(before, was);
    for (unsigned i = 0; i < TOP_BUCKETS; i++)
        is_anew |= is[i] < was[i];
    for (unsigned i = 0; i < TOP_BUCKETS; i++) {
        double added = top_rate_added(is[i], is_anew ? 0 : was[i]);

        latency->counts[i] += added;
        latency->sum += added;
    }
}

static double edge(const json_t *edges_us, size_t i)
{
    return json_number_value(json_array_get(edges_us, i)) / 1000;
}

double top_rate_quantile(const struct top_latency *latency, const json_t *edges_us, double quantile)
{
    size_t edges = json_array_size(edges_us), bucket = 0;
    double below = 0, rank = quantile * latency->sum, least;

    if (!edges || !(latency->sum > 0))
        return NAN;
    while (bucket + 1 < TOP_BUCKETS && below + latency->counts[bucket] < rank)
        below += latency->counts[bucket++];
    while (bucket + 1 < TOP_BUCKETS && !(latency->counts[bucket] > 0))
        bucket++;
    least = bucket ? edge(edges_us, bucket <= edges ? bucket - 1 : edges - 1) : 0;
    if (bucket >= edges)
        return least;
    return least + (edge(edges_us, bucket) - least) * (rank - below) / latency->counts[bucket];
}
