/* SPDX-License-Identifier: Apache-2.0
 *
 * PCRE2 behind four functions: 8-bit, no UTF, JIT where the machine allows it, and limits so that
 * no pattern can burn the processor; past a limit a subject does not fit. A compiled pattern may be
 * used from any thread: what a match writes lies on the caller's stack.
 */
#ifndef EDGE_ROUTE_PATTERN_H
#define EDGE_ROUTE_PATTERN_H

#include "config/conf.h"

enum { PATTERN_GROUPS = 10 }; /* $0 to $9 */

struct route_pattern {
    void *code; /* pcre2_code */
};

/* Where a match and its groups lie. */
struct route_groups {
    size_t start[PATTERN_GROUPS], end[PATTERN_GROUPS]; /* both 0: the group took no part */
};

/* Compiles `text`. On failure an error with PCRE2's words and offset goes to `diag` at its place.
 */
bool route_pattern_init(struct route_pattern *pattern, struct conf_text text, struct diag *diag);
void route_pattern_fini(struct route_pattern *pattern);
/* Anchored as the pattern says. No malloc unless the machine has no JIT and the subject is deep. */
bool route_pattern_fits(const struct route_pattern *pattern, struct str subject);
/* The first match; false when there is none. */
bool route_pattern_find(const struct route_pattern *pattern, struct str subject,
                        struct route_groups *groups);

#endif
