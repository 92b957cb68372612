/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a service is awake, asleep, waking, or cannot be woken: what becomes of it by what is
 * seen. Pure: the state is kept in a store before edges hear of it; times are Unix milliseconds.
 * Any thread.
 */
#ifndef CONTROL_SCALE_LIFE_H
#define CONTROL_SCALE_LIFE_H

#include "sluice/types.h"

enum { LIFE_BOOTS = 3, LIFE_WHY_MAX = 200, LIFE_FAILURES = 3 };

enum life_mode {
    LIFE_AWAKE,
    LIFE_ASLEEP, /* no unit is to run: edges hold requests, and tell */
    LIFE_WAKING, /* units are on their way */
    LIFE_BROKEN, /* they did not start, often: nobody is held until it is tried again */
    LIFE_MODES,
};

struct life {
    enum life_mode mode;
    int64_t since_ms;
    bool is_cold;                  /* WAKING: nothing ran when it began, so its time is a boot's */
    bool is_told;                  /* ASLEEP: somebody said so */
    uint32_t breaks;               /* times in a row that it could not be woken */
    uint32_t boots_ms[LIFE_BOOTS]; /* how long waking took, newest first; 0: not so often */
    char why[LIFE_WHY_MAX];        /* BROKEN: a sentence without full stop */
};

/* What is seen now. */
struct life_seen {
    int64_t now_ms;
    bool is_up;          /* a target is up at an edge */
    bool is_asked;       /* a request waits, or somebody said so, or the bounds do */
    bool is_used;        /* requests are in flight */
    bool is_idle;        /* long enough for sleep */
    bool is_deploying;   /* a deploy needs units */
    bool is_running;     /* a unit runs */
    uint32_t failures;   /* of starts in a row, the last one too */
    const char *failure; /* why; NULL: not known */
    uint32_t healthy_ms; /* the most that becoming healthy may take */
};

struct life life_next(const struct life *life, const struct life_seen *seen);
/* What somebody said, whatever is seen. */
struct life life_sleep(const struct life *life, int64_t now_ms);

/* How long waking takes, at most of late; 0: not known. */
uint32_t life_eta_ms(const struct life *life);
/* BROKEN: until it is tried again, by a request; people may ask before. */
uint32_t life_retry_ms(const struct life *life, int64_t now_ms);
/* "asleep"; static. */
const char *life_name(enum life_mode mode);
/* False: there is no such name. */
bool life_of_name(const char *name, enum life_mode *mode);

#endif
