/* SPDX-License-Identifier: Apache-2.0
 *
 * What is changed on one edge, fetched into the ledger: a call that waits at the edge until there
 * is something, an append to the store, and the next call, which tells the edge that it may forget
 * what was appended. An edge out of reach, or a store that fails, is asked again in two seconds
 * from where it was. Called by edges.c. Control's one thread.
 */
#ifndef CONTROL_EDGE_FEED_H
#define CONTROL_EDGE_FEED_H

#include "control/outbound.h"
#include "control/store.h"

struct edge_feed; /* private */

/* Texts are copied. */
struct edge_feed_options {
    struct outbound *outbound;
    struct store *store;
    const char *name, *url, *socket, *field, *ca; /* of the edge; the last three: NULL: none */
};

/* NULL: no memory. */
struct edge_feed *edge_feed_new(const struct edge_feed_options *options);
/* Goes on if something is due at `now_ms`, monotonic. */
void edge_feed_tick(struct edge_feed *feed, int64_t now_ms);
/* Ends; what the store still does for it is its last. */
void edge_feed_free(struct edge_feed **feed);

#endif
