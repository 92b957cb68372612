/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/traces.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge/metric/trace_format.h"

enum { BATCH_MAX = 1024 * 1024 }; /* bytes; the first trace of a batch may be longer */

struct traces {
    struct traces_batch last;
    char *text; /* of it; owned */
    size_t capacity;
    unsigned workers, turn; /* whose ring is read first */
    struct access_ring rings[];
};

struct traces *traces_open(unsigned workers)
{
    size_t size = sizeof(struct traces) + workers * sizeof(struct access_ring);
    struct traces *traces = aligned_alloc(64, (size + 63) / 64 * 64);
    bool is_good = traces != NULL;

    if (!traces)
        return NULL;
    memset(traces, 0, size);
    traces->workers = workers;
    traces->last.number = clock_wall_ms(); // not one that was said of an edge before this one
    for (unsigned i = 0; i < workers; i++)
        is_good = access_ring_init(&traces->rings[i], NULL, i) && is_good;
    if (!is_good)
        traces_close(&traces);
    return traces;
}

void traces_close(struct traces **traces)
{
    struct traces *gone = *traces;

    *traces = NULL;
    if (!gone)
        return;
    for (unsigned i = 0; i < gone->workers; i++)
        access_ring_fini(&gone->rings[i]);
    free(gone->text);
    free(gone);
}

struct access_ring *traces_ring(struct traces *traces, unsigned worker)
{
    assert(worker < traces->workers);
    return &traces->rings[worker];
}

/* Room for the next one behind what there is. */
static bool make_room(struct traces *traces, size_t used, size_t more)
{
    char *grown;

    if (used + more <= traces->capacity)
        return true;
    grown = realloc(traces->text, used + more);
    if (!grown)
        return false;
    traces->text = grown;
    traces->capacity = used + more;
    return true;
}

/* False: it does not fit any more. */
static bool add(struct traces *traces, const struct access_entry *entry, size_t *used)
{
    size_t room = trace_format_room(entry) + 1;
    unsigned count;
    char *at;

    if (*used && *used + room > BATCH_MAX)
        return false;
    if (!make_room(traces, *used, room))
        return false;
    at = traces->text + *used;
    if (*used)
        *at++ = ',';
    at = trace_format_spans(entry, at, &count);
    *used = (size_t)(at - traces->text);
    traces->last.count += count;
    return true;
}

static void read_ring(struct traces *traces, struct access_ring *ring, size_t *used)
{
    uint64_t end = access_ring_end(ring);
    const struct access_entry *entry;

    while (!traces->last.is_more && (entry = access_ring_first(ring, end))) {
        if (add(traces, entry, used))
            access_ring_next(ring, entry);
        else
            traces->last.is_more = true;
    }
}

bool traces_take(struct traces *traces, uint64_t had, struct traces_batch *batch)
{
    size_t used = 0;

    if (had == traces->last.number || !traces->last.count) {
        traces->last = (struct traces_batch){.number = traces->last.number + 1};
        for (unsigned i = 0; i < traces->workers; i++)
            read_ring(traces, &traces->rings[(traces->turn + i) % traces->workers], &used);
        traces->turn++;
        traces->last.text = (struct str){traces->text, used};
    }
    *batch = traces->last;
    return batch->count || !batch->is_more;
}

uint64_t traces_dropped(const struct traces *traces)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < traces->workers; i++)
        sum += __atomic_load_n(&traces->rings[i].dropped, __ATOMIC_RELAXED);
    return sum;
}
