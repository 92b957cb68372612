/* SPDX-License-Identifier: Apache-2.0
 *
 * The samples of a service over a long time in little room: the newest as they came, a quiet time
 * as one, older ones put together by twos. Pure; any thread.
 */
#ifndef CONTROL_SCALE_RING_H
#define CONTROL_SCALE_RING_H

#include "control/scale/load.h"

enum { SCALE_RING_MAX = 1024 };

struct scale_ring {
    struct scale_sample items[SCALE_RING_MAX];
    size_t count;
};

/* One that is not later than the last one means that the clock was set: nothing is known then. */
void scale_ring_add(struct scale_ring *ring, const struct scale_sample *sample);
/* Valid until the next is added. */
struct scale_samples scale_ring_view(const struct scale_ring *ring);

#endif
