/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by checks.c, which asks targets, checks_hurry.c, which asks those that start, and
 * checks_told.c, which judges what requests tell.
 */
#ifndef EDGE_MANAGER_CHECKS_IMPL_H
#define EDGE_MANAGER_CHECKS_IMPL_H

#include "edge/manager/checks.h"

/* All of one service. */
struct check_group {
    struct check_group *next;
    struct gate *gate; /* borrowed; which group it is */
    struct check *first;
    uint32_t count, ejected;
    uint64_t judged_ms;
};

struct check {
    struct check *next; /* of its group */
    struct check_group *group;
    struct checks *checks;
    struct endpoint *endpoint; /* a reference */
    struct endpoint *dial;     /* the same addresses, for probes alone; owned */
    struct rules *rules;       /* a reference; holds conf */
    const struct conf_service *conf;
    struct tls_client *tls; /* a reference; NULL: plain */
    struct probe *probe;    /* under way */
    struct loop_timer timer;
    struct health health;
    uint64_t memory_key;
    struct outlier outlier;
    struct breaker breaker;
    struct gradient gradient;
    struct endpoint_told judged, noted; /* sums when they were looked at last */
    enum outlier_why ejected_for;
    uint32_t limit;
    uint64_t since_ms; /* of the loop's clock: when it was thought of so first */
    uint64_t last_ms;  /* of the loop's clock; 0: never checked */
    struct probe_result last;
    bool is_wanted, is_drained, is_ejected_in_row;
    bool is_waking;       /* somebody waits for it: asked as often as can be until it is up */
    uint32_t patience_ms; /* that a hurried one may take to connect; more after each that did not */
    uint64_t hurried_ms, due_ms; /* of the loop's clock; since when, and when next. 0: not set */
};

struct checks {
    struct checks_home home;
    struct wire_limits limits;
    struct check_group *groups;
    uint32_t probing; /* checks that are under way */
    struct loop_timer tick;
    uv_timer_t hurry;
    bool is_closing, is_fast; /* fast: breakers or adaptive limits are there */
};

/* Milliseconds of the loop's clock. */
static inline uint64_t checks_now(const struct checks *checks)
{
    return checks->home.loop->now_us / 1000;
}

/* Writes what is thought of it where workers read it, and says so if that is new. */
void check_apply(struct check *check);
/* Asks the target now, unless that is under way. */
void check_ask(struct check *check);

/* It is on its way, somebody waits for it, and it is not there yet. */
static inline bool check_is_hurried(const struct check *check)
{
    return check->is_waking && check->health.state != HEALTH_UP;
}

/* --- checks_hurry.c */
void checks_open_hurry(struct checks *checks);
void checks_close_hurry(struct checks *checks);
/* It is on its way from now on. */
void check_begin_hurry(struct check *check);
/* Asks it again soon. */
void check_hurry(struct check *check);

/* --- checks_told.c */
void checks_begin_told(struct check *check);
/* Some time has passed. */
void checks_judge(struct checks *checks);
/* A worker has a suspect. */
void checks_judge_suspects(struct checks *checks);

#endif
