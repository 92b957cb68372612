/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by acme.c, acme_set.c, acme_run.c and acme_status.c: a set of domains with its certificate
 * and the order that may be under way. Invariant: a set has at most one call under way.
 */
#ifndef CONTROL_ACME_IMPL_H
#define CONTROL_ACME_IMPL_H

#include "base/clock.h"
#include "control/acme.h"
#include "control/acme_cert.h"
#include "control/acme_client.h"
#include "control/acme_order.h"
#include "control/acme_store.h"

enum { ACME_RUNS_MAX = 4 /* orders at a time */ };

/* What tells one set from another across reloads. */
struct acme_identity {
    struct acme_names names; /* sorted, each once */
    struct str directory, email, ca, state;
    enum conf_acme_challenge challenge;
};

struct acme_run; /* acme_run.c */

struct acme_set {
    struct acme *acme;
    struct acme_set *next;
    struct acme_client *client; /* of acme->clients */
    struct arena arena;         /* of the next four */
    struct acme_identity identity;
    struct str name, folder; /* first domain and a hash of all; acme_store_folder() */
    bool *by_alpn;           /* for each name: http-01 failed, the other did not */
    bool is_kept;            /* by the configuration being taken */
    bool is_retired; /* by the one that holds: its certificate serves until others are there */

    struct arena cert_arena; /* of the next two */
    struct acme_cert cert;
    struct str key, chain; /* PEM */
    bool has_cert;
    struct acme_window window; /* what the CA suggests */
    int64_t window_ms;         /* when to ask for it again; steady */

    struct acme_progress progress;
    bool is_asked;  /* somebody wants it renewed now */
    bool has_order; /* one that was placed is not over: it is in the journal */
    struct acme_call call;
    struct acme_run *run; /* NULL: none */
};

/* One for each CA, address and bundle. */
struct acme_ca {
    struct acme_ca *next;
    struct acme_client *client;
    struct arena arena;
    struct str directory, email, ca;
};

struct acme {
    struct acme_options options;
    struct acme_set *sets;
    struct acme_ca *cas;
    struct arena arena; /* of `state` */
    struct str state;   /* the state directory; absent: not configured */
    int64_t asked_ms;   /* when to look for wishes again; steady */
    bool is_changed;    /* the status file is out of date */
    char *shown;        /* what stands in it */
};

/* Monotonic: what waits by it does so however the date is set meanwhile. */
static inline int64_t acme_steady_ms(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- acme_set.c */

/* NULL: no memory, or it was said why not. */
struct acme_set *acme_set_new(struct acme *acme, const struct acme_identity *identity,
                              struct acme_client *client);
void acme_set_free(struct acme_set **set);
/* Takes a pair of key and chain in PEM, and gives it to the edges. E_INVALID: set->cert.error says
 * why, and there is no certificate now. */
MUST_USE enum status acme_set_take(struct acme_set *set, struct str pair);
/* When it is to be renewed, Unix by the CA's clock; 0: now, there is none. */
int64_t acme_set_renewal_ms(const struct acme_set *set);
/* "a.example.com, b.example.com", shortened; in `arena`. */
struct str acme_set_title(const struct acme_set *set, struct arena *arena);
/* The tries' outcome to disk. */
void acme_set_save(struct acme_set *set);
/* Asks the CA for the window, if it is time. */
void acme_set_ask_window(struct acme_set *set);

/* --- acme_run.c */

/* Begins an order, or takes up the one that is under way. */
void acme_run_start(struct acme_set *set);
void acme_run_tick(struct acme_run *run);
/* Gives it up where it stands: what is on disk is taken up again. */
void acme_run_cancel(struct acme_run **run);

/* --- acme_status.c */

/* Brings <state>/acme/status.json up to date. */
void acme_status_write(struct acme *acme);
/* Makes the folder of wishes. */
void acme_status_open(struct acme *acme);
/* Marks the sets that somebody asked to renew, in <state>/acme/renew. */
void acme_status_take_wishes(struct acme *acme);

#endif
