/* SPDX-License-Identifier: Apache-2.0
 *
 * One account at one CA: directory, nonces, the account itself, and signed calls (RFC 8555 sections
 * 6 and 7.1 to 7.3). Called by acme_run.c and acme.c; a call walks by itself through what it needs
 * first. Owns the account's key, and the CA's time as far as its answers tell it. Control's one
 * thread.
 */
#ifndef CONTROL_ACME_CLIENT_H
#define CONTROL_ACME_CLIENT_H

#include "control/acme_json.h"
#include "control/outbound.h"

enum { ACME_NONCES = 16, ACME_NONCE_MAX = 256 };

struct acme_client_options {
    struct outbound *outbound;
    struct str directory, email;
    struct str ca;     /* absent: the system's */
    struct str folder; /* acme_store_folder() */
};

enum acme_outcome {
    ACME_GOOD,
    ACME_REFUSED,     /* the CA said no */
    ACME_UNREACHABLE, /* it did not answer, or with nothing to be understood */
};

struct acme_answer {
    enum acme_outcome outcome;
    long status;         /* HTTP; 0: none */
    struct str body;     /* as long as the callback runs; the next too */
    struct str location; /* absent: none */
    const char *error;   /* one line; what the CA said */
    int64_t retry_ms;    /* Retry-After from now; 0: none */
};

enum acme_call_kind {
    ACME_CALL_DIRECTORY, /* the directory alone, read again: its date is the CA's time */
    ACME_CALL_POST,      /* signed; payload empty: a POST-as-GET */
    ACME_CALL_NEW_ORDER, /* a POST to where orders are placed */
    ACME_CALL_WINDOW,    /* renewal information; `url` is the certificate's id. Not signed */
};

/* Owned by the caller, who fills the first part; it stays in place until `done`. */
struct acme_call {
    enum acme_call_kind kind;
    struct str url, payload;
    bool is_chain; /* the answer is PEM */
    void (*done)(struct acme_call *call, const struct acme_answer *answer);
    void *owner;

    struct acme_client *client; /* from here on private; NULL: does not run */
    struct outbound_call *http;
    unsigned nonce_tries;
    bool has_read_directory, has_renewed_account;
};

struct acme_client; /* private */

/* Reads the account, or makes a key for one. NULL: no memory, or the folder cannot be used: then it
 * was said. */
struct acme_client *acme_client_new(const struct acme_client_options *options);
void acme_client_free(struct acme_client **client);
/* Starts a call; `done` comes later. E_NOMEM: it does not. */
MUST_USE enum status acme_client_call(struct acme_client *client, struct acme_call *call);
/* Ends it without `done`; fine when it does not run. */
void acme_client_cancel(struct acme_call *call);

/* The CA's time, Unix milliseconds: ours, unless its answers showed that ours is wrong. */
int64_t acme_client_now_ms(const struct acme_client *client);
/* How far its clock is ahead of ours; 0: no more than an hour either way. */
int64_t acme_client_skew_ms(const struct acme_client *client);
bool acme_client_has_windows(const struct acme_client *client);
/* What proves a challenge (RFC 8555 section 8.1), in `arena`; absent: no memory. */
struct str acme_client_authorization(const struct acme_client *client, struct arena *arena,
                                     struct str token);

#endif
