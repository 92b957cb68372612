/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of the team's own: a query of Prometheus or a webhook, asked while a step of a deploy is
 * judged and in its bake. One that says no so often in a row makes the release bad; one that cannot
 * be asked says nothing, and without a yes of each since a step began there is no passing it.
 * Control's one thread.
 */
#ifndef CONTROL_DEPLOY_CRITERIA_H
#define CONTROL_DEPLOY_CRITERIA_H

#include <jansson.h>

#include "control/deploy/machine.h"

struct conf_verdict;
struct deploy;

/* Of one deploy. */
struct criteria {
    json_t *plan;            /* as criteria_plan(); in the store */
    struct criterion *items; /* private; NULL: none was asked yet */
    char why[DEPLOY_WHY_MAX];
};

/* What is to be asked, as the store keeps it: the caller's; NULL: no memory. */
json_t *criteria_plan(const struct conf_verdict *verdict);
/* Asks what is due. */
void criteria_tick(struct deploy *deploy, int64_t now_ms);
/* What they say, beside what is seen already. */
void criteria_see(struct deploy *deploy, struct deploy_seen *seen);
/* [{"name", "outcome", "why", "in_a_row"}], the caller's. */
json_t *criteria_json(const struct deploy *deploy);
/* Ends all questions. The plan stays. */
void criteria_drop(struct deploy *deploy);

/* --- criteria_answer.c: what an answer comes to */
enum check_outcome { CHECK_UNKNOWN, CHECK_GOOD, CHECK_BAD };
enum { CHECK_WHY_MAX = 160 };

struct check_answer {
    enum check_outcome outcome;
    char why[CHECK_WHY_MAX]; /* a sentence without full stop; empty: nothing is to be said */
};

/* Of Prometheus' `/api/v1/query` to a check with "max" and "min"; each number must be within.
 * `body` NULL: it is no JSON. */
struct check_answer criteria_answer_query(const json_t *check, long status, const json_t *body);
/* Of a webhook. */
struct check_answer criteria_answer_hook(long status, const json_t *body);

#endif
