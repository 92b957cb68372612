/* SPDX-License-Identifier: Apache-2.0
 *
 * Second half of building a table: the order of specificity, and the routes that are never reached.
 * Called by table.c between expanding and laying out.
 */
#include "edge/route/build.h"
#include "edge/route/condition.h"

#include <stdlib.h>
#include <string.h>

static int compare_number(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_text(struct str a, struct str b)
{
    if (a.len != b.len)
        return compare_number(a.len, b.len);
    return a.len ? memcmp(a.p, b.p, a.len) : 0;
}

// Exact and prefix of one text are one node, so they sort together; of patterns there is one list a
// host.
static int compare_list(const struct route_entry *a, const struct route_entry *b)
{
    bool is_node = a->rank < RANK_PATTERN && b->rank < RANK_PATTERN;
    int order = compare_number(a->host, b->host);

    if (!order && is_node)
        order = compare_number(a->hash, b->hash);
    if (!order && is_node)
        order = compare_text(a->text, b->text);
    return order ? order : (int)a->rank - (int)b->rank;
}

bool route_build_is_beside(const struct route_entry *a, const struct route_entry *b)
{
    return compare_list(a, b) == 0;
}

// Brings equal entries together, the first of the file in front.
static int compare_equal(const void *left, const void *right)
{
    const struct route_entry *a = left, *b = right;
    int order = compare_list(a, b);

    if (!order)
        order = compare_number(a->signature, b->signature);
    if (!order)
        order = compare_number(a->hash, b->hash);
    return order ? order : compare_number(a->order, b->order);
}

static int compare_best(const void *left, const void *right)
{
    const struct route_entry *a = left, *b = right;
    int order = compare_number(b->conditions, a->conditions);

    return order ? order : compare_number(a->order, b->order);
}

static bool is_equal(const struct route_build *build, const struct route_entry *a,
                     const struct route_entry *b)
{
    const struct conf_route *routes = build->conf->routes;

    return route_build_is_beside(a, b) && a->signature == b->signature &&
           route_str_equal(a->text, b->text) &&
           (a->route == b->route || route_condition_equal(&routes[a->route], &routes[b->route]));
}

// Drops what an equal one hides; by[route] is then a route that hid one of its entries, left[route]
// what it keeps.
static void drop_hidden(struct route_build *build, uint32_t *by, uint32_t *left)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < build->count; i++) {
        struct route_entry *entry = &build->entries[i];
        const struct route_entry *last = kept ? &build->entries[kept - 1] : NULL;

        if (last && is_equal(build, last, entry)) {
            if (last->route != entry->route)
                by[entry->route] = last->route;
            continue;
        }
        left[entry->route]++;
        build->entries[kept++] = *entry;
    }
    build->count = kept;
}

static void warn(struct route_build *build, const struct conf_route *hidden,
                 const struct conf_route *by)
{
    bool is_kept =
        build->diag->count < DIAG_MAX; // else it is only counted, and its words are not needed
    struct str place = is_kept ? diag_place(build->diag, by->at) : STR_NONE;
    struct str name = by->name.s;

    diag_warn(build->diag, hidden->at,
              "never reached: route %s%.*s%s at %.*s has the same conditions", name.len ? "\"" : "",
              STR_FMT(name), name.len ? "\"" : "", STR_FMT(place));
}

static void sort_lists(struct route_build *build)
{
    uint32_t end;

    for (uint32_t i = 0; i < build->count; i = end) {
        end = i + 1;
        while (end < build->count &&
               route_build_is_beside(&build->entries[i], &build->entries[end]))
            end++;
        if (end - i > 1)
            qsort(&build->entries[i], end - i, sizeof(*build->entries), compare_best);
    }
}

enum status route_build_sort(struct route_build *build)
{
    uint32_t n = build->conf->route_count;
    uint32_t *by = arena_zero(&build->scratch, (size_t)n + 1, sizeof(*by));
    uint32_t *left = arena_zero(&build->scratch, (size_t)n + 1, sizeof(*left));

    if (!by || !left)
        return E_NOMEM;
    qsort(build->entries, build->count, sizeof(*build->entries), compare_equal);
    drop_hidden(build, by, left);
    for (uint32_t i = 0; i < n; i++) {
        if (!left[i])
            warn(build, &build->conf->routes[i], &build->conf->routes[by[i]]);
    }
    sort_lists(build);
    return OK;
}
