/* SPDX-License-Identifier: Apache-2.0
 *
 * How many replicas a service shall have. The shape is Knative's (a stable and a panic window),
 * with what it was taught: what is not known never shrinks, a controller that starts anew does not
 * either, and requests that are held while a replica boots do not call for more of them. Pure: the
 * state comes in and goes out, to be kept in a store; times are Unix seconds. Any thread.
 */
#ifndef CONTROL_SCALE_DECIDE_H
#define CONTROL_SCALE_DECIDE_H

#include "control/scale/bounds.h"
#include "control/scale/load.h"

enum { SCALE_WHY_LEN = 256 };

struct scale_policy {
    struct scale_limits limits;
    double concurrency;       /* requests in flight that a replica shall have; 0: not asked */
    double rate;              /* requests a second that it shall have; 0: not asked */
    double idle_s;            /* without any request, until the last replica may go */
    double stable_s, panic_s; /* windows; the panic window is the shorter */
    double panic_ratio;       /* of replicas needed to ready ones, that is a panic; above 1 */
    double up_cooldown_s;     /* from growth to growth, but in a panic */
    double down_cooldown_s;   /* from any change to fewer */
};

/* What is so now. */
struct scale_now {
    double now_s;
    uint32_t ready;
    double boot_s;    /* from start to ready, as measured; 0: not yet */
    double service_s; /* a request's time at a target, as measured; 0: not yet */
    double woken_s;   /* when the first replica was ready again after none was; 0: long ago */
    double spent_day; /* money, since midnight UTC */
    bool is_starting; /* a replica is on its way */
    struct scale_samples samples;
};

struct scale_state {
    uint32_t wanted;
    double grown_s, changed_s; /* when it was last more, and last another; 0: long ago */
    double panic_until_s;
};

enum scale_reason {
    SCALE_STEADY,  /* as many as are needed */
    SCALE_GROWS,   /* more are needed */
    SCALE_PANIC,   /* many more at once, and none goes until it has been quiet */
    SCALE_SHRINKS, /* fewer are needed */
    SCALE_IDLE,    /* nothing came for long: none */
    SCALE_ASLEEP,  /* none, and nobody waits */
    SCALE_WAKES,   /* none, and somebody waits */
    SCALE_UNKNOWN, /* fewer may be needed, but too little is known */
    SCALE_COOLS,   /* another number is needed, but it is too soon */
    SCALE_FLOOR,   /* fewer are needed than the least that is allowed */
    SCALE_CAPPED,  /* more are needed than is allowed or may be paid */
};

struct scale_decision {
    uint32_t wanted;
    uint32_t needed; /* before bounds and cooldowns */
    enum scale_reason reason;
    struct scale_state next;
    char why[SCALE_WHY_LEN]; /* a sentence with the numbers */
};

/* State of a controller that starts and finds so many replicas, ready or starting. */
struct scale_state scale_begin(uint32_t running, double now_s);
struct scale_decision scale_decide(const struct scale_policy *policy, const struct scale_now *now,
                                   const struct scale_state *state);

#endif
