/* SPDX-License-Identifier: Apache-2.0
 *
 * Which requests may wake a service that sleeps, as `scale.wake.refuse` says: not programs that
 * nobody waits for, not paths that only scanners, probes or browsers by themselves ask for, not
 * methods that only ask what may be asked. Immutable once built; any thread.
 */
#ifndef EDGE_ACCESS_WAKE_POLICY_H
#define EDGE_ACCESS_WAKE_POLICY_H

#include "base/arena.h"
#include "config/conf.h"
#include "sluice/head.h"

struct wake_policy;

/* In `arena`; NULL with errors in `diag`, or when memory ends. */
struct wake_policy *wake_policy_new(const struct conf_wake_refuse *conf, struct arena *arena,
                                    struct diag *diag);
/* Gives back what lies outside the arena. Clears the pointer; NULL is fine. */
void wake_policy_free(struct wake_policy **policy);

/* Why it may wake nobody. */
struct wake_policy_why {
    const char *kind; /* "agent", "path" or "method"; NULL: it may */
    struct str entry; /* that fits, as it was written */
};

/* `path` is the client's, before it was rewritten. */
struct wake_policy_why wake_policy_refuses(const struct wake_policy *policy,
                                           const struct head *request, struct str path);

#endif
