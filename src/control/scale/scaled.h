/* SPDX-License-Identifier: Apache-2.0
 *
 * One service that is scaled: its load, how many units it shall have, and whether it sleeps. What
 * follows is done by scaler.c, which keeps all but the load in the store. Pure; any thread.
 */
#ifndef CONTROL_SCALE_SCALED_H
#define CONTROL_SCALE_SCALED_H

#include <jansson.h>

#include "control/scale/decide.h"
#include "control/scale/life.h"
#include "control/scale/purse.h"
#include "control/scale/ring.h"

struct scaled {
    struct scale_ring ring;
    struct scale_state state; /* wanted: 0 while it is asleep or broken */
    struct life life;
    struct purse purse;
    double service_s;         /* a request's time at a target; 0: not known */
    double woken_s;           /* Unix; 0: long ago */
    enum scale_reason reason; /* of the last decision, as the next */
    char why[SCALE_WHY_LEN];
    uint32_t ready;     /* targets that are up, as the edge says that sees most of them */
    int64_t grew_ms;    /* Unix: a growth whose time is measured; 0: none */
    uint32_t growth_ms; /* how long the last one took until all were up; 0: not known */
    int64_t looked_ms;  /* Unix: the last look, by which is known that the clock was set; 0: none */
    bool is_asked;      /* to be woken */
    bool is_used;       /* something was in flight when it was looked at last */
};

/* What is so with it now. */
struct scaled_now {
    int64_t now_ms; /* Unix */
    uint32_t ready; /* targets that are up */
    bool is_deploying;
};

/* Of one that runs so many units, and nothing else is known of. */
void scaled_begin(struct scaled *scaled, uint32_t running, int64_t now_ms);
/* Decides anew. True: something that edges or the store are to know is another. */
bool scaled_decide(struct scaled *scaled, const struct scale_policy *policy,
                   const struct scaled_now *now);
/* Goes on with its life by what is seen. True: as above. */
bool scaled_live(struct scaled *scaled, const struct life_seen *seen);
/* Somebody waits: a sample of it, until edges have counted. */
void scaled_ask(struct scaled *scaled, uint32_t held, int64_t now_ms);
/* Goes to sleep by somebody's word. */
void scaled_sleep(struct scaled *scaled, int64_t now_ms);
/* So many units by somebody's word, of at least one: until load says otherwise. */
void scaled_set(struct scaled *scaled, uint32_t replicas, int64_t now_ms);

/* As the store keeps it; the caller's. NULL: no memory. */
json_t *scaled_record(const struct scaled *scaled);
/* False: it cannot be read, and nothing is known. */
bool scaled_of_record(struct scaled *scaled, const json_t *record);
/* What edges are told; the caller's. */
json_t *scaled_word(const struct scaled *scaled, int64_t now_ms);
/* What people are shown; the caller's. */
json_t *scaled_json(const struct scaled *scaled, int64_t now_ms);

#endif
