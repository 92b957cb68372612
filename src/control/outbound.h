/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP and e-mail from control to the outside: libcurl's multi-socket interface on the loop. Called
 * by edges.c, ACME, notices and backups. Every call has a time limit and a limit on the size of its
 * answer; certificates of servers are verified. A call is owned here; it ends in one call of
 * `done`, or in outbound_cancel(). Control's one thread.
 */
#ifndef CONTROL_OUTBOUND_H
#define CONTROL_OUTBOUND_H

#include <uv.h>

#include "control/pace.h"
#include "sluice/types.h"

struct outbound;      /* private */
struct outbound_call; /* private */

struct outbound_reply {
    long status;         /* HTTP; 0: there was no answer, `error` says why */
    struct str body;     /* terminated by a NUL that is not counted */
    const char *error;   /* a sentence without full stop */
    struct str nonce;    /* Replay-Nonce; absent: none. As the next two */
    struct str location; /* as sent */
    struct str cursor;   /* Fly-Next-Cursor */
    int64_t retry_ms;    /* Retry-After from now; 0: none */
    int64_t date_ms;     /* Date, Unix; 0: none */
};

/* Of SMTP: the URL is smtps://, or smtp:// with STARTTLS, which only loopback may lack. There is no
 * status then: without `error` the server has taken it. All texts are copied. */
struct outbound_mail {
    const char *from;
    const char *const *to;       /* ended by NULL */
    const char *user, *password; /* user NULL: no login */
};

/* Of a store that speaks S3: signed with version 4 of Amazon's signature. All texts are copied. */
struct outbound_sign {
    const char *region, *key, *secret;
};

/* All texts are copied. */
struct outbound_request {
    const char *method, *url;
    const char *socket;               /* path of a unix socket; NULL: as the URL says */
    const char *const *fields;        /* "Name: value", ended by NULL; or NULL */
    struct str body;                  /* absent: none */
    const char *ca;                   /* bundle of PEM; NULL: the system's */
    const struct outbound_mail *mail; /* NULL: it is HTTP */
    const struct outbound_sign *sign; /* NULL: not signed */
    uint32_t timeout_ms, size_max;
    bool is_near; /* an edge of ours: past any proxy, and a connection of its own */
    bool is_once; /* what it does must not be done twice: it is sent once, whatever happens */
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};

/* NULL: no memory. */
struct outbound *outbound_new(uv_loop_t *loop);
/* That of outbound_new(), for who works with this. */
uv_loop_t *outbound_loop(const struct outbound *outbound);
/* Starts a call; `done` comes later from the loop. NULL: no memory. */
struct outbound_call *outbound_send(struct outbound *outbound,
                                    const struct outbound_request *request);
/* Ends *call without `done` and clears it; it may be NULL. */
void outbound_cancel(struct outbound_call **call);
/* That of all who have the same key, such as a token's hash; `fresh` is what it is at first. Lives
 * as long as `outbound`. NULL: no memory. */
struct pace *outbound_pace(struct outbound *outbound, uint64_t key, const struct pace *fresh);
/* Ends all calls; the loop must turn once more for the memory to go. */
void outbound_close(struct outbound **outbound);

#endif
