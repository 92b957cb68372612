/* SPDX-License-Identifier: Apache-2.0
 *
 * An array that is thinned out from its older end when it is full.
 */
#include "control/scale/ring.h"

#include <math.h>

#define GAP_S 0.1 /* that two samples may be apart, and still be one time */

static bool is_quiet(const struct scale_sample *sample)
{
    return sample->in_flight <= 0 && sample->held <= 0 && sample->arrivals <= 0;
}

/* Both together say no less than each. */
static bool extends(const struct scale_sample *last, const struct scale_sample *next)
{
    return is_quiet(last) && is_quiet(next) && last->is_partial == next->is_partial &&
           fabs(next->at_s - next->span_s - last->at_s) < GAP_S;
}

/* Two as one, from the beginning of the first to the end of the second. */
static struct scale_sample join(const struct scale_sample *a, const struct scale_sample *b)
{
    double begun_s = a->at_s - a->span_s, known_s = a->span_s + b->span_s;
    double span_s = fmax(b->at_s - begun_s, b->span_s);

    return (struct scale_sample){
        .at_s = b->at_s,
        .span_s = span_s,
        .in_flight = (a->in_flight * a->span_s + b->in_flight * b->span_s) / known_s,
        .held = (a->held * a->span_s + b->held * b->span_s) / known_s,
        .arrivals = a->arrivals + b->arrivals,
        .is_partial = a->is_partial || b->is_partial || span_s > known_s + GAP_S,
    };
}

/* The older half becomes a quarter. */
static void condense(struct scale_ring *ring)
{
    size_t half = SCALE_RING_MAX / 2, kept = 0;

    for (size_t i = 0; i + 1 < half; i += 2)
        ring->items[kept++] = join(&ring->items[i], &ring->items[i + 1]);
    for (size_t i = half; i < ring->count; i++)
        ring->items[kept++] = ring->items[i];
    ring->count = kept;
}

void scale_ring_add(struct scale_ring *ring, const struct scale_sample *sample)
{
    struct scale_sample *last = ring->count ? &ring->items[ring->count - 1] : NULL;

    if (!(sample->span_s > 0))
        return;
    if (last && sample->at_s <= last->at_s) {
        ring->count = 0;
        last = NULL;
    }
    if (last && extends(last, sample)) {
        last->span_s += sample->at_s - last->at_s;
        last->at_s = sample->at_s;
        return;
    }
    if (ring->count == SCALE_RING_MAX)
        condense(ring);
    ring->items[ring->count++] = *sample;
}

struct scale_samples scale_ring_view(const struct scale_ring *ring)
{
    return (struct scale_samples){ring->items, ring->count};
}
