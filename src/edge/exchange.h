/* SPDX-License-Identifier: Apache-2.0
 *
 * One request and its answer, between a client's stream and a target's. exchange.c has the table of
 * its steps; exchange_request.c, exchange_pick.c, exchange_target.c, exchange_retry.c,
 * exchange_answer.c, exchange_body.c and exchange_end.c hold them. Made by the client's codec
 * through exchange_open(), ends itself. One thread (the worker's).
 */
#ifndef EDGE_EXCHANGE_H
#define EDGE_EXCHANGE_H

#include "edge/exchange_host.h"
#include "edge/upstream/pool.h"

enum step {
    STEP_HEAD,
    STEP_ROUTE,
    STEP_ASK,
    STEP_PICK,
    STEP_CONNECT,
    STEP_SEND,
    STEP_ANSWER,
    STEP_TELL,
    STEP_RELAY,
    STEP_REFUSE,
    STEP_DONE,
    STEP_WAIT, /* not a step: an event will come */
};

/* Made with the second try. Lives in the exchange's arena. */
struct exchange_tries {
    const struct endpoint *tried[RELEASE_TRIED_MAX];   /* could not be reached; only compared */
    const struct endpoint *shunned[RELEASE_TRIED_MAX]; /* failed: others are better */
    uint8_t tried_count, shunned_count;
    struct str text; /* those that ended, as the members of a JSON array */
};

struct exchange_reply {
    uint16_t status;
    struct str content_type, body;
    struct str location; /* absent: none */
};

/* What a request has its release by. */
enum exchange_by { EXCHANGE_BY_SPLIT, EXCHANGE_BY_WISH, EXCHANGE_BY_LIST, EXCHANGE_BY_NET };

