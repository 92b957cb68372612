/* SPDX-License-Identifier: Apache-2.0
 *
 * One producer, one consumer. The producer looks at the consumer's position only when its last look
 * does not show room enough, so that the two share no cache line in the steady state.
 */
#include "edge/metric/access_ring.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct access_entry) % 8 == 0, "texts follow at once, records are 8-aligned");
_Static_assert(ACCESS_RING_SIZE % 8 == 0, "a header of 8 bytes always fits before the end");

bool access_ring_init(struct access_ring *ring, struct access_log *log, uint64_t seed)
{
    *ring = (struct access_ring){.log = log, .random = (seed * 0x9e3779b97f4a7c15) | 1};
    ring->data = aligned_alloc(64, ACCESS_RING_SIZE);
    return ring->data != NULL;
}

void access_ring_fini(struct access_ring *ring)
{
    free(ring->data);
    ring->data = NULL;
}

/* A place for `size` contiguous bytes at the head, which is moved past what must be skipped; NULL
 * when full. */
static struct access_entry *reserve(struct access_ring *ring, uint64_t *head, size_t size)
{
    size_t offset = *head % ACCESS_RING_SIZE;
    size_t skip = offset + size > ACCESS_RING_SIZE ? ACCESS_RING_SIZE - offset : 0;
    uint64_t room = ACCESS_RING_SIZE - (*head - ring->tail_seen);
    if (room < skip + size) {
        ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        room = ACCESS_RING_SIZE - (*head - ring->tail_seen);
        if (room < skip + size)
            return NULL;
    }
    struct access_entry *entry = (void *)(ring->data + offset);
    if (!skip)
        return entry;
    entry->size = (uint32_t)skip;
    entry->is_skip = 1;
    *head += skip;
    return (void *)ring->data;
}

static void fill(struct access_entry *entry, const struct access_record *record)
{
    entry->is_skip = 0;
    entry->reason = record->reason;
    entry->attempts = record->attempts;
    entry->minor = record->minor;
    entry->time_ms = record->time_ms;
    entry->total_us = record->total_us;
    entry->bytes_in = record->bytes_in;
    entry->bytes_out = record->bytes_out;
    entry->cold_us = record->cold_us;
    memcpy(entry->phase_us, record->phase_us, sizeof(entry->phase_us));
    entry->generation = record->generation;
    entry->status = record->status;
    entry->trace = record->trace;
    entry->trace_parent = record->trace_parent;
    entry->is_secure = record->is_secure;
}

/* The strings of a record in the order of enum access_text, cut. Their sum. */
static size_t list_texts(const struct access_record *record, struct str texts[ACCESS_TEXTS])
{
    texts[ACCESS_REQUEST_ID] = record->request_id;
    texts[ACCESS_CLIENT] = record->client;
    texts[ACCESS_METHOD] = record->method;
    texts[ACCESS_HOST] = record->host;
    texts[ACCESS_PATH] = record->path;
    texts[ACCESS_QUERY] = record->query;
    texts[ACCESS_ROUTE] = record->route;
    texts[ACCESS_SERVICE] = record->service;
    texts[ACCESS_RELEASE] = record->release.len ? record->release : STR_NONE;
    texts[ACCESS_TARGET] = record->target;
    texts[ACCESS_USER_AGENT] = record->user_agent;
    texts[ACCESS_REFERER] = record->referer;
    texts[ACCESS_TRIES] = record->tries;
    texts[ACCESS_TRACE_STATE] = record->trace_state;
    texts[ACCESS_TRACE_TRIES] = record->trace_tries;
    size_t sum = 0;
    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        if (texts[i].len > ACCESS_TEXT_MAX)
            texts[i].len = ACCESS_TEXT_MAX;
        sum += texts[i].len;
    }
    return sum;
}

uint64_t access_ring_put(struct access_ring *ring, const struct access_record *record)
{
    struct str texts[ACCESS_TEXTS];
    size_t size = (sizeof(struct access_entry) + list_texts(record, texts) + 7) & ~(size_t)7;
    uint64_t head = ring->head;
    struct access_entry *entry = reserve(ring, &head, size);
    if (!entry) {
        __atomic_store_n(&ring->dropped, ring->dropped + 1, __ATOMIC_RELAXED);
        return head - ring->tail_seen;
    }
    fill(entry, record);
    entry->size = (uint32_t)size;
    char *at = (char *)(entry + 1);
    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        entry->lens[i] = texts[i].p ? (uint16_t)texts[i].len : ACCESS_ABSENT;
        if (texts[i].len)
            memcpy(at, texts[i].p, texts[i].len);
        at += texts[i].len;
    }
    __atomic_store_n(&ring->head, head + size, __ATOMIC_RELEASE);
    return head + size - ring->tail_seen;
}

uint64_t access_ring_waiting(struct access_ring *ring)
{
    ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    return ring->head - ring->tail_seen;
}

uint64_t access_ring_end(const struct access_ring *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
}

const struct access_entry *access_ring_first(struct access_ring *ring, uint64_t end)
{
    uint64_t tail = ring->tail;
    while (tail != end) {
        const struct access_entry *entry = (void *)(ring->data + tail % ACCESS_RING_SIZE);
        if (!entry->is_skip)
            return entry;
        tail += entry->size;
        __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);
    }
    return NULL;
}

void access_ring_next(struct access_ring *ring, const struct access_entry *entry)
{
    __atomic_store_n(&ring->tail, ring->tail + entry->size, __ATOMIC_RELEASE);
}

struct access_texts access_ring_texts(const struct access_entry *entry)
{
    const char *at = (const char *)(entry + 1);
    struct access_texts texts;

    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        bool is_absent = entry->lens[i] == ACCESS_ABSENT;

        texts.items[i] = is_absent ? STR_NONE : (struct str){at, entry->lens[i]};
        at += texts.items[i].len;
    }
    return texts;
}
