/* SPDX-License-Identifier: Apache-2.0
 *
 * Who an exchange works for: the worker that runs it, and the client's connection that it came by.
 * Both outlive it. One thread (the worker's).
 */
#ifndef EDGE_EXCHANGE_HOST_H
#define EDGE_EXCHANGE_HOST_H

#include "base/clock.h"
#include "edge/loop.h"
#include "edge/metric/access.h"
#include "edge/metric/trail.h"
#include "edge/snapshot.h"
#include "edge/trust.h"
#include "sluice/wire.h"

struct errand;
struct exchange;

/* What a worker lends its exchanges. */
struct exchange_host {
    struct loop *loop;
    struct snapshot *snapshot; /* current */
    struct stats *stats;
    struct access_ring *ring;
    struct access_ring *traces; /* requests whose spans are kept; NULL: none are */
    uint64_t trace_random[2];   /* of ids, and of what is sampled */
    struct trail *trail;        /* what is remembered of requests; NULL: nothing */
    uint32_t sampled;    /* a number between 0 and 1, as a fraction of 2^32: see exchange_why.c */
    uint32_t full_notes; /* of this second */
    uint64_t full_second;
    struct wire_limits limits; /* of the current snapshot; wires point here */
    struct filter_env env;     /* for filters */
    struct clock_date date;
    struct trust_watch watch;
    struct errand *errands;      /* that are under way */
    uint32_t errands_forgotten;  /* of these: nobody waits for them */
    struct str edge_name;        /* names this edge in request ids and Proxy-Status */
    struct str via[3];           /* "1.0 EDGE", "1.1 EDGE", "2.0 EDGE": see exchange_via() */
    struct gate_local *waiting;  /* gates at which requests of this worker wait */
    struct loop_timer pace;      /* until more of those that waited for a wake may leave */
    struct mailbox *home;        /* of the manager: woken when a target should be looked at */
    uint32_t news;               /* of the snapshot, when standings were looked at last */
    uint64_t id_prefix, id_next; /* of request ids */
    uint32_t in_flight;          /* written with relaxed stores: the manager reads it */
    bool is_draining;            /* answers carry Connection: close */
};

/* What the client's connection knows of a request; outlives it. */
struct exchange_origin {
    struct caller peer;     /* the other end of the connection */
    struct str health_path; /* of the listener; empty: none */
    struct str hsts;        /* Strict-Transport-Security of the listener; empty: none */
    struct str cert_header,
        cert_subject;    /* of the client's certificate, for the target; empty: none */
    uint32_t listener;   /* index in the current configuration; past its end: of none there */
    bool redirect_https; /* everything but health checks goes to https */
    /* Whether the connection serves this host (RFC 9110 7.4); NULL: any. */
    bool (*is_ours)(const struct exchange_origin *origin, struct str authority);
    /* The certificate that its client showed, verified; NULL: none can be there. */
    const struct peer_cert *(*peer_cert)(struct exchange_origin *origin);
    uint64_t began_us;      /* first byte of the next request */
    struct exchange *first; /* all that run, newest first */
};

#endif
