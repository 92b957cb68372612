/* SPDX-License-Identifier: Apache-2.0
 *
 * What shared.c (buckets, and who waits for them) and shared_state.c (who can be asked) have in
 * common. One thread.
 */
#ifndef EDGE_LIMIT_SHARED_IMPL_H
#define EDGE_LIMIT_SHARED_IMPL_H

#include "edge/limit/shared.h"
#include "edge/upstream/redis.h"

enum { SHARED_KEY_LEN = 3 + SHARED_NAME_LEN };

struct entry;
struct flight;

/* What is known of one that is asked. */
struct shared_node {
    bool is_late;
    unsigned in_flight;
};

struct shared {
    struct loop *loop;
    struct redis *redis;
    uv_timer_t timer;          /* of the earliest deadline */
    struct shared_wait *waits; /* any order */
    struct flight *free;
    struct entry *entries; /* NULL until there is a Redis */
    struct shared_node nodes[REDIS_NODES_MAX];
    unsigned late_count;
    uint64_t next_us;     /* that deadline */
    uint64_t patience_us; /* of the last that asked */
    bool is_used;
    bool has_looked; /* sockets, since the timer ran out */
    uint32_t state;  /* atomic: enum shared_state */
    struct note reason;
};

/* Of a bucket, as Redis has it. */
struct shared_key {
    char text[SHARED_KEY_LEN];
};

struct shared_key shared_key_of(const struct shared_name *name);
/* Whether a bucket can be asked for, by one that is waited for. */
bool shared_reaches(const struct shared *shared, const struct shared_name *name);
/* One that is asked answers later than requests wait, or no more. */
void shared_set_late(struct shared *shared, unsigned node, bool is_late);
/* Who is up has changed. */
void shared_tell(struct shared *shared);
/* The same, where the reason cannot be another one. */
void shared_tell_state(struct shared *shared);

#endif
