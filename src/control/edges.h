/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges that control knows, and what each is to have: challenge answers, certificates and API
 * keys.
 * Level-triggered: an edge is asked every two seconds whether it is still the same process, and
 * what it lacks is pushed, one call at a time, so that an edge that restarts or comes late gets all
 * again; and what is changed on each goes to the ledger. One edge that does not answer holds back
 * no other. Called by control.c and ACME; owns copies of what it pushes. Control's one thread.
 */
#ifndef CONTROL_EDGES_H
#define CONTROL_EDGES_H

#include <jansson.h>

#include "config/conf.h"
#include "control/outbound.h"
#include "control/store.h"

enum { EDGES_MAX = 64 };

struct edges; /* private */

struct edges_options {
    struct outbound *outbound;
    struct store *store;
    /* The edge of this machine has another configuration, or is another process. */
    void (*on_generation)(void *owner);
    /* Something that edges_spread() or edges_json() shows is another. */
    void (*on_change)(void *owner);
    /* What an edge says, as GET /api/v1/status; NULL: it does not answer. */
    void (*on_status)(void *owner, const char *edge, const json_t *status);
    void *owner;
};

/* How far something has come. */
struct edges_spread {
    uint32_t have, pending, failing;
};

/* An answer to a challenge (RFC 8555 section 8). */
struct edges_answer {
    const char *token, *type, *domain, *text;
};

struct edges_certificate {
    const char *name, *fingerprint; /* the leaf's SHA-256 in hex */
    const char *chain, *key;        /* PEM */
};

/* NULL: no memory. */
struct edges *edges_new(const struct edges_options *options);
/* Ends all calls; what the store still does for them is its last, so edges_free() comes after its
 * end. */
void edges_close(struct edges *edges);
void edges_free(struct edges **edges);
/* The edge of this machine at its admin socket, and those of `control: {edges}`. E_NOMEM: nothing
 * changed. */
MUST_USE enum status edges_configure(struct edges *edges, const struct conf *conf);
/* Goes on with what is due at `now_ms`, monotonic; several times a second. */
void edges_tick(struct edges *edges, int64_t now_ms);

/* Puts an answer on every edge, in place of one with the same token. E_NOMEM. */
MUST_USE enum status edges_put_answer(struct edges *edges, const struct edges_answer *answer);
/* Takes it from them. An unknown token is fine. */
void edges_drop_answer(struct edges *edges, const char *token);
struct edges_spread edges_spread(const struct edges *edges, const char *token);

/* Every edge is to have this certificate, in place of one with the same name. E_NOMEM. */
MUST_USE enum status edges_put_certificate(struct edges *edges,
                                           const struct edges_certificate *certificate);
/* Takes it from them. An unknown name is fine. */
void edges_drop_certificate(struct edges *edges, const char *name);

/* --- edge_keys.c: API keys are one word to all edges, where there are some beside this machine's
 */
bool edges_are_fleet(const struct edges *edges);
/* Every edge of a fleet is to have the keys of `body`, of that revision; takes it (free()). */
void edges_put_keys(struct edges *edges, char *body, int64_t revision);
/* Whether this one has keys of that revision, or of a later one. */
bool edges_has_keys(const struct edges *edges, uint32_t index, int64_t revision);
/* It answers. */
bool edges_is_reachable(const struct edges *edges, uint32_t index);
/* It is out of reach, or refuses something. */
bool edges_is_failing(const struct edges *edges, uint32_t index);
/* Why it may lack something, as a sentence without full stop. */
const char *edges_trouble(const struct edges *edges, uint32_t index);

/* --- calls of an edge's API beside what is pushed to all, by index */
struct edges_ask {
    const char *method, *path;
    const char *body; /* JSON; NULL: none */
    uint32_t timeout_ms;
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};
uint32_t edges_count(const struct edges *edges);
/* Another number: the list is another, and so are the indexes. */
uint32_t edges_version(const struct edges *edges);
const char *edges_name(const struct edges *edges, uint32_t index);
/* It is that of this machine, which has no name of its own. */
bool edges_is_own(const struct edges *edges, uint32_t index);
/* As outbound_send(). */
struct outbound_call *edges_ask(const struct edges *edges, uint32_t index,
                                const struct edges_ask *ask);

/* --- edges_forget.c: one that is silent is waited for until a person says that it is gone, and
 * again as soon as it answers. */
extern const char edges_forgotten_kind[]; /* of documents in the store, by name */
bool edges_is_waited_for(const struct edges *edges, uint32_t index);
/* For how long it has not answered; 0: it answers, or was not asked yet. */
int64_t edges_silent_ms(const struct edges *edges, uint32_t index, int64_t now_ms);
/* Whether one may be given up. NULL: it may; else why not, static. */
const char *edges_refuse_forget(const struct edges *edges, const char *name);
/* Once the store has it. */
void edges_forget(struct edges *edges, const char *name);

/* [{"name", "reachable", "generation", "config", "config_error", "error", "silent_s",
 * "forgotten"}], the caller's; NULL: no memory. */
json_t *edges_json(const struct edges *edges);

#endif
