/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring between one worker and who reads its records, the log thread or what collects spans:
 * records of any length, one writer, one reader, no lock. Owned by the reader. A record is
 * contiguous: where it would not fit before the end, the rest is skipped. Positions only grow; the
 * difference is what waits.
 */
#ifndef EDGE_METRIC_ACCESS_RING_H
#define EDGE_METRIC_ACCESS_RING_H

#include "edge/metric/access.h"

enum {
    ACCESS_RING_SIZE = 1 << 20,
    ACCESS_TEXT_MAX = 2048, /* bytes kept of each string */
    ACCESS_TEXTS = 15,
    ACCESS_ABSENT = UINT16_MAX, /* length of a string that is not there */
};

/* The strings of a record, in the order in which they stand in the ring. */
enum access_text {
    ACCESS_REQUEST_ID,
    ACCESS_CLIENT,
    ACCESS_METHOD,
    ACCESS_HOST,
    ACCESS_PATH,
    ACCESS_QUERY,
    ACCESS_ROUTE,
    ACCESS_SERVICE,
    ACCESS_RELEASE, /* absent: the service has none */
    ACCESS_TARGET,
    ACCESS_USER_AGENT,
    ACCESS_REFERER,
    ACCESS_TRIES,
    ACCESS_TRACE_STATE,
    ACCESS_TRACE_TRIES,
};

/* A record in the ring; its texts follow. `size` counts all, padded to 8; only `size` is set where
 * `is_skip`. */
struct access_entry {
    uint32_t size;
    uint8_t is_skip, reason, attempts, minor;
    uint64_t time_ms, total_us, bytes_in, bytes_out, cold_us;
    struct trace_context trace;
    uint64_t trace_parent;
    uint32_t phase_us[ACCESS_PHASES];
    uint32_t generation;
    bool is_secure;
    uint16_t status;
    uint16_t lens[ACCESS_TEXTS];
};

struct access_texts {
    struct str items[ACCESS_TEXTS];
};

struct access_ring {
    /* the worker's */
    _Alignas(64) uint64_t head; /* where the next record goes; released when it is whole */
    uint64_t tail_seen;         /* what `tail` was when last looked at */
    uint64_t random;            /* of the sampling */
    uint64_t dropped;           /* records that found no room */
    struct access_log *log;     /* NULL: nobody is to be woken */
    char *data;                 /* ACCESS_RING_SIZE bytes */
    /* the reader's */
    _Alignas(64) uint64_t tail; /* what has been read; released when it may be written over */
};

/* False without memory. `seed` differs from ring to ring. */
bool access_ring_init(struct access_ring *ring, struct access_log *log, uint64_t seed);
void access_ring_fini(struct access_ring *ring);

/* Worker: copies a record, or counts it as dropped. The bytes that wait now; at most what does. */
uint64_t access_ring_put(struct access_ring *ring, const struct access_record *record);
/* Worker: the bytes that wait, exactly. */
uint64_t access_ring_waiting(struct access_ring *ring);
/* The reader: the oldest record that is before `end`, NULL for none; stays until
 * access_ring_next(). */
const struct access_entry *access_ring_first(struct access_ring *ring, uint64_t end);
void access_ring_next(struct access_ring *ring, const struct access_entry *entry);
/* The texts of a record, absent ones too; they stand in it. */
struct access_texts access_ring_texts(const struct access_entry *entry);
/* The reader: an end for access_ring_first(): where the worker is now. */
uint64_t access_ring_end(const struct access_ring *ring);

#endif
