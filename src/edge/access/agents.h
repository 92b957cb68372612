/* SPDX-License-Identifier: Apache-2.0
 *
 * What programs call themselves (User-Agent, RFC 9110 10.1.5), by classes that are known here and
 * by patterns of one's own. Honest programs alone are told apart by it. Immutable once built; any
 * thread.
 */
#ifndef EDGE_ACCESS_AGENTS_H
#define EDGE_ACCESS_AGENTS_H

#include "edge/route/pattern.h"

struct agents {
    struct route_pattern *patterns;
    struct str *names; /* of each: as it was written */
    uint32_t count;
    bool has_none; /* those without a name, too */
};

/* Each entry is a class or "~" with a regular expression; capitals do not matter. False with errors
 * in `diag`, or when memory ends: agents_fini() is due all the same. */
bool agents_init(struct agents *agents, const struct conf_texts *list, struct arena *arena,
                 struct diag *diag);
void agents_fini(struct agents *agents);

/* The first entry that fits, as it was written; absent: none does. */
struct str agents_find(const struct agents *agents, struct str name);

#endif
