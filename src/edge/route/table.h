/* SPDX-License-Identifier: Apache-2.0
 *
 * The built table, private to this folder. Two hash levels: host name -> host, then path text ->
 * node of that host. A node's `parent` is the next shorter prefix, so one walk along the path finds
 * all that may fit, best first. Candidates are sorted: more conditions first, then order in the
 * file. Immutable once built; all of it lies in the snapshot's arena but for the compiled patterns.
 */
#ifndef EDGE_ROUTE_TABLE_H
#define EDGE_ROUTE_TABLE_H

#include "edge/route/pattern.h"
#include "edge/route/route.h"

enum {
    ROUTE_HOST_MAX = 253
}; /* bytes of a name, RFC 1035 2.3.4; longer ones fit only any-host routes */

#define ROUTE_NO_INDEX UINT32_MAX

struct route_candidate {
    uint32_t route;   /* in conf->routes */
    uint32_t pattern; /* in table->patterns, ROUTE_NO_INDEX: none */
    bool has_conditions;
};

/* A run of a host's candidates. */
struct route_list {
    uint32_t first, count;
};

enum { ROUTE_NEAR = 32 };

/* A path that stands in the file, as exact path, as prefix or both. */
struct route_node {
    const char *text; /* in `near` where it fits: one cache line less */
    uint32_t len;
    uint32_t parent; /* node of the next shorter prefix that holds this text, or ROUTE_NO_INDEX */
    struct route_list exact, prefix;
    char near[ROUTE_NEAR];
};

/* A slot of a host's open-addressed table; node 0 is free, else the index plus 1. */
struct route_slot {
    uint32_t tag, node;
};

struct route_host {
    struct str name;                /* lower case; ".x" for "*.x"; absent for any host */
    uint64_t lengths;               /* bit len % 64 for the length of each node */
    uint32_t mask;                  /* of slots */
    uint32_t exact_max, prefix_max; /* length of the longest node of each kind */
    uint32_t root;                  /* node of the prefix "", or ROUTE_NO_INDEX */
    struct route_slot *slots;
    struct route_node *nodes;
    struct route_candidate *candidates;
    struct route_list patterns, anywhere; /* regex paths; routes without a path */
    uint32_t index;                       /* while building: in build->hosts */
    bool is_wildcard;
};

struct route_host_slot {
    uint64_t hash;
    struct route_host *host; /* NULL: free */
};

struct route_table {
    const struct conf_route *routes; /* borrowed */
    uint32_t route_count;
    uint32_t mask; /* of slots */
    struct route_host_slot *slots;
    struct route_host *any;              /* NULL: every route names hosts */
    uint32_t wildcard_min, wildcard_max; /* lengths of ".x"; max 0: no wildcard */
    struct route_pattern *patterns;      /* compiled; freed by route_table_free */
    uint32_t pattern_count;
    uint32_t *rewrites; /* by route: pattern of its rewrite, or ROUTE_NO_INDEX */
};

/* The hash of both levels; a path's hash is chained over its segments: each one's seed is the hash
 * before. */
uint64_t route_hash(struct str text, uint64_t seed);
uint64_t route_hash_path(struct str path);

/* The host of exactly this name, NULL when there is none. */
struct route_host *route_lookup_host(const struct route_table *table, struct str name,
                                     bool is_wildcard);

/* What a path finds in a host. */
struct route_found {
    const struct route_node *exact; /* the node of the whole path, if it has exact routes */
    uint32_t prefix;                /* the longest prefix node, or ROUTE_NO_INDEX */
};
struct route_found route_lookup_path(const struct route_host *host, struct str path);
/* The longest prefix node that is shorter than `path`. */
uint32_t route_lookup_parent(const struct route_host *host, struct str path);

#endif
