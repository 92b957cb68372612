/* SPDX-License-Identifier: Apache-2.0
 *
 * What a canary will be able to show, before it is begun: from the traffic that a service has, how
 * much worse a release must be to be found in the time that is planned, and whether that is worth a
 * canary. Pure; any thread.
 */
#ifndef CONTROL_VERDICT_PLAN_H
#define CONTROL_VERDICT_PLAN_H

#include "control/verdict.h"

enum { VERDICT_ADVICE_LEN = 512 };

/* Traffic of a service, and what is planned with it. */
struct verdict_traffic {
    double requests_s; /* of stable and canary together, a second */
    double failures;   /* share of them */
    double canary;     /* share of requests that the canary will have, 0 to 1 */
    double planned_s;  /* how long */
};

enum verdict_advice { VERDICT_CANARY, VERDICT_BLUEGREEN };

struct verdict_sight {
    double requests;   /* of the canary */
    double detectable; /* the least ratio of its failures that it will show in 9 of 10; HUGE_VAL */
    double limit;      /* the ratio that the rule does not tolerate */
    double enough_s;   /* until that would be shown, and a healthy canary passes; HUGE_VAL: never */
    enum verdict_advice advice;
};

/* The least ratio of failures that a canary of so many requests, beside so many of stable's with a
 * share `base` of failures, will show in 9 deploys of 10. HUGE_VAL: none. */
double verdict_detectable(double base, double stable_requests, double canary_requests);

/* What that traffic will show, and what is advised. All numbers may be 0. */
struct verdict_sight verdict_foresee(const struct verdict_traffic *traffic,
                                     const struct verdict_rule *rule);

/* The same in words: one line, terminated. */
void verdict_advise(const struct verdict_traffic *traffic, const struct verdict_rule *rule,
                    char text[static VERDICT_ADVICE_LEN]);

#endif
