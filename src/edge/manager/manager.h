/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge process's main thread: it owns the workers, the running configuration and the admin API,
 * and takes changes one at a time: each is built on a helper thread, pushed to every worker, and
 * told back when all serve by it. It never blocks for more than a few milliseconds and no worker
 * waits for it. All functions: manager thread.
 */
#ifndef EDGE_MANAGER_MANAGER_H
#define EDGE_MANAGER_MANAGER_H

#include <limits.h>

#include "edge/manager/builder.h"
#include "edge/manager/certificates.h"
#include "edge/manager/checks.h"
#include "edge/manager/discovery.h"
#include "edge/manager/hosts.h"
#include "edge/manager/key_book.h"
#include "edge/manager/keys.h"
#include "edge/manager/overlay.h"
#include "edge/worker.h"
#include "process/link.h"

enum { MANAGER_PEERS_MAX = 4, MANAGER_LISTENERS_MAX = 64, MANAGER_WATCHES_MAX = 16 };

/* A change that was asked for. The asker owns it; it is told once, and may free it then. */
struct manager_change {
    enum change_kind kind;
    struct str
        text; /* CHANGE_CHECK and CHANGE_REPLACE: the configuration to try; borrowed until told */
    struct str name; /* CHANGE_CERTIFICATES: of a pushed one, whose PEM `text` is; absent: none */
    /* status OK: `generation` is served by every worker (for CHECK: it would do). Else nothing
     * changed, and `diag` says why. `diag` (never NULL; warnings also on success) is valid during
     * the call. */
    void (*on_done)(struct manager_change *change, enum status status, uint32_t generation,
                    const struct diag *diag);
    const char *was, *is; /* when on_done is called: digests of the configuration */
    struct manager_change *next;
};

/* Another edge process of this supervisor that finishes its requests. */
struct manager_peer {
    int32_t pid; /* 0: free */
    uint32_t generation;
    uint64_t in_flight;
};

struct manager_options {
    const char *config; /* path of the file; also while a copy of what lasted is served */
    bool watch;
    bool last_good; /* start with the configuration that lasted */
    const struct link *link;
};

struct admin;

struct manager {
    struct loop loop; /* the manager's own; also what checks of targets run on */
    bool has_loop;
    struct manager_options options;
    const struct filter *const *filters;
    /* the data plane */
    struct worker *workers[STAT_WORKERS_MAX];
    unsigned worker_count;
    struct stats *stats, *own_stats; /* own: of connections that checks open */
    pthread_mutex_t stats_lock;      /* builder gives out slots, manager scrapes */
    struct access_log *log;
    struct traces *traces; /* on their way to control */
    struct registry *registry;
    struct key_store *key_store;
    struct key_book *key_book; /* API keys made at run time */
    struct keys *keys;         /* keeps what is in it fresh */
    /* what runs */
    struct snapshot *snapshot; /* newest published */
    struct rules *rules;       /* its, counted */
    uint32_t generation, live_snapshots, connections_max;
    const struct conf
        *loaded; /* at start: what was read to size the process, for the first build */
    struct arena loaded_arena;
    struct overlay *overlay;
    struct changes *changes;
    char digest[DIGEST_TEXT]; /* of the configuration that runs */
    struct checks *checks;
    struct health_memory *memory;
    struct limiter *limiter;
    struct replay *replay;
    bool was_degraded; /* rate limits, as the last event said */
    char degraded_why[NOTE_MAX + 1];
    struct shield *shield;
    struct dict_store *dicts; /* what scripts share */
    struct discovery *discovery;
    struct hosts *hosts;
    struct certificates certificates;
    struct tls_tickets *tickets;
    struct tls_challenges *challenges;
    struct mailbox home;
    struct listening listeners[MANAGER_LISTENERS_MAX]; /* public ones and the admin's, by bind */
    unsigned listener_count;
    /* changes */
    struct manager_change *first, **last, first_change;
    struct manager_change refresh; /* for what targets have become by themselves */
    bool is_refreshing;            /* it is in the queue */
    bool needs_refresh;            /* something came that no build has taken yet */
    struct builder *building;      /* NULL: none */
    bool is_publishing;            /* the first in the queue waits for its snapshot to be adopted */
    uint64_t reloads_good, reloads_bad;
    bool last_reload_good, is_snapshot_left;             /* left by all workers, at the end */
    bool is_ready, is_draining, is_drained, is_stopping; /* drained: accepting has ended */
    bool is_final;    /* no other edge takes over: the listeners go with this one */
    bool is_signaled; /* TERM or INT came: the next one ends all at once */
    bool runs_last_good;
    char state_dir[PATH_MAX]; /* as at start */
    /* the rest of the process */
    struct manager_peer peers[MANAGER_PEERS_MAX];
    struct admin *admin;
    uint64_t started_ms;         /* wall clock */
    uint64_t memory_max, lag_us; /* lag: of this loop, at the last second */
    uv_timer_t second, drain_timer, settle;
    uv_poll_t notices;
    uv_signal_t term, interrupt;
    uv_fs_event_t *watches[MANAGER_WATCHES_MAX];
    unsigned watch_count;
    uint64_t drain_deadline_ms, lasted_ms,
        ticked_us; /* lasted_ms: since when the configuration serves */
    char edge_name[64];
    int exit_code;
};

/* Runs an edge until it has drained; the process's exit code: 0, 2 for a configuration that is
 * wrong at start, 1 else. */
int manager_run(const struct manager_options *options, const struct filter *const *filters);

/* Puts a change in the queue. */
void manager_change(struct manager *manager, struct manager_change *change);
/* Reloads without anybody waiting (HUP, --watch): problems go to stderr. `why` is static. */
void manager_reload(struct manager *manager, const char *why);
/* Begins to drain: readyz says no, answers say close, after `delay_ms` accepting ends, and after
 * the drain time all ends. Before there is a configuration it ends at once. */
void manager_drain(struct manager *manager, uint32_t delay_ms);

const struct conf *manager_conf(const struct manager *manager);
/* Sums over workers. */
uint64_t manager_in_flight(const struct manager *manager);
uint64_t manager_connections(const struct manager *manager);
/* How rate limits are shared: degraded when one worker says so. */
enum shared_state manager_shared(const struct manager *manager);
/* Why, as the first worker that knows says; into NOTE_MAX + 1 bytes. Empty: they are not. */
struct str manager_shared_reason(const struct manager *manager, char *text);

#endif
