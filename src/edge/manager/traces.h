/* SPDX-License-Identifier: Apache-2.0
 *
 * What is traced, on its way from the workers to control, who asks for it: a ring for each worker,
 * and the batch that was given last. It is given again until whoever asks says that it has it, so
 * that an answer that is lost on the way loses no spans. Manager thread.
 */
#ifndef EDGE_MANAGER_TRACES_H
#define EDGE_MANAGER_TRACES_H

#include "edge/metric/access_ring.h"

struct traces; /* private */

/* NULL: no memory. */
struct traces *traces_open(unsigned workers);
/* Once no worker runs any more. */
void traces_close(struct traces **traces);
/* For a worker; lives as long as `traces`. */
struct access_ring *traces_ring(struct traces *traces, unsigned worker);

struct traces_batch {
    uint64_t number; /* by which it is said that one has it */
    struct str text; /* spans of OTLP, the members of a JSON array; until the next call */
    unsigned count;  /* of them */
    bool is_more;    /* there was no room for all */
};

/* What there is, oldest first, once batch `had` is with whoever asks (0: none yet), else the same
 * as before. False: no memory. */
bool traces_take(struct traces *traces, uint64_t had, struct traces_batch *batch);
/* Traces that found no room since the start. */
uint64_t traces_dropped(const struct traces *traces);

#endif
