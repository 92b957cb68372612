/* SPDX-License-Identifier: Apache-2.0
 *
 * What a table is built from. expand.c makes an entry for each host and path of each route, sort.c
 * orders them and drops what is never reached, table.c lays them out. Entries live in a scratch
 * arena. Private to this folder.
 */
#ifndef EDGE_ROUTE_BUILD_H
#define EDGE_ROUTE_BUILD_H

#include "edge/route/table.h"

enum route_rank { RANK_EXACT, RANK_PREFIX, RANK_PATTERN, RANK_ANYWHERE };

struct route_entry {
    uint64_t hash;      /* of the text, chained for exact and prefix */
    uint64_t signature; /* of the conditions: equal for equal ones, in any order */
    struct str text;    /* path; of a pattern its source */
    uint32_t host;      /* in build->hosts */
    uint32_t route, pattern;
    uint32_t conditions;
    uint32_t order; /* of creation, so by route, then by path */
    enum route_rank rank;
};

struct route_build {
    const struct conf *conf;
    struct route_table *table;
    struct arena *arena;  /* of the table */
    struct arena scratch; /* ends with the build */
    struct diag *diag;
    struct route_host **hosts; /* drafts without paths, until table.c puts the host in place */
    uint32_t host_count;
    struct route_entry *entries;
    uint32_t count;
};

/* Interns the hosts, compiles the patterns, fills build->entries. E_INVALID when a pattern is bad,
 * E_NOMEM. */
MUST_USE enum status route_build_expand(struct route_build *build);

/* Sorts by host, then list, then best first; drops entries that an equal, earlier one hides, and
 * warns of routes of which nothing is left. E_NOMEM. */
MUST_USE enum status route_build_sort(struct route_build *build);

/* Whether two entries stand in the same list of candidates. */
bool route_build_is_beside(const struct route_entry *a, const struct route_entry *b);

#endif
