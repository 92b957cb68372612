/* SPDX-License-Identifier: Apache-2.0
 *
 * The deploy machine: what a deploy does next, by what is seen. Pure: the state is kept in the
 * store before what follows from it is done, and all that follows is idempotent. Before the switch
 * any failure removes the new release and leaves the old one as it was; after it, going back is a
 * split away, while the old one is warm.
 */
#ifndef CONTROL_DEPLOY_MACHINE_H
#define CONTROL_DEPLOY_MACHINE_H

#include "control/deploy/plan.h"

enum { DEPLOY_WHY_MAX = 256, DEPLOY_ACTOR_MAX = 64 };

enum deploy_phase {
    DEPLOY_STAGE,    /* another service is deployed first */
    DEPLOY_REGRESS,  /* its hook runs */
    DEPLOY_PRE,      /* its hook runs */
    DEPLOY_MIGRATE,  /* its hook runs */
    DEPLOY_EMPTY,    /* recreate: the old one is drained and stopped */
    DEPLOY_START,    /* units are started, edges are told of their targets */
    DEPLOY_HEALTHY,  /* until all targets are up at every edge */
    DEPLOY_SMOKE,    /* its hook runs */
    DEPLOY_SHIFT,    /* until every edge has the step's split */
    DEPLOY_WATCH,    /* the step's time and verdict */
    DEPLOY_APPROVE,  /* until a person has said yes or no */
    DEPLOY_ASK_DATA, /* not enough data: a person says how it goes on */
    DEPLOY_BAKE,     /* all is on the new one */
    DEPLOY_DRAIN,    /* until the old one has no requests */
    DEPLOY_POST,     /* its hook runs */
    DEPLOY_KEEP,     /* it is done; the old one stays warm */
    DEPLOY_STOP,     /* the old one is stopped and forgotten */
    DEPLOY_REFILL,   /* until all of the old one runs again */
    DEPLOY_BACK,     /* until every edge has the old split again */
    DEPLOY_EBB,      /* until the new one has no requests */
    DEPLOY_UNDO,     /* the new one is stopped and forgotten */
    DEPLOY_STUCK,    /* a person is needed: retry, abort, or, after the switch, approve */
    DEPLOY_DONE,     /* the end: the new one serves */
    DEPLOY_UNDONE,   /* the end: the old one serves, as before */
    DEPLOY_PHASES,
};

enum deploy_way { DEPLOY_ON, DEPLOY_FAILED, DEPLOY_ABORTED, DEPLOY_ROLLED_BACK };

struct deploy_state {
    enum deploy_phase phase;
    enum deploy_way way;     /* why it goes the way it goes */
    enum deploy_phase stuck; /* STUCK: in which phase */
    uint32_t step;
    int64_t since_ms; /* wall clock: in this phase */
    int64_t step_ms;  /* wall clock: this step's split is live since */
    bool is_switched; /* the new one is the stable one */
    bool has_migrated;
    bool is_thinned;              /* of the old one not all has to run any more */
    bool is_hook_begun;           /* of this phase: it must not be begun twice unasked */
    int64_t restarted_ms;         /* wall clock: the watchdog did it, once; 0: not yet */
    uint32_t extra_ms;            /* granted for more data */
    char why[DEPLOY_WHY_MAX];     /* a sentence without full stop; empty: all is well */
    char actor[DEPLOY_ACTOR_MAX]; /* who approved, aborted or rolled back last */
};

enum deploy_progress { DEPLOY_IDLE, DEPLOY_RUNS, DEPLOY_GOOD, DEPLOY_BAD, DEPLOY_LOST };
enum deploy_verdict { DEPLOY_UNSURE, DEPLOY_SOUND, DEPLOY_WORSE };

enum deploy_word {
    DEPLOY_SAYS_NOTHING,
    DEPLOY_SAYS_APPROVE,
    DEPLOY_SAYS_PROMOTE, /* the next step now, without its verdict */
    DEPLOY_SAYS_ABORT,
    DEPLOY_SAYS_RETRY,
    DEPLOY_SAYS_ROLLBACK
};

/* What is seen now. Sentences may be NULL. */
struct deploy_seen {
    int64_t now_ms;    /* wall clock */
    bool is_live;      /* every edge has acknowledged what it is to have */
    bool is_new_up;    /* there are targets of the new one, and all are up at every edge */
    bool is_old_up;    /* some of the old one are */
    bool is_old_whole; /* all of the old one are */
    bool is_new_gone;  /* no unit of it runs any more */
    bool is_old_gone;
    uint64_t new_in_flight, old_in_flight;
    enum deploy_progress staging; /* the deploy of the other service */
    enum deploy_progress units;   /* of the new release: being started */
    enum deploy_progress hook;    /* of this phase */
    enum deploy_verdict verdict;  /* of this step */
    bool is_ill;         /* a hard stop: it crashes, or nothing or too little of it answers */
    const char *refusal; /* of an edge that answers, and does not do as it is told; NULL: none */
    const char *why;     /* what is wrong with units, hook, verdict, or health */
    enum deploy_word word;
    const char *actor;
};

/* The state after what was seen. */
struct deploy_state deploy_next(const struct deploy_plan *plan, const struct deploy_state *state,
                                const struct deploy_seen *seen);
struct deploy_state deploy_begin(int64_t now_ms);
/* One that was under way when control died: while nobody looked, nothing was too late, and nothing
 * was watched. */
struct deploy_state deploy_resume(const struct deploy_state *state, int64_t now_ms);

enum deploy_units { DEPLOY_UNITS_STOP, DEPLOY_UNITS_LEAVE, DEPLOY_UNITS_RUN };

/* What follows from a state. */
struct deploy_wants {
    bool new_runs, old_runs;                /* edges are to have the targets */
    enum deploy_units new_units, old_units; /* LEAVE: neither started nor stopped */
    uint32_t new_part, old_part; /* of all units, that are to run, in parts of DEPLOY_WHOLE */
    uint32_t new_share;          /* in parts of DEPLOY_WHOLE */
    bool is_new_stable;
    bool new_restarts; /* units are to be restarted, once in all */
    int hook;          /* enum deploy_hook that is to run; -1: none */
    bool is_judged;    /* requests of both are compared */
};
struct deploy_wants deploy_wants(const struct deploy_plan *plan, const struct deploy_state *state);

/* The hook of a phase; -1: it has none. */
int deploy_hook_of(enum deploy_phase phase);
/* Such a word takes it back. */
bool deploy_goes_back(enum deploy_word word);
/* Nothing more will happen. */
bool deploy_is_over(const struct deploy_state *state);
/* What who waits for it is told: it is over, or only the old release's warm time is left. */
bool deploy_is_told(const struct deploy_state *state);
/* A person is waited for. */
bool deploy_is_asking(const struct deploy_state *state);
/* "watching"; static. */
const char *deploy_phase_name(enum deploy_phase phase);
/* Why a word cannot be taken now; NULL: it can. Static. */
const char *deploy_refusal(const struct deploy_plan *plan, const struct deploy_state *state,
                           enum deploy_word word);

#endif
