/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the admin API: what a call (one request until it is answered) is here.
 * Whoever runs it answers exactly once, which frees it. Manager thread.
 */
#ifndef EDGE_MANAGER_ADMIN_IMPL_H
#define EDGE_MANAGER_ADMIN_IMPL_H

#include <jansson.h>

#include "edge/manager/admin.h"
#include "edge/manager/confirm.h"
#include "rest/target.h"
#include "rest/rest.h"
#include "rest/rest_diag.h"

enum {
    ADMIN_BODY_SMALL = 64 * 1024,
    ADMIN_BODY_CONFIG = 16 * 1024 * 1024,
    ADMIN_BODY_KEYS = 33 * 1024 * 1024, /* control sends 32 MiB of keys at most */
};

struct admin_call {
    struct rest_call rest; /* first */
    struct admin *admin;
    uint32_t can;                         /* rights: 1 << enum conf_right */
    struct str actor;                     /* who asks: "socket", "token:NAME", "loopback" */
    void (*run)(struct admin_call *call); /* with the whole body */
    /* a change, and its place in the queue for it */
    struct manager_change change;
    void (*turn)(struct admin_call *call);
    struct admin_call *next_turn, *next_waiter;
    uv_work_t work; /* from here on: the endpoint's own */
    enum status status;
    uint64_t deadline_ms, generation;
    struct str text;
    struct target_text target;
    char *owned;           /* freed with the call */
    json_t *before;        /* what is to be changed, for the ledger; dropped with the call */
    json_t *plan;          /* what is to be; the same */
    struct key_ring *ring; /* to be looked up in */
    bool is_on;            /* what is wanted is this, not its end */
    enum service_mode mode;
};

struct counters_seen;

/* What was told of counters before, by slot. */
struct counters {
    struct counters_seen *seen;
    uint32_t capacity;
    uint64_t number; /* of the last answer */
};

struct admin {
    struct manager *manager;
    struct rest_server server;
    struct admin_call *turns, **last_turn, *turn; /* waiting for their turn; whose it is */
    struct admin_call *waiters;                   /* for targets without requests */
    struct admin_call *change_waiters;            /* for what control does not know yet */
    struct admin_call *wake_waiters;              /* for services that are asked for */
    uint64_t wake_number; /* of the last time that one was; larger than those of edges before */
    uint64_t heard_ms;    /* of the loop's clock: when control asked or said something last */
    uv_timer_t poll;
    struct confirm confirm;
    struct counters counters;
    bool is_reverting;
    uint64_t last_event, commented_ms;
};

/* --- admin_dispatch.c */
/* What the server asks (rest/rest.h). */
bool admin_dispatch(struct rest_call *rest);
/* The same. */
void admin_run(struct rest_call *rest);

/* --- admin_call.c */
/* The call that a server's is part of. */
struct admin_call *admin_call_of(struct rest_call *rest);
/* For no connection: nobody waits for it. NULL when memory ends. */
struct admin_call *admin_call_new(struct admin *admin);
void admin_call_free(struct admin_call *call);
/* What the server asks (rest/rest.h). */
void admin_call_drop(struct rest_call *rest);
/* Runs `turn` when no change is under way, in order; it ends with admin_turn_over(). */
void admin_turn_take(struct admin_call *call, void (*turn)(struct admin_call *call));
void admin_turn_over(struct admin_call *call);

#endif
