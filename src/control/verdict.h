/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the canary worse than stable? Asked over the same seconds of both, as often as one likes: each
 * question is a test martingale (a product of e-values, one a block of time), so that a healthy
 * canary is called worse with probability VERDICT_ALPHA at most, however often one looks (Ville's
 * inequality; Turner, Ly, Gruenwald, "Generic E-variables for exact sequential k-sample tests that
 * allow for optional stopping", arXiv 2106.02693). Pure; the state is plain numbers, to be kept in
 * a store as they are.
 */
#ifndef CONTROL_VERDICT_H
#define CONTROL_VERDICT_H

#include "base/latency.h"

#define VERDICT_ALPHA 0.01      /* of a false alarm: over errors and latency together */
#define VERDICT_PASS_ALPHA 0.05 /* of passing what is just as bad as is not tolerated */

enum {
    VERDICT_EFFECTS = 5,   /* sizes of a difference that each question is asked with */
    VERDICT_QUANTILES = 3, /* of latency that a canary fails by: 50, 90 and 99 % */
    VERDICT_CALM = 2,      /* of them, that it must pass by: 50 and 90 % */
    VERDICT_FAILURES = 3,  /* fewer of the canary's prove nothing */
    VERDICT_SPAN_S = 60,   /* blocks are joined over no longer than this until both sides are in */
};

struct verdict_rule {
    double error_ratio;   /* of canary's to stable's that is not tolerated, above 1 */
    double error_margin;  /* and so many more of all requests, 0 to 1; both must be reached */
    double latency_ratio; /* that is not tolerated, above 1; 0: latency is not asked */
    uint64_t minimum;     /* requests of the canary before any answer but that of a hard stop */
};

/* What one side had in one span of time. First attempts only; what the gateway refused is not in.
 */
struct verdict_side {
    uint64_t requests, failures;
    uint64_t latency[LATENCY_BUCKETS]; /* of those that did not fail */
};

/* One question: logarithms of the products of e-values, and the highest of their mean so far. */
struct verdict_proof {
    double logs[VERDICT_EFFECTS];
    double top;
};

struct verdict {
    struct verdict_side stable, canary;                  /* in all */
    struct verdict_side open_stable, open_canary;        /* of the block that is not closed */
    double open_s;                                       /* how long that is open */
    double base_requests, base_failures;                 /* stable's, fading */
    struct verdict_proof worse, slower[VERDICT_QUANTILES]; /* against "no worse" */
    double sound, swift[VERDICT_CALM]; /* against "not tolerable": logarithms, as they stand */
};

enum verdict_outcome { VERDICT_UNSURE, VERDICT_GOOD, VERDICT_BAD };

/* What a question has come to. */
struct verdict_finding {
    double stable, canary; /* share of failures, or a quantile in seconds; NAN: no requests */
    double ratio;          /* canary to stable, of smoothed shares */
    double evidence;       /* the e-value against "no worse"; 1 / alpha decides */
    double assurance;      /* the e-value against "not tolerable"; NAN where it is not asked */
};

struct verdict_answer {
    enum verdict_outcome outcome;
    bool by_errors;          /* what BAD is by; else latency */
    bool is_hard;            /* it is so bad that the minimum was not waited for */
    unsigned quantile;       /* index of the latency that BAD is by */
    struct verdict_finding errors, latency[VERDICT_QUANTILES];
    double wanting; /* requests of the canary that are missing yet as things go; HUGE_VAL: as they
                       go now it will not be decided */
};

/* Stable was seen to have so many requests and failures before: what the first guess is made from.
 */
void verdict_init(struct verdict *verdict, uint64_t requests, uint64_t failures);
/* Takes what both had in the same span of time, of `span_s` seconds, a second or so: shares may
 * change between spans, but should not within one. */
void verdict_add(struct verdict *verdict, const struct verdict_rule *rule,
                 const struct verdict_side *stable, const struct verdict_side *canary,
                 double span_s);
/* Reads the answer so far. Once BAD it stays so by the proofs; that the effect is large enough is
 * looked at anew. */
struct verdict_answer verdict_look(const struct verdict *verdict, const struct verdict_rule *rule);

/* The least ratio of failures that a canary of so many requests, beside so many of stable's with a
 * share `base` of failures, will be expected to show. HUGE_VAL: none. */
double verdict_detectable(double base, double stable_requests, double canary_requests);

/* The quantiles that are asked, ascending, in VERDICT_QUANTILES places. */
extern const double verdict_quantiles[VERDICT_QUANTILES];

#endif
