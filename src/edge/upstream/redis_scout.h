/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks one after the other of those who should know (sentinels, nodes of a cluster) until one
 * answers well, and that one again from time to time, or soon when it is said to. One thread, the
 * loop's.
 */
#ifndef EDGE_UPSTREAM_REDIS_SCOUT_H
#define EDGE_UPSTREAM_REDIS_SCOUT_H

#include "edge/upstream/redis_link.h"

enum { REDIS_QUESTION_MAX = 1024 };

struct redis_scout {
    struct redis_ask ask; /* first; private from here on */
    struct loop *loop;
    struct redis_manner manner; /* borrowed parts */
    void *owner;
    /* The `i`-th of those to ask; false: there are no more, and it begins again. */
    bool (*choose)(void *owner, unsigned i, struct redis_address *address);
    /* What is wrong with it, printable; NULL: it is good. May not end the scout. */
    const char *(*take)(void *owner, const struct redis_reply *reply);
    /* One could not be asked, or did not say: `why` is new. May not end the scout. */
    void (*on_fail)(void *owner);
    uint32_t period_ms; /* between two questions */
    struct redis_link *link;
    struct redis_address address; /* who is asked */
    char question[REDIS_QUESTION_MAX];
    size_t question_len;
    unsigned next, attempt;
    uint64_t due_us, asked_us;
    uint32_t retry_ms;
    bool is_asking, is_eager;
    bool was_told;            /* that nobody answers */
    char why[REDIS_TEXT_MAX]; /* what was wrong last; empty: nothing */
};

/* Begins; the members above `link` have been set. False: the question is too long. */
bool redis_scout_begin(struct redis_scout *scout, const struct str *words, unsigned count);
/* Something has changed: asks as soon as it may. */
void redis_scout_hurry(struct redis_scout *scout);
/* The one that it asks is not to be trusted: goes on to the next. */
void redis_scout_doubt(struct redis_scout *scout);
/* For a timer, about ten times a second. */
void redis_scout_look(struct redis_scout *scout);
/* Ends; it can begin again. */
void redis_scout_end(struct redis_scout *scout);

#endif
