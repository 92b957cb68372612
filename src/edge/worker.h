/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker: one thread, one loop, its own listeners' sockets, clients, pools and counters. It is
 * spoken to by letters and never waits for anybody. Made, steered and joined by the manager.
 */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include "edge/limit/shared.h"
#include "edge/listener.h"
#include "edge/sample.h"

struct worker;

struct worker_conf {
    unsigned index;
    struct stats *stats;        /* borrowed; outlives the worker */
    struct access_ring *ring;   /* borrowed */
    struct access_ring *traces; /* of what is traced; borrowed; NULL: nothing is */
    struct mailbox *home;       /* of the manager; borrowed; NULL: nobody looks after targets */
    struct str edge_name;       /* borrowed */
    struct filter_env env;      /* for filters; the worker puts its loop and index in */
    uint64_t id_prefix;
    size_t memory_limit;      /* bytes for this worker; 0: none */
    uint32_t connections_max; /* of this worker */
    int cpu;                  /* to pin to; -1: none */
};

/* Starts the thread; the worker serves nothing until it has a snapshot and a listener. E_IO,
 * E_NOMEM. */
MUST_USE enum status worker_start(struct worker **worker, const struct worker_conf *conf);
/* The end has three steps, each for all workers before the next, since they wake each other until
 * the last one has ended. Cuts the connections; the thread ends by itself. */
void worker_end(struct worker *worker);
/* Waits for the thread; the snapshot is let go. */
void worker_join(struct worker *worker);
void worker_free(struct worker **worker);

/* --- any thread */
/* Serves by this snapshot from now on; posts its ADOPTED letter home when the last worker does. */
void worker_adopt(struct worker *worker, struct snapshot *snapshot);
/* Accepts on these sockets, too; takes them over, whatever it returns. For a bind it knows: only
 * the health path is set anew, and count is 0. */
MUST_USE enum status worker_listen(struct worker *worker, const struct listener_spec *spec);
MUST_USE enum status worker_unlisten(struct worker *worker, const char *bind);
/* Answers say `Connection: close` from now on. */
MUST_USE enum status worker_announce_drain(struct worker *worker);
/* Stops accepting; idle connections close, others with their current request. */
MUST_USE enum status worker_drain(struct worker *worker);
/* Asks a release, see edge/sample.h; texts are copied. E_NOMEM. */
MUST_USE enum status worker_sample(struct worker *worker, const struct sample *sample);
/* Looks at the gates again. */
void worker_wake(struct worker *worker);

/* Numbers as of now, from relaxed reads. */
struct worker_numbers {
    uint32_t in_flight, connections, connections_max;
    uint64_t refused;
    uint64_t invalid; /* requests that validation on trial would have refused */
    uint64_t memory_used;
    uint64_t lag_us; /* of the loop, at the last probe */
    enum shared_state shared;
    enum trust_doubt doubt; /* of who its clients are */
};
/* Any thread: client connections that it had to end for this reason. */
uint64_t worker_faults(const struct worker *worker, enum reason why);
void worker_read(const struct worker *worker, struct worker_numbers *numbers);
/* Any thread: see shared_reason(). */
struct str worker_shared_reason(const struct worker *worker, char *text);
/* Any thread: what is remembered of a request, see trail_find(). */
struct str worker_recall(const struct worker *worker, struct str id, char *out, uint64_t *when);
/* Clients that came by a listener. */
uint32_t worker_clients(struct worker *worker, const char *bind);
/* Manager: how many more listeners it has places for; closed ones keep theirs while they have
 * clients. */
unsigned worker_listener_room(struct worker *worker);
/* Asks the worker to measure its lag; cheap. */
void worker_probe(struct worker *worker);

#endif
