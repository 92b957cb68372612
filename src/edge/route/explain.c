/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a request takes its route: every route whose host could apply, in the order in which they are
 * tried. Called by the admin API, never on the way of a request. Looks at each route of the file in
 * turn, without the table's hashes: the tests hold the two against each other.
 */
#include "edge/route/condition.h"
#include "edge/route/path.h"
#include "edge/route/table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HOST_NONE = -1,
    HOST_EXACT = 0,
    HOST_ANY = 1 << 20
}; // between: wildcards, the longest first

enum rank { RANK_EXACT, RANK_PREFIX, RANK_PATTERN, RANK_ANYWHERE };

// A route at the best of its hosts and paths.
struct row {
    const struct conf_route *route;
    const struct conf_path *path; // NULL: none written
    struct str host;              // as written; absent: any
    int host_rank;
    enum rank rank;
    size_t prefix_len;
    uint32_t index, conditions;
    bool path_fits;
};

struct query {
    const struct route_table *table;
    const struct head *request;
    struct str name, path;
    struct arena *arena;
};

static int rank_host(struct str name, struct str host)
{
    if (!host.len || route_str_equal(host, STR("*")))
        return HOST_ANY;
    if (name.len > ROUTE_HOST_MAX)
        return HOST_NONE;
    if (host.len == name.len && strncasecmp(host.p, name.p, name.len) == 0)
        return HOST_EXACT;
    if (host.len < 3 || host.p[0] != '*' || host.p[1] != '.' || name.len < host.len ||
        strncasecmp(name.p + name.len - host.len + 1, host.p + 1, host.len - 1) != 0)
        return HOST_NONE;
    return HOST_ANY - (int)(host.len < HOST_ANY ? host.len : HOST_ANY - 1);
}

static void set_host(struct row *row, struct str name)
{
    row->host_rank = row->route->hosts.count ? HOST_NONE : HOST_ANY;
    for (uint32_t i = 0; i < row->route->hosts.count; i++) {
        int rank = rank_host(name, row->route->hosts.items[i].s);

        if (rank == HOST_NONE || (row->host_rank != HOST_NONE && row->host_rank <= rank))
            continue;
        row->host_rank = rank;
        row->host = rank == HOST_ANY ? STR_NONE : row->route->hosts.items[i].s;
    }
}

static struct row rank_path(const struct query *query, const struct conf_path *path,
                            uint32_t pattern)
{
    char buffer[ROUTE_PATH_MAX];
    struct str text = path->text.s;
    struct row row = {.path = path, .rank = RANK_PATTERN};

    if (path->kind == CONF_PATH_REGEX) {
        row.path_fits =
            query->path.p && route_pattern_fits(&query->table->patterns[pattern], query->path);
        return row;
    }
    text = route_path_written(path, buffer);
    row.rank = path->kind == CONF_PATH_EXACT ? RANK_EXACT : RANK_PREFIX;
    row.prefix_len = path->kind == CONF_PATH_PREFIX ? text.len : 0;
    row.path_fits =
        query->path.p && (path->kind == CONF_PATH_EXACT ? route_str_equal(query->path, text)
                                                        : route_path_is_under(query->path, text));
    return row;
}

static bool is_better_path(const struct row *a, const struct row *b)
{
    if (a->path_fits != b->path_fits)
        return a->path_fits;
    if (!a->path_fits)
        return false;
    return a->rank != b->rank ? a->rank < b->rank : a->prefix_len > b->prefix_len;
}

static void set_path(struct row *row, const struct query *query, uint32_t pattern)
{
    row->rank = RANK_ANYWHERE;
    row->path_fits = query->path.p || !query->request->path.len;
    for (uint32_t i = 0; i < row->route->path_count; i++) {
        const struct conf_path *path = &row->route->paths[i];
        struct row found = rank_path(query, path, pattern);

        pattern += path->kind == CONF_PATH_REGEX;
        if (i && !is_better_path(&found, row))
            continue;
        row->path = path;
        row->rank = found.rank;
        row->prefix_len = found.prefix_len;
        row->path_fits = found.path_fits;
    }
}

static int compare(const void *left, const void *right)
{
    const struct row *a = left, *b = right;

    if (a->host_rank != b->host_rank)
        return a->host_rank < b->host_rank ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->prefix_len != b->prefix_len)
        return a->prefix_len > b->prefix_len ? -1 : 1;
    if (a->conditions != b->conditions)
        return a->conditions > b->conditions ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static struct str kind_name(const struct row *row)
{
    static const struct {
        const char *p;
        size_t len;
    } names[] = {{"path ", 5}, {"prefix ", 7}, {"path ~", 6}, {"any path", 8}};

    return (struct str){names[row->rank].p, names[row->rank].len};
}

