/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the canary worse than stable? Asked over the same seconds of both, as often as one likes: each
 * question is a test martingale (a product of e-values, one a block of time), so that a healthy
 * canary is called worse with probability VERDICT_ALPHA at most, however often one looks (Ville's
 * inequality; verdict_weigh.c has the proof). That holds for a deploy that has one of these from
 * its first request to its last, and moves on by verdict_step() when a step of it begins. What it
 * rests on: requests fail independently of each other, given the second they came in; so clients
 * are told apart, and what one of them alone shows, who may ask in a loop, is no proof. Pure; the
 * state is plain numbers, to be kept in a store as they are.
 */
#ifndef CONTROL_VERDICT_H
#define CONTROL_VERDICT_H

#include "base/latency.h"

#define VERDICT_ALPHA 0.01 /* of a false alarm: over errors, latency and all steps together */
#define VERDICT_PASS_ALPHA                                                                         \
    0.05 /* of passing a step with what is just as bad as is not tolerated                         \
          */
#define VERDICT_ERRORS_ALPHA                                                                       \
    (VERDICT_ALPHA * 0.6 * 0.7) /* of it: errors, over the whole deploy                            \
                                 */

enum {
    VERDICT_EFFECTS = 5,   /* sizes of a difference that each question is asked with */
    VERDICT_QUANTILES = 3, /* of latency that a canary fails by: 50, 90 and 99 % */
    VERDICT_CALM = 2,      /* of them, that it must pass by: 50 and 90 % */
    VERDICT_FAILURES = 3,  /* fewer of the canary's prove nothing */
    VERDICT_CLIENTS = 16,  /* groups that clients fall into by a hash of theirs */
    VERDICT_SPAN_S = 60,   /* blocks are joined over no longer than this until both sides are in */
};

struct verdict_rule {
    double error_ratio;    /* of canary's to stable's that is not tolerated, above 1 */
    double error_margin;   /* and so many more of all requests, 0 to 0.5; both must be reached */
    double latency_ratio;  /* that is not tolerated, above 1; 0: latency is not asked */
    double latency_margin; /* and so many seconds more; both must be reached */
    uint64_t minimum;      /* requests of the canary before any answer but that of a hard stop */
};

struct verdict_count {
    uint64_t requests, failures;
};

/* What one side had in one span of time. First attempts only; what the gateway refused is not in.
 */
struct verdict_side {
    uint64_t requests, failures;
    uint64_t latency[LATENCY_BUCKETS];             /* of those that did not fail */
    struct verdict_count clients[VERDICT_CLIENTS]; /* the same by client; all 0: not known */
};

/* One question: logarithms of the products of e-values, and the highest of their mean so far. */
struct verdict_proof {
    double logs[VERDICT_EFFECTS];
    double top;
};

/* Both sides as if their requests had been spread over the blocks alike (the weights of Mantel and
 * Haenszel): else a bad minute in which the canary had a larger share would count against it. */
struct verdict_match {
    double requests, failures_stable, failures_canary;
    double latency_stable[LATENCY_BUCKETS], latency_canary[LATENCY_BUCKETS];
};

/* All that was seen in one stretch of a deploy. */
struct verdict_scope {
    struct verdict_count stable, canary;           /* that were compared */
    struct verdict_count clients[VERDICT_CLIENTS]; /* of the canary */
    struct verdict_match match;
    struct verdict_proof worse, slower[VERDICT_QUANTILES]; /* against "no worse" */
    struct verdict_proof without[VERDICT_CLIENTS]; /* and what `worse` is without those clients */
};

struct verdict {
    struct verdict_scope whole, step;
    double sound, swift[VERDICT_CALM];   /* in this step, against "not tolerable": logarithms */
    uint32_t steps;                      /* that came before this one */
    uint64_t alone_stable, alone_canary; /* requests that had nothing to compare with */
    struct verdict_side open_stable, open_canary; /* of the block that is not closed */
    double open_s;                                /* how long that is open */
    double base_requests, base_failures;          /* stable's, fading */
    double base_latency[LATENCY_BUCKETS];
};

enum verdict_outcome { VERDICT_UNSURE, VERDICT_GOOD, VERDICT_BAD };

/* What a question has come to. */
struct verdict_finding {
    double stable, canary; /* matched: share of failures, or a quantile in seconds; NAN: none */
    double ratio;          /* canary's to stable's; of shares, smoothed */
    double evidence;       /* the e-value against "no worse"; */
    double decides;        /* what that must be */
    double assurance;      /* the e-value against "not tolerable", in this step; NAN: not asked */
};

struct verdict_answer {
    enum verdict_outcome outcome;
    bool by_errors;    /* what BAD is by; else latency */
    bool is_hard;      /* it is so bad that the minimum was not waited for */
    bool in_step;      /* findings are of this step alone; else of the whole deploy */
    unsigned quantile; /* index of the latency that BAD is by */
    struct verdict_finding errors, latency[VERDICT_QUANTILES];
    double wanting; /* requests of the canary that are missing yet as things go; HUGE_VAL: as they
                       go now it will not be decided */
};

/* Stable was seen to have so many requests and failures before: what the first guess is made from.
 */
void verdict_init(struct verdict *verdict, uint64_t requests, uint64_t failures);
/* The next step begins: with another share, what was fine may be so no more. It must pass anew, and
 * what goes bad in it is found as if nothing had been seen before; what was held against the canary
 * stays. */
void verdict_step(struct verdict *verdict);
/* Takes what both had in the same span of time, of `span_s` seconds, a second or so: shares may
 * change between spans, but should not within one. */
void verdict_add(struct verdict *verdict, const struct verdict_rule *rule,
                 const struct verdict_side *stable, const struct verdict_side *canary,
                 double span_s);
/* Reads the answer so far. Once BAD it stays so by the proofs; that the effect is large enough is
 * looked at anew. */
struct verdict_answer verdict_look(const struct verdict *verdict, const struct verdict_rule *rule);

/* The quantiles that are asked, ascending, in VERDICT_QUANTILES places. */
extern const double verdict_quantiles[VERDICT_QUANTILES];

#endif