struct exchange {
    /* the two ends */
    struct stream down;
    struct stream *up; /* own_up, or that of a hedge that won */
    struct stream own_up;
    struct exchange_host *host;
    struct exchange_origin *origin; /* of the client's connection */
    const struct caller *caller;    /* the origin's peer, or who that speaks for */
    const struct conf_trust *trust; /* of the listener */
    struct exchange *prev, *next;   /* of the same connection */
    struct target_conn *target;     /* taken; NULL: none */
    struct pool_waiter opening;
    struct exchange_hedge *hedge;  /* of the arena: the same request at another target; NULL */
    struct loop_pause pause;       /* of the answer's body, for filters that keep some of it back */
    struct loop_timer hedge_timer; /* when the answer is late */
    /* lives */
    struct arena arena;
    struct snapshot *snapshot; /* pinned; NULL once a tunnel let go */
    struct snapshot *view;     /* a newer one that `service` is of; pinned; NULL: there is none */
    struct endpoint *kept;     /* a tunnel's own reference */
    struct loop_timer timer;
    struct loop_timer deadline; /* a gRPC client's */
    /* progress */
    enum step step;
    const struct rule *rule; /* NULL: no route */
    const struct conf_route *route;
    struct service *service;
    struct release *release;      /* of it; NULL until PICK */
    struct gate *gate;            /* a place under its cap is held; NULL: there is no cap */
    struct gate_local *queue;     /* where it waits; NULL: it does not */
    struct queue_entry waiting;   /* there */
    int32_t index;                /* of the target in the release */
    uint64_t new_client;          /* the number that the client is given to be known by; 0: none */
    uint64_t key, sticky;         /* to pick by; sticky: hash of a target's id, 0 none */
    struct exchange_tries *tries; /* NULL: the first one runs */
    struct exchange_trace *trace; /* NULL: it is not traced */
    struct chain_walk walk;
    struct head *request, *response;
    struct exchange_reply reply;
    struct demand *sleep; /* counted among those that wait for it to wake; NULL: it is not */
    struct wake_policy_why unwoken;    /* why it may not wake its service */
    const struct conf_answer *instead; /* for REFUSE, as the service has it; NULL: our own page */
    struct buf held; /* request body bytes not sent, or sent and kept for another try */
    struct head *held_trailers;
    uint32_t owed_down, owed_up; /* bytes of request and answer not yet credited */
    /* what happened */
    enum reason reason;
    uint16_t status;
    uint8_t release_by;        /* enum exchange_by */
    uint8_t attempts, resends; /* all tries; those after one that was sent */
    bool is_picked : 1;        /* PICK has been there */
    bool is_of_wave : 1;       /* it waited for a wake, and has no answer yet */
    bool is_told : 1;          /* what is to be thought of this try's target was said */
    bool is_pausing : 1;       /* before another try */
    bool is_on_trial : 1;      /* its share of the split is a release that is not stable */
    bool is_sample : 1;        /* asked for by control: its release is given */
    bool is_by_own_proxy : 1;  /* what it says beside addresses is believed, too */
    bool is_charged : 1, is_charged_bad : 1; /* its release, with what came of the first try */
    bool is_running : 1, is_over : 1, is_own : 1, is_tunnel : 1, holds_place : 1;
    bool is_sending : 1;               /* the request head is out: body goes through */
    bool is_answering : 1;             /* the answer head is out */
    bool is_holding : 1;               /* filters want the body whole before the head goes on */
    bool held_last : 1;                /* the held body is the whole body */
    bool can_replay : 1;               /* held has all that was sent of the body */
    bool answer_began : 1;             /* the target's answer head is in */
    bool wants_fresh : 1;              /* the next connection may not be a kept one */
    bool down_ended : 1, up_ended : 1; /* that end said its last byte */
    bool came_whole : 1;               /* the request ended with its head */
    bool is_routed : 1;                /* counted as in flight of its route */
    bool is_only_announced : 1;        /* a preflight, for whose own method there is no route */
    bool is_prepared : 1;              /* the request is as the target gets it */
    bool awaits_continue : 1; /* the client sends its body only after a 100 that has not come yet */
    bool is_discarding : 1;   /* answered by ourselves, the rest of the body is read for nothing */
    bool is_silent : 1;       /* neither counted nor logged: a platform's health check */
    bool was_behind : 1;      /* since that look the client had to wait for us */
    bool is_slow : 1;         /* found so by that look */
    bool ends_in_grpc : 1;    /* the target's answer is gRPC: it can be ended by trailers of ours */
    /* numbers for the log */
    struct str grpc_type; /* the client's content type if it speaks gRPC or gRPC-Web, else absent */
    struct str id, path, route_label, service_name, release_id, target_id;
    uint32_t generation, route_slot, target_slot;
    struct str detail;          /* of a refusal, where no filter says one; absent: no more to say */
    uint32_t retry_s;           /* what Retry-After says; 0: as usual */
    uint64_t slept_us, cold_us; /* found its service asleep then; waited so long for it */
    uint64_t sleep_bytes;       /* of its body that were counted there */
    uint64_t vouched;           /* header ids of addresses that hops vouch for */
    uint64_t first_us, netted_us; /* first try begun; given to the stable release, 0: it was not */
    uint64_t bytes_in, bytes_out, began_us, mark_us, active_us, sent_us, picked_us, acked;
    uint64_t checked_us,
        checked_in; /* when its client's speed was looked at last, and bytes_in then */
    uint32_t phase_us[ACCESS_PHASES];
};

/* The client's codec has a request: gives its stream, NULL when memory is short. */
struct stream *exchange_open(struct exchange_host *host, struct exchange_origin *origin);
/* The client's connection found a fault of its own: slow body, slow reading. Ends the exchange,
 * with an answer if none has begun. */
void exchange_fail(struct exchange *exchange, enum reason why);
/* Bytes of an exchange, for the loop's slab. */
size_t exchange_size(void);
/* A gate may have opened: serves what waits on this worker, oldest first. */
void exchange_wake(struct exchange_host *host);
#endif
