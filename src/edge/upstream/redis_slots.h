/* SPDX-License-Identifier: Apache-2.0
 *
 * What nodes of a cluster and sentinels say of where keys are, without any I/O: the slot of a key,
 * CLUSTER SLOTS, MOVED and ASK, and the master of a name (Redis 6 and later). One thread.
 */
#ifndef EDGE_UPSTREAM_REDIS_SLOTS_H
#define EDGE_UPSTREAM_REDIS_SLOTS_H

#include "edge/upstream/redis_reply.h"

enum { REDIS_SLOTS = 16384, REDIS_HOST_MAX = 253 };

/* Where one listens. */
struct redis_address {
    char host[REDIS_HOST_MAX + 1]; /* empty: where the one that says so was asked */
    uint16_t port;
};

/* Slots that one master serves. */
struct redis_range {
    uint16_t first, last;
    struct redis_address master;
};

enum redis_hint { REDIS_STAYS, REDIS_MOVED, REDIS_ASK };

/* CRC16 (XMODEM) of the key, or of what stands between its first { and the next }, if anything. */
unsigned redis_slot(struct str key);

/* The answer to CLUSTER SLOTS, range by range; `take` NULL: only looks. E_PROTOCOL: it is none, and
 * the ranges before what is wrong have been taken. Ranges whose master has no known address are
 * left out. */
MUST_USE enum status redis_slots_read(const struct redis_reply *reply,
                                      void (*take)(void *owner, const struct redis_range *range),
                                      void *owner);

/* What an error says: "MOVED 3999 host:port", "ASK 3999 host:port"; else REDIS_STAYS. E_PROTOCOL:
 * one of both that cannot be read. */
MUST_USE enum status redis_hint_read(const char *text, enum redis_hint *hint, unsigned *slot,
                                     struct redis_address *address);

/* The answer to SENTINEL get-master-addr-by-name. E_NOT_FOUND: it knows no such master. */
MUST_USE enum status redis_master_read(const struct redis_reply *reply,
                                       struct redis_address *address);
/* The answer to ROLE. */
bool redis_role_is_master(const struct redis_reply *reply);

#endif