static struct str say_fits(const struct row *row, struct arena *arena)
{
    struct str path = row->path ? row->path->text.s : STR("");
    struct str bytes =
        row->rank == RANK_PREFIX ? arena_format(arena, " (%zu bytes)", row->prefix_len) : STR("");
    struct str host = row->host.p ? row->host : STR("any host");

    if (row->rank == RANK_PREFIX && !path.len)
        path = STR("/");
    return arena_format(arena, "%s%.*s, %.*s%.*s%.*s, %u condition%s", row->host.p ? "host " : "",
                        STR_FMT(host), STR_FMT(kind_name(row)), STR_FMT(path), STR_FMT(bytes),
                        row->conditions, row->conditions == 1 ? "" : "s");
}

static struct str say_path(const struct row *row, const struct query *query)
{
    static const char *const says[] = {"is not", "is not under", "does not match ~"};
    struct str text = row->path ? row->path->text.s : STR("");

    if (!query->path.p)
        return arena_format(query->arena, "path with dot segments is longer than %d bytes",
                            ROUTE_PATH_MAX);
    return arena_format(query->arena, "path %.*s %s%s%.*s", STR_FMT(query->path), says[row->rank],
                        row->rank == RANK_PATTERN ? "" : " ", STR_FMT(text));
}

static struct str say_pair(const char *what, const struct conf_pair *pair, struct arena *arena)
{
    if (route_str_equal(pair->value.s, STR("*")))
        return arena_format(arena, "%s %.*s is absent", what, STR_FMT(pair->name.s));
    return arena_format(arena, "%s %.*s is not \"%.*s\"", what, STR_FMT(pair->name.s),
                        STR_FMT(pair->value.s));
}

static struct str say_method(const struct row *row, const struct query *query)
{
    const struct conf_texts *methods = &row->route->methods;
    struct str list = STR("");

    for (uint32_t i = 0; i < methods->count; i++)
        list = arena_format(query->arena, "%.*s%s%.*s", STR_FMT(list), i ? ", " : "",
                            STR_FMT(methods->items[i].s));
    return arena_format(query->arena, "method %.*s not among %.*s",
                        STR_FMT(query->request->method_name), STR_FMT(list));
}

static struct route_explained explain(const struct row *row, const struct query *query)
{
    const struct conf_pair *header = route_condition_header(row->route, query->request);
    const struct conf_pair *parameter = route_condition_query(row->route, query->request);
    struct route_explained out = {.index = row->index};

    if (!row->path_fits) {
        out.why = say_path(row, query);
    } else if (header) {
        out.why = say_pair("header", header, query->arena);
    } else if (parameter) {
        out.why = say_pair("query parameter", parameter, query->arena);
    } else if (!route_condition_method(row->route, query->request->method_name)) {
        out.why = say_method(row, query);
    } else {
        out.fits = true;
        out.why = say_fits(row, query->arena);
    }
    return out;
}

static uint32_t collect(const struct query *query, struct row *rows)
{
    const struct route_table *table = query->table;
    uint32_t count = 0, pattern = 0;

    for (uint32_t i = 0; i < table->route_count; i++) {
        struct row row = {.route = &table->routes[i], .index = i};

        row.conditions = route_condition_count(row.route);
        set_host(&row, query->name);
        if (row.host_rank != HOST_NONE) {
            set_path(&row, query, pattern);
            rows[count++] = row;
        }
        for (uint32_t j = 0; j < row.route->path_count; j++)
            pattern += row.route->paths[j].kind == CONF_PATH_REGEX;
        pattern += table->rewrites[i] != ROUTE_NO_INDEX;
    }
    return count;
}

uint32_t route_explain(const struct route_table *table, const struct head *request,
                       struct arena *arena, struct route_explained *out, uint32_t max)
{
    char buffer[ROUTE_PATH_MAX];
    struct query query = {.table = table, .request = request, .arena = arena};
    struct row *rows = arena_zero(arena, (size_t)table->route_count + 1, sizeof(*rows));
    uint32_t count;

    if (!rows)
        return 0;
    query.name = route_path_host(request->authority);
    query.path = route_path_view(request->path, buffer);
    count = collect(&query, rows);
    qsort(rows, count, sizeof(*rows), compare);
    for (uint32_t i = 0; i < count && i < max; i++)
        out[i] = explain(&rows[i], &query);
    return count;
}
