/* SPDX-License-Identifier: Apache-2.0
 *
 * Passive ejection: a target whose requests fail, or take, far more than its peers' gets none for a
 * while, longer each time (as Envoy's outlier detection). Judged against peers, not against fixed
 * numbers: when all are bad it is not the target's fault, and nothing is gained by moving. Pure:
 * times are milliseconds of one monotonic clock, given by the caller. One thread.
 */
#ifndef EDGE_UPSTREAM_OUTLIER_H
#define EDGE_UPSTREAM_OUTLIER_H

#include "sluice/balancer.h"

enum {
    OUTLIER_PEERS_MIN = 2,      /* with fewer it cannot be told who is the odd one */
    OUTLIER_MARGIN_PERCENT = 5, /* of requests: how far above its peers' share of failures */
    OUTLIER_MARGIN_US = 1000,   /* how far above its peers' latency; less is noise */
};

struct outlier_rule {
    uint32_t eject_ms, eject_max_ms; /* the first time; at the most */
    uint32_t max_ejected_ppm;        /* of the targets */
    uint32_t errors_thousandths;     /* times the peers' share of failures; 0: off */
    uint32_t latency_thousandths;    /* times the peers' latency; 0: off */
    uint32_t minimum;                /* requests before a target is judged; 0 counts as 1 */
};

/* Of one target; all 0: never ejected. */
struct outlier {
    uint32_t times;         /* ejections, less those that calm has undone */
    uint64_t until_ms;      /* 0: not ejected */
    uint64_t calm_since_ms; /* while not ejected */
};

/* What a target did since it was judged last. */
struct outlier_sample {
    uint64_t requests, failures;
    uint64_t answers, latency_us; /* how many answers, and the sum over them */
    bool is_judged;               /* false: neither judged nor a peer (ejected, down or drained) */
};

enum outlier_why { OUTLIER_NONE, OUTLIER_ERRORS, OUTLIER_LATENCY };

/* Once more: until now + min(eject_ms * times, eject_max_ms), at least 1 ms. */
void outlier_eject(struct outlier *outlier, const struct outlier_rule *rule, uint64_t now_ms);

/* To be called now and then. True when an ejection has ended; calm begins at that time. While not
 * ejected `times` falls by one for each eject_ms of calm. */
bool outlier_tick(struct outlier *outlier, const struct outlier_rule *rule, uint64_t now_ms);

/* Whether one more may be ejected when `ejected` of `total` targets are: never above
 * max_ejected_ppm of them (rounded down, but one at least), and never the last. */
bool outlier_may_eject(const struct outlier_rule *rule, uint32_t ejected, uint32_t total);

/* Fills why[n], n <= BALANCER_TARGETS_MAX. A target counts if it is_judged and has the minimum of
 * requests; its peers are all others that count. With OUTLIER_PEERS_MIN peers or more it stands out
 * by errors when its failures a request are at least errors_thousandths / 1000 times those of its
 * peers together, and at least OUTLIER_MARGIN_PERCENT points above them. The same holds for
 * latency, among targets with the minimum of answers: the mean against the median of the peers'
 * means, and at least OUTLIER_MARGIN_US above it. Errors are named first. Any number may be 0;
 * failures beyond the requests count as all of them. */
void outlier_judge(const struct outlier_rule *rule, const struct outlier_sample *samples,
                   uint32_t n, enum outlier_why *why);

#endif
