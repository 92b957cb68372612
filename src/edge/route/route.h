/* SPDX-License-Identifier: Apache-2.0
 *
 * Which route a request takes: an immutable table built from the configuration, in the arena of
 * the snapshot. Most specific wins: host before wildcard (longer wildcard first) before any host,
 * then exact path before longest prefix before regex before no path at all, then more conditions
 * (`methods` is one, so is each header and query pair) before fewer, then order in the file. If the
 * best host has no route that fits, the next less specific host is tried. Pure; a built table may
 * be read from any thread.
 */
#ifndef EDGE_ROUTE_ROUTE_H
#define EDGE_ROUTE_ROUTE_H

#include "config/conf.h"
#include "sluice/head.h"

struct route_table;

/* Builds the table of conf->routes. PCRE2 patterns are compiled (JIT); a bad one is an error in
 * `diag` at its place. NULL on error or when memory ends. route_table_free releases the patterns;
 * the rest is the arena's. */
struct route_table *route_table_new(const struct conf *conf, struct arena *arena,
                                    struct diag *diag);
void route_table_free(struct route_table **table);
/* Whether a regular expression compiles; else an error in `diag` at its place. For conf_world. */
bool route_check_pattern(struct conf_text pattern, struct diag *diag);

/* What a match found; captures are of a regex path, for rewrite. */
struct route_match {
    const struct conf_route *route; /* NULL: none */
    uint32_t index;                 /* in conf->routes */
    bool method_mismatch;           /* no route, but one would have fitted with another method */
};

/* The route for a request: head->authority (port and case ignored), path (as received), method,
 * headers, query. */
struct route_match route_match(const struct route_table *table, const struct head *request);

/* The path to send on (strip_prefix, add_prefix, regex replace), in `arena`; head->path itself
 * where nothing changes. Absent when memory ends. */
struct str route_rewrite(const struct route_table *table, uint32_t index,
                         const struct head *request, struct arena *arena);

/* The Location of a route that redirects: ${path} (as received) ${query} (without '?') ${uri}
 * (path, and '?' with the query where there is one) ${host} (without port) ${scheme} put in. Absent
 * when a value holds a blank or control character, with more than about 15 of them, or when memory
 * ends. */
struct str route_redirect(const struct conf_route *route, const struct head *request,
                          struct str scheme, struct arena *arena);

/* One candidate as `sluice routes --match` shows it. */
struct route_explained {
    uint32_t index;
    bool fits;
    struct str why; /* "host *.example.com, prefix /v1 (3 bytes), 2 conditions" or "method POST not
                       among GET, HEAD" */
};

/* All routes whose host could apply, best first, at most `max`; how many there were. `out` may be
 * shorter. */
uint32_t route_explain(const struct route_table *table, const struct head *request,
                       struct arena *arena, struct route_explained *out, uint32_t max);

#endif
