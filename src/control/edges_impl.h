/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by edges.c and edge_push.c: the list of edges and of what they are to have. Bit `n` of a
 * mask stands for edge `n`.
 */
#ifndef CONTROL_EDGES_IMPL_H
#define CONTROL_EDGES_IMPL_H

#include "control/edge_feed.h"
#include "control/edges.h"

struct edge {
    struct edges *edges;
    char *name, *url, *socket, *field, *ca; /* field: the Authorization line; the last three: NULL:
                                               none, or the system's */
    struct edge_feed *feed;                 /* of what is changed on it */
    struct outbound_call *call;             /* the one that runs */
    const void *subject;                    /* what it pushes; NULL: it asks */
    int64_t poll_ms, list_ms;               /* monotonic; when to ask, and to compare */
    int64_t retry_ms, again_ms[2];          /* not before: anything; answers and certificates */
    json_int_t pid, generation;             /* 0: not known */
    bool is_own, is_unreachable;
    bool refuses[2];   /* answers and certificates: the last one was */
    bool was_failing;  /* said already */
    bool is_forgotten; /* not waited for until it answers again */
    int64_t silent_ms; /* monotonic; it has not answered since. 0: it answers */
    char error[256];
};

struct edges_item {
    struct edges_item *next;
    bool is_certificate, is_dropped;
    char *name; /* of a certificate; the token of an answer */
    char *fingerprint, *body;
    uint64_t have; /* mask */
};

struct edges {
    struct edges_options options;
    struct edge items[EDGES_MAX];
    uint32_t count, version;
    struct edges_item *wanted;
    json_t *forgotten; /* {name: Unix ms}, as in the store */
    struct store_list list;
    struct store_put put; /* takes one out that answers again */
    bool is_putting;
};

/* It is out of reach, or does not take something. */
static inline bool edge_is_failing(const struct edge *edge)
{
    return edge->is_unreachable || edge->refuses[0] || edge->refuses[1];
}

/* --- edges_forget.c */
/* Reads whom people have given up. */
void edges_read_forgotten(struct edges *edges);
/* One that answers is waited for again. */
void edges_remember(struct edges *edges);

/* As edges_ask(). */
struct outbound_call *edge_call(const struct edge *edge, const struct edges_ask *ask);
/* Starts the next call of an edge that is due, if there is one. */
void edge_push_next(struct edge *edge, int64_t now_ms);

#endif
