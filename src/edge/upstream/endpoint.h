/* SPDX-License-Identifier: Apache-2.0
 *
 * A target as the edge knows it for as long as it stays in the configuration, across snapshots:
 * addresses, connections, counts. Identity is service, id and address. Made and found by the
 * manager thread; each worker touches its own `local` alone, but for the atomic count of a
 * concurrency cap. Counted: a snapshot holds one reference, a tunnel that let go of its snapshot
 * another.
 */
#ifndef EDGE_UPSTREAM_ENDPOINT_H
#define EDGE_UPSTREAM_ENDPOINT_H

#include <sys/socket.h>

#include "config/conf.h"
#include "edge/upstream/gate.h"

enum { ENDPOINT_ADDRESSES_MAX = 8 };

struct demand;
struct target_conn;

struct endpoint_address {
    struct sockaddr_storage socket;
    socklen_t len;
};

/* What requests told one worker of it, since it was made. Read by the manager. */
struct endpoint_told {
    uint64_t requests, failures;  /* ended tries; those that say something bad of it */
    uint64_t answers, latency_us; /* heads that came, and the sum of the waits for them */
    uint64_t slow;                /* of those, over endpoint->slow_us */
    uint32_t in_row;              /* failures since the last good answer */
};

/* One worker's part. */
struct endpoint_local {
    struct target_conn *idle;       /* of one user each, newest first */
    struct target_conn *shared;     /* of several users, or being opened for them; newest first */
    struct ssl_session_st *session; /* owned: the next TLS connection resumes it; NULL: none */
    uint64_t session_manner;
    bool speaks_h2; /* what ALPN came to last */
    uint32_t idle_count, open, in_flight;
    bool is_retired; /* no longer in this worker's snapshot: keep nothing */
    struct endpoint_told told;
} __attribute__((aligned(64)));

struct endpoint {
    uint32_t refs;                   /* atomic */
    struct str service, id, address; /* owned; address as written */
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    unsigned address_count; /* 0: the name did not resolve */
    uint32_t slot;          /* of its counters; atomic, set with each snapshot */
    uint32_t cap;    /* requests at once over all workers; 0: no cap. Atomic, set by the manager */
    uint32_t in_use; /* atomic; counted only by services with a cap */
    uint32_t idle_max; /* kept per worker; atomic, set by the manager */
    /* what is known of it: atomic, set by the manager, who then moves the gate's epoch */
    uint32_t standing;             /* enum standing */
    uint32_t trials;               /* its breaker is half open: requests that may still try it */
    bool is_half_open, is_suspect; /* suspect: a worker wants it looked at now */
    uint32_t in_row_max;           /* failures in a row that make it suspect; 0: off */
    uint32_t slow_us;              /* 0: nothing counts as slow */
    uint64_t up_since_ms;          /* clock of the loops; 0: for ever */
    void *watch;                   /* the manager's own notes of it */
    struct demand *demand; /* of its service; outlives it; NULL: of no service of the edge's */
    unsigned workers;
    struct endpoint_local locals[]; /* one a worker */
};

/* With one reference. Copies the strings. NULL when memory ends. */
struct endpoint *endpoint_new(struct str service, struct str id, struct str address,
                              unsigned workers);
void endpoint_ref(struct endpoint *endpoint);
/* The last one frees; no connection may be open by then. Clears the pointer. */
void endpoint_unref(struct endpoint **endpoint);

/* Resolves `address` (blocking: not on a loop thread) into addresses: literal, name (getaddrinfo)
 * or unix path. E_NOT_FOUND with *error (static text) when there is none. */
MUST_USE enum status endpoint_resolve(const struct conf_address *address,
                                      struct endpoint_address *addresses, unsigned *count,
                                      const char **error);

/* Worker: what resumes a TLS connection of this manner; takes `session` over. */
void endpoint_keep_session(struct endpoint_local *local, struct ssl_session_st *session,
                           uint64_t manner);

/* A number for what stands behind a target: a name that leads elsewhere is another one. In any
 * order of the addresses. */
uint64_t endpoint_fingerprint(const struct endpoint_address *addresses, unsigned count);

enum endpoint_verdict {
    ENDPOINT_SERVED,
    ENDPOINT_ERRED,  /* it answers, and says that it failed */
    ENDPOINT_FAILED, /* no connection, no answer, or one that says that nothing is behind it */
    ENDPOINT_CUT,    /* said of a request a second time: its answer broke off */
};

/* Worker: a try has come so far. `wait_us`: until the head of the answer; UINT64_MAX: none came.
 * True: it should be looked at now. */
bool endpoint_tell(struct endpoint *endpoint, unsigned worker, enum endpoint_verdict verdict,
                   uint64_t wait_us);
/* Worker: takes one of the requests that may try it while its breaker is half open. */
bool endpoint_take_trial(struct endpoint *endpoint);
/* Worker: a request that told nothing of it gives its trial back, if it may have had one. */
void endpoint_give_trial(struct endpoint *endpoint);

#endif
