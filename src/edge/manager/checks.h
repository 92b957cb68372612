/* SPDX-License-Identifier: Apache-2.0
 *
 * What the edge knows of its targets: active checks, ejection by what requests tell, breakers and
 * adaptive limits, all decided here, once an edge, and written into the endpoints where workers
 * read it. A target keeps its notes for as long as it is configured; with it go its checks.
 * Manager thread.
 */
#ifndef EDGE_MANAGER_CHECKS_H
#define EDGE_MANAGER_CHECKS_H

#include "edge/snapshot.h"
#include "edge/upstream/breaker.h"
#include "edge/upstream/gradient.h"
#include "edge/upstream/health.h"
#include "edge/upstream/outlier.h"
#include "edge/upstream/probe.h"

/* At once; each holds a descriptor, which the process keeps back for it. */
enum { CHECKS_PROBES_MAX = 192 };

struct checks;

/* How the rest of the edge hears of it; all borrowed. */
struct checks_home {
    struct loop *loop;
    uint32_t *news;               /* the registry's */
    struct health_memory *memory; /* gets what is known; NULL: nobody remembers */
    void *owner;
    void (*wake_workers)(void *owner);
    /* A target is up, down, ejected, or back. */
    void (*on_change)(void *owner, const struct endpoint *endpoint, const char *state,
                      const char *words);
    /* A check could not connect; it may have moved. NULL: nobody wants to know. */
    void (*on_unreached)(void *owner, const struct endpoint *endpoint);
};

/* What status shows of one target. */
struct checks_view {
    const char *state;  /* "up", "down", "unknown", "ejected" */
    const char *reason; /* in words; lives until the loop turns */
    uint64_t since_ms;  /* how long ago that began */
    bool is_checked;    /* the last check, if there was one */
    bool last_passed;
    uint32_t last_took_ms;
    uint64_t last_ago_ms;
    const char *last_words;
    const char *breaker;     /* "closed", "open", "half_open"; NULL: there is none */
    uint32_t limit;          /* the adaptive one; 0: there is none */
    uint64_t ejected_for_ms; /* still; 0: it is not */
};

/* NULL: memory. */
struct checks *checks_open(const struct checks_home *home);
/* Ends all; the loop must run until its handles are closed, then checks_free(). */
void checks_close(struct checks *checks);
void checks_free(struct checks **checks);

/* These are the targets from now on: new ones are checked at once, those that are gone no more. */
void checks_adopt(struct checks *checks, const struct snapshot *snapshot);
/* A worker wants something looked at. */
void checks_look(struct checks *checks);

/* False: nothing is known of it. */
bool checks_see(const struct checks *checks, const struct endpoint *endpoint,
                struct checks_view *view);

#endif
