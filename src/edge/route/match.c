/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the route of a request. Called once a request by every worker; no allocation but what
 * PCRE2 may need past its stack buffer. Hosts are tried from the most specific down until one has a
 * route that fits.
 */
#include "edge/route/condition.h"
#include "edge/route/path.h"
#include "edge/route/table.h"

#include <string.h>

struct search {
    const struct route_table *table;
    const struct head *request;
    struct str path; // as routes see it
    struct route_match match;
};

static bool fits(struct search *search, const struct route_candidate *candidate)
{
    const struct conf_route *route = &search->table->routes[candidate->route];

    if (candidate->has_conditions && (route_condition_header(route, search->request) ||
                                      route_condition_query(route, search->request)))
        return false;
    if (candidate->pattern != ROUTE_NO_INDEX &&
        !route_pattern_fits(&search->table->patterns[candidate->pattern], search->path))
        return false;
    if (candidate->has_conditions && !route_condition_method(route, search->request->method_name)) {
        search->match.method_mismatch = true;
        return false;
    }
    search->match = (struct route_match){.route = route, .index = candidate->route};
    return true;
}

static bool try_list(struct search *search, const struct route_host *host, struct route_list list)
{
    for (uint32_t i = 0; i < list.count; i++) {
        if (fits(search, &host->candidates[list.first + i]))
            return true;
    }
    return false;
}

static bool try_host(struct search *search, const struct route_host *host)
{
    struct route_found found;

    if (!host)
        return false;
    found = route_lookup_path(host, search->path);
    if (found.exact && try_list(search, host, found.exact->exact))
        return true;
    for (uint32_t i = found.prefix; i != ROUTE_NO_INDEX; i = host->nodes[i].parent) {
        if (try_list(search, host, host->nodes[i].prefix))
            return true;
    }
    return try_list(search, host, host->patterns) || try_list(search, host, host->anywhere);
}

static bool try_wildcards(struct search *search, struct str name)
{
    const struct route_table *table = search->table;

    // At least one byte stands in the place of the star.
    for (size_t i = 1; i + table->wildcard_min <= name.len; i++) {
        struct str suffix = {name.p + i, name.len - i};

        if (name.p[i] == '.' && suffix.len <= table->wildcard_max &&
            try_host(search, route_lookup_host(table, suffix, true)))
            return true;
    }
    return false;
}

static bool try_name(struct search *search, struct str name)
{
    char folded[ROUTE_HOST_MAX];

    if (name.len > ROUTE_HOST_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];

        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    name.p = folded;
    if (try_host(search, route_lookup_host(search->table, name, false)))
        return true;
    return search->table->wildcard_max && try_wildcards(search, name);
}

struct route_match route_match(const struct route_table *table, const struct head *request)
{
    char buffer[ROUTE_PATH_MAX];
    struct search search = {.table = table, .request = request};

    search.path = route_path_view(request->path, buffer);
    if (request->path.len && !search.path.p)
        return search.match;
    if (!try_name(&search, route_path_host(request->authority)))
        try_host(&search, table->any);
    return search.match;
}
