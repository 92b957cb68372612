/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by pool.c, which keeps connections, and pool_open.c, which makes them.
 */
#ifndef EDGE_UPSTREAM_POOL_IMPL_H
#define EDGE_UPSTREAM_POOL_IMPL_H

#include "edge/upstream/pool.h"

/* The memory of one: the connection, then its wire. */
struct pool_slot {
    struct target_conn target;
    _Alignas(16) char wire[];
};

/* This worker's part of its endpoint. */
struct endpoint_local *pool_local_of(const struct target_conn *target);
/* Counts it among those that are open. */
void pool_count_open(const struct target_conn *target, int change);
/* Into and out of the list of those that several may use. */
void pool_share(struct target_conn *target);
void pool_unshare(struct target_conn *target);
/* Where new connections begin: their callbacks. */
extern const struct conn_ops pool_conn_ops;

/* --- pool_open.c */
/* It is open, or it is not (target->why): tells all that wait. */
void pool_tell(struct target_conn *target);
void pool_on_secure(struct conn *conn);
void pool_on_insecure(struct conn *conn, enum reason why);
/* What a service must say to get this connection. */
uint64_t pool_manner_of(const struct pool_manner *manner);

#endif
