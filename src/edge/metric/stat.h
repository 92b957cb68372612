/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters of the data plane. A series is a block of numbers with labels, and belongs to a name,
 * not to a configuration, so it survives reloads. Each worker writes blocks of its own with plain
 * relaxed stores and no lock; a scrape on the manager thread sums over workers. Blocks are made by
 * the worker at first use. Slots are given out and taken back by the manager thread alone.
 */
#ifndef EDGE_METRIC_STAT_H
#define EDGE_METRIC_STAT_H

#include "base/latency.h"
#include "sluice/reason.h"

enum {
    STAT_CODES = 64,   /* known status codes, then one a class: "1xx" .. "5xx" */
    STAT_BUCKETS = 20, /* of a latency histogram, +Inf included */
    STAT_WORKERS_MAX = 64,
    STAT_CLIENTS = 16, /* groups that clients fall into by a hash of theirs */
};

/* Upper edges of the histogram in microseconds, ascending, STAT_BUCKETS - 1 of them:
 * 0.5 1 2.5 5 10 25 50 100 150 200 300 500 750 ms 1 1.5 2.5 5 10 30 s. */
extern const uint32_t stat_edges_us[STAT_BUCKETS - 1];

struct stat_histogram {
    uint64_t buckets[STAT_BUCKETS]; /* not cumulative */
    uint64_t sum_us;
};

struct stat_route {
    uint64_t codes[STAT_CODES];
    uint64_t refused[REASON_COUNT];
    uint64_t bytes_in, bytes_out; /* of bodies, both of the client's side */
    int64_t in_flight;            /* this worker's; may be negative alone, not in the sum */
    struct stat_histogram duration;
};

struct stat_target {
    uint64_t codes[STAT_CODES];
    uint64_t retries; /* attempts beyond the first that went to this target */
    uint64_t connects, connect_errors, reused;
    int64_t open, idle; /* connections of this worker */
    int64_t in_flight;
    struct stat_histogram duration; /* head sent to answer complete */
};

struct stat_client {
    uint64_t requests, failures;
};

/* What a release is judged by: first tries of requests, whatever became of later ones. */
struct stat_release {
    uint64_t requests, failures;       /* tries that came to an end; those that failed */
    uint64_t samples;                  /* of the tries, those that were our own requests */
    uint64_t rescued;                  /* failures that the stable release made good */
    uint64_t latency[LATENCY_BUCKETS]; /* request out to head in, of those that did not fail */
    struct stat_client clients[STAT_CLIENTS]; /* the first two of clients that have an address */
};

/* The group of a client, by its hash, among those of a service. On every edge the same, so that
 * they can be summed; it keeps no secret. */
unsigned stat_client_group(struct str service, uint64_t client);

/* Index of a status code into codes[]; and back, as its label ("200", "5xx"). */
unsigned stat_code_index(unsigned status);
const char *stat_code_label(unsigned index);

/* Change a number of a worker's own block. Its worker is the only writer, so no read-modify-write
 * is needed: the scraper sees the old value or the new. */
static inline void stat_add(uint64_t *cell, uint64_t n)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void stat_gauge(int64_t *cell, int64_t change)
{
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + change, __ATOMIC_RELAXED);
}

/* Adds a duration to a histogram. Single writer. */
void stat_observe(struct stat_histogram *histogram, uint64_t us);

struct stats; /* all series of the edge */

/* For 1 to STAT_WORKERS_MAX workers; NULL: no memory. Manager thread. */
struct stats *stats_new(unsigned workers);
/* Once no worker runs any more; clears the pointer. NULL inside is fine. */
void stats_free(struct stats **stats);

/* --- manager thread: slots by label; the same labels give the same slot until it is dropped.
 * UINT32_MAX: no memory. */
uint32_t stats_route_slot(struct stats *stats, struct str route);
/* At most 64 targets a service have their own slot; the rest share "other".
 */
uint32_t stats_target_slot(struct stats *stats, struct str service, struct str release,
                           struct str target);
uint32_t stats_release_slot(struct stats *stats, struct str service, struct str release);
/* Marks a generation: between begin and end every slot still wanted is asked for again; end drops
 * the others' labels, so that series of removed routes and targets go. Their blocks are reused
 * later. */
void stats_sweep_begin(struct stats *stats);
void stats_sweep_end(struct stats *stats);

/* --- worker thread: this worker's block of a slot; never NULL (a shared spill block when memory
 * ends). */
struct stat_route *stats_route(struct stats *stats, unsigned worker, uint32_t slot);
struct stat_target *stats_target(struct stats *stats, unsigned worker, uint32_t slot);
struct stat_release *stats_release(struct stats *stats, unsigned worker, uint32_t slot);

/* --- manager thread: sums over workers */

struct stats_name {
    struct str service, release;
};

struct stats_walk {
    void *owner;
    void (*on_route)(void *owner, struct str route, const struct stat_route *sum);
    void (*on_target)(void *owner, struct str service, struct str release, struct str target,
                      const struct stat_target *sum);
    void (*on_release)(void *owner, uint32_t slot, const struct stats_name *name,
                       const struct stat_release *sum);
};
/* In slot order; slots that no worker has used yet are passed over. The labels live until the next
 * stats_sweep_end(), the sum for the call. */
void stats_walk(const struct stats *stats, const struct stats_walk *walk);

#endif
