/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by edges.c and edge_*.c: the list of edges and of what they are to have. Bit `n` of a
 * mask stands for edge `n`.
 */
#ifndef CONTROL_EDGES_IMPL_H
#define CONTROL_EDGES_IMPL_H

#include "config/conf.h"
#include "control/edge_feed.h"
#include "control/edges.h"

/* By what it runs, as far as control gives it that. */
enum edge_config {
    EDGE_CONFIG_UNKNOWN, /* not asked since it had another generation */
    EDGE_CONFIG_OTHER,
    EDGE_CONFIG_TRIED, /* ours, until its minute is over without our word */
    EDGE_CONFIG_FOUND, /* ours, and maybe on such a trial: the answer to it was lost */
    EDGE_CONFIG_SAME,
};

/* How an edge stands to the API keys of all. */
struct edge_keys {
    int64_t epoch, revision, pushing; /* that it has; under way */
    int64_t again_ms;                 /* monotonic; not before */
    bool is_refused;                  /* the last ones were */
};

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
    bool refuses[2]; /* answers and certificates: the last one was */
    struct edge_keys keys;
    bool was_failing; /* said already */
    bool was_tried;   /* our configuration, and our word on it did not come through */
    bool withholds;   /* it cannot be given a configuration */
    bool is_outdated; /* a call of before the file of the edges changed */
    enum edge_config config;
    int64_t config_ms; /* monotonic; not asked about it before */
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

/* What all edges are to run by. */
struct edges_config {
    char *text;      /* owned; NULL: they have files of their own */
    bool is_refused; /* by one of them, in these words */
    char why[400], unread[400];
};

struct edges {
    struct edges_options options;
    struct edge items[EDGES_MAX];
    uint32_t count, version;
    struct edges_item *wanted;
    struct edges_config config;
    char *keys; /* body; NULL: nothing is said of them */
    int64_t keys_revision;
    json_t *forgotten; /* {name: Unix ms}, as in the store */
    struct store_list list;
    struct store_put put; /* takes one out that answers again */
    bool is_putting;
};

/* It is out of reach, or does not take something. */
static inline bool edge_is_failing(const struct edge *edge)
{
    return edge->is_unreachable || edge->refuses[0] || edge->refuses[1] || edge->withholds ||
           edge->keys.is_refused;
}

/* --- edges_forget.c */
/* Reads whom people have given up. */
void edges_read_forgotten(struct edges *edges);
/* One that answers is waited for again. */
void edges_remember(struct edges *edges);

/* --- edges_config.c */
/* Empty: edges have files of their own. One that cannot be read leaves what was read before. */
void edges_config_read(struct edges *edges, const struct conf_text *file);
void edges_config_drop(struct edges *edges);
/* Begins what is to be done about it for an edge without a call; false: nothing is. */
bool edges_config_next(struct edge *edge, int64_t now_ms);
/* How far it is: "current", "behind", "refused" or "unknown"; NULL: it has a file of its own. */
const char *edges_config_word(const struct edge *edge);
/* Why it stays as it is. NULL: it does not. */
const char *edges_config_error(const struct edge *edge);

/* --- edge_push.c */
/* It did not answer. */
void edge_fail(struct edge *edge, const struct outbound_reply *reply);
/* It did. */
void edge_succeed(struct edge *edge);
/* What it said instead, for whoever asks. */
void edge_note_error(struct edge *edge, const struct outbound_reply *reply);
/* As edges_ask(). */
struct outbound_call *edge_call(const struct edge *edge, const struct edges_ask *ask);
/* Starts the next call of an edge that is due, if there is one. */
void edge_push_next(struct edge *edge, int64_t now_ms);

/* --- edge_keys.c */
/* Takes from its status which it has. */
void edge_keys_take(struct edge *edge, const json_t *status);
bool edge_keys_are_due(const struct edge *edge, int64_t now_ms);
void edge_keys_push(struct edge *edge);

#endif
