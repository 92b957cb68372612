/* SPDX-License-Identifier: Apache-2.0
 *
 * One change on its way: everything slow, on a thread of libuv's pool. Reads and checks the
 * configuration, compiles the rules, resolves names, asks the supervisor for sockets, writes files.
 * The manager starts it and takes the result; one at a time. The builder thread touches only this
 * struct and what the comments give it.
 */
#ifndef EDGE_MANAGER_BUILDER_H
#define EDGE_MANAGER_BUILDER_H

#include "edge/listener.h"
#include "config/digest.h"
#include "edge/manager/pushed.h"
#include "edge/snapshot.h"
#include "process/link.h"

enum change_kind {
    CHANGE_RELOAD,  /* the file as it is now */
    CHANGE_CHECK,   /* would this text do? */
    CHANGE_REPLACE, /* write this text to the file (temporary, fsync, rename), then reload; put back
                       if it will not do */
    CHANGE_TARGETS, /* the overlay changed: save it, new views for the same rules */
    CHANGE_CERTIFICATES, /* reads certificates again for the same rules; with a name, writes or
                            removes a pushed one first, and takes that back if it will not do */
};

enum listening_kind { LISTENING_PUBLIC, LISTENING_ADMIN, LISTENING_METRICS };

/* Sockets of one bind, as they came from the supervisor. */
struct listening {
    char bind[128];
    enum listening_kind kind;
    char health[LISTENER_HEALTH_MAX];
    int fds[LINK_SOCKETS_MAX];
    unsigned held;
    bool is_new; /* fds are ours to hand out; else it runs already */
};

struct overlay;

struct builder {
    /* asked */
    enum change_kind kind;
    const char *path;                    /* of the configuration */
    struct str text;                     /* borrowed: CHECK, REPLACE; CERTIFICATES: of the pushed
                                            one, absent: removed */
    struct str name;                     /* borrowed: CERTIFICATES: of the pushed one, or absent */
    const char *state_dir;               /* borrowed */
    const struct filter *const *filters; /* borrowed */
    const struct conf
        *loaded; /* RELOAD: what the file said a moment ago, in loaded_arena; NULL: read it */
    struct arena loaded_arena;
    struct rules *rules; /* TARGETS, CERTIFICATES: those that run, a reference; else the result */
    struct doors before; /* that are served now; owned */
    struct tls_tickets *tickets; /* borrowed, as all that follows */
    struct tls_challenges *challenges;
    struct registry *registry; /* used by nobody else meanwhile */
    struct health_memory *memory;
    struct overlay *overlay; /* changed by nobody meanwhile */
    struct found *found;     /* a reference; what discovery has found by now */
    const struct link *link;
    const struct listening *running; /* what listens now */
    unsigned running_count;
    struct mailbox *home;
    struct filter_env env; /* its stores alone */
    struct stats *stats;
    pthread_mutex_t *stats_lock;
    unsigned workers;
    uint32_t generation;
    uint32_t uid, gid;      /* owner of the admin socket */
    unsigned listeners_max; /* of all kinds */
    unsigned public_room;   /* for how many new ones the workers have places */
    /* given */
    enum status status;
    struct arena arena; /* of the diag */
    struct diag diag;
    struct doors doors;       /* on their way into the snapshot */
    struct pushed pushed;     /* that were read for them */
    uint64_t identity;        /* of the certificate files, before they were read */
    bool has_read;            /* they were */
    char digest[DIGEST_TEXT]; /* RELOAD, REPLACE: of the configuration */
    struct snapshot *snapshot;
    struct listening *listening; /* all binds wanted, new ones with sockets */
    unsigned listening_count;
};

/* Whether a change of this kind serves by the rules that run, and touches no socket. */
bool builder_keeps_rules(enum change_kind kind);
/* Does the work; any thread. */
void builder_run(struct builder *builder);
/* Frees what is left of it: results the manager took are set to NULL. New sockets are closed and
 * given up. */
void builder_free(struct builder **builder);
/* An empty one, NULL when memory ends. */
struct builder *builder_new(void);

#endif
