/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of a run, one order being carried out: acme_run.c (its steps),
 * acme_run_prove.c (authorizations and their answers), acme_run_issue.c (the certificate),
 * acme_run_end.c (calls, and how it ends). Invariant: between two turns of the loop a run either
 * has a call under way, or waits for a time or for the edges.
 */
#ifndef CONTROL_ACME_RUN_IMPL_H
#define CONTROL_ACME_RUN_IMPL_H

#include "control/acme_impl.h"

enum { ACME_RUN_NOTE = 400 };

struct acme_run {
    struct acme_set *set;
    struct arena arena; /* of the order's texts, and of the two below */
    struct acme_order order;
    struct evp_pkey_st *key;
    struct str key_pem;
    struct outbound_call *check; /* our own look at an answer */
    uint32_t index;              /* of the authorization that the call is about */
    int64_t wait_ms, spread_ms;  /* until when, steady: at all, for the edges; 0: not */
    unsigned turns;              /* orders begun for another challenge */
    bool is_asked;               /* somebody wanted it now */
    bool has_begun_anew;         /* the CA forgot the order before */
    bool is_plain;               /* without `replaces` (RFC 9773 section 5) */
    bool is_blind;               /* our own look at answers does not get through */
    char earlier[ACME_RUN_NOTE]; /* what came of the first challenge; empty: nothing */
    char note[ACME_RUN_NOTE];    /* what our own look found; empty: nothing */
};

struct acme_run_failure {
    enum acme_failure kind;
    int64_t retry_ms;
    const char *text; /* NULL: memory ended while it was made */
};

/* --- acme_run.c */

/* Does what is next. */
void acme_run_step(struct acme_run *run);
/* Goes on with the order that an answer brought. */
void acme_run_take_order(struct acme_run *run, const struct acme_answer *answer);

/* --- acme_run_prove.c */

/* Answers to reading authorization run->index, and to telling the CA that it may look. */
void acme_run_on_authorization(struct acme_call *of, const struct acme_answer *answer);
void acme_run_on_told(struct acme_call *of, const struct acme_answer *answer);
/* Puts the answer of authorization run->index on the edges; acme_run_look() sees how far it came.
 */
void acme_run_publish(struct acme_run *run);
void acme_run_look(struct acme_run *run);
/* Takes the answers off the edges. */
void acme_run_drop_answers(struct acme_run *run);

/* --- acme_run_issue.c */

void acme_run_finalize(struct acme_run *run);
/* Answer to the download. */
void acme_run_on_chain(struct acme_call *of, const struct acme_answer *answer);

/* --- acme_run_end.c */

/* False: the run has failed, and is gone. */
bool acme_run_call(struct acme_run *run, const struct acme_call *call);
void acme_run_post(struct acme_run *run, struct str url, struct str payload,
                   void (*done)(struct acme_call *call, const struct acme_answer *answer));
/* All of these end the run: it is gone when they return. */
void acme_run_fail(struct acme_run *run, const struct acme_run_failure *failure);
void acme_run_fail_memory(struct acme_run *run);
/* What has to be on disk cannot be written: errno. */
void acme_run_fail_disk(struct acme_run *run);
void acme_run_fail_answer(struct acme_run *run, const struct acme_answer *answer);
/* What the CA said is not what it should be. */
void acme_run_fail_confused(struct acme_run *run, const char *text);
void acme_run_finish(struct acme_run *run);
/* The order is over, or lost. */
void acme_run_remove_journal(struct acme_set *set);
/* Cuts a text where the room ends, but never within a character. */
void acme_run_copy_text(char *out, size_t size, const char *text);

#endif
