/* SPDX-License-Identifier: Apache-2.0
 *
 * First half of building a table: hosts interned, patterns compiled, an entry for each host and
 * path of each route. Called by table.c; what lasts goes to the snapshot's arena, the entries to
 * the scratch arena.
 */
#include "edge/route/build.h"
#include "edge/route/condition.h"
#include "edge/route/path.h"

enum { ENTRIES_MAX = 1 << 28 };

static uint32_t at_least_one(uint32_t n)
{
    return n ? n : 1;
}

/* Hosts */

static bool is_any_host(struct str name)
{
    return !name.len || route_str_equal(name, STR("*"));
}

static bool new_slots(struct route_build *build)
{
    size_t names = 1, size = 8;

    for (uint32_t i = 0; i < build->conf->route_count; i++)
        names += at_least_one(build->conf->routes[i].hosts.count);
    while (size < 2 * names)
        size *= 2;
    if (size > ENTRIES_MAX)
        return false;
    build->table->mask = (uint32_t)(size - 1);
    build->table->slots = arena_zero(build->arena, size, sizeof(*build->table->slots));
    build->hosts = arena_zero(&build->scratch, names, sizeof(struct route_host *));
    return build->table->slots && build->hosts;
}

static struct route_host *new_host(struct route_build *build, struct str name, bool is_wildcard)
{
    struct route_host *host = arena_zero(&build->scratch, 1, sizeof(*host));

    if (!host)
        return NULL;
    host->name = name;
    host->is_wildcard = is_wildcard;
    host->index = build->host_count;
    build->hosts[build->host_count++] = host;
    return host;
}

static void insert_host(struct route_table *table, struct route_host *host)
{
    uint64_t hash = route_hash(host->name, host->is_wildcard);
    uint64_t i = hash;
    uint32_t len = (uint32_t)host->name.len;

    while (table->slots[i & table->mask].host)
        i++;
    table->slots[i & table->mask] = (struct route_host_slot){.hash = hash, .host = host};
    if (!host->is_wildcard)
        return;
    if (!table->wildcard_max || len < table->wildcard_min)
        table->wildcard_min = len;
    if (len > table->wildcard_max)
        table->wildcard_max = len;
}

static bool intern_host(struct route_build *build, struct str name, uint32_t *index)
{
    struct route_table *table = build->table;
    bool is_wildcard = name.len > 2 && name.p[0] == '*' && name.p[1] == '.';
    struct route_host *host;

    if (is_wildcard)
        name = (struct str){name.p + 1, name.len - 1};
    host = is_any_host(name) ? table->any : route_lookup_host(table, name, is_wildcard);
    if (!host) {
        host = new_host(build, is_any_host(name) ? STR_NONE : name, is_wildcard);
        if (!host)
            return false;
        if (is_any_host(name))
            table->any = host;
        else
            insert_host(table, host);
    }
    *index = host->index;
    return true;
}

/* Patterns */

static enum status compile_patterns(struct route_build *build)
{
    const struct conf *conf = build->conf;
    struct route_table *table = build->table;
    bool is_good = true;
    size_t count = 0;

    for (uint32_t i = 0; i < conf->route_count; i++)
        count += (size_t)conf->routes[i].path_count + 1;
    table->patterns = arena_zero(build->arena, count, sizeof(*table->patterns));
    table->rewrites =
        arena_zero(build->arena, (size_t)conf->route_count + 1, sizeof(*table->rewrites));
    if (!table->patterns || !table->rewrites || count >= ENTRIES_MAX)
        return E_NOMEM;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];

        for (uint32_t j = 0; j < route->path_count; j++) {
            if (route->paths[j].kind == CONF_PATH_REGEX)
                is_good &= route_pattern_init(&table->patterns[table->pattern_count++],
                                              route->paths[j].text, build->diag);
        }
        table->rewrites[i] = ROUTE_NO_INDEX;
        if (route->rewrite.regex.s.len) {
            table->rewrites[i] = table->pattern_count++;
            is_good &= route_pattern_init(&table->patterns[table->rewrites[i]],
                                          route->rewrite.regex, build->diag);
        }
    }
    return is_good ? OK : E_INVALID;
}

/* Entries */

static uint64_t pair_signature(const struct conf_pairs *pairs, uint64_t seed)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < pairs->count; i++)
        sum += route_hash(pairs->items[i].value.s, route_hash(pairs->items[i].name.s, seed));
    return sum;
}

static uint64_t signature(const struct conf_route *route)
{
    uint64_t sum = pair_signature(&route->headers, 1) + pair_signature(&route->query, 2);

    for (uint32_t i = 0; i < route->methods.count; i++)
        sum += route_hash(route->methods.items[i].s, 3);
    return sum;
}

// A path of the file in the form that requests are matched in.
static bool set_text(struct route_build *build, struct route_entry *entry,
                     const struct conf_path *path)
{
    char buffer[ROUTE_PATH_MAX];
    struct str text = path->text.s;

    entry->rank = RANK_PATTERN;
    entry->hash = route_hash(text, 0);
    if (path->kind != CONF_PATH_REGEX) {
        text = route_path_written(path, buffer);
        if (text.p == buffer)
            text = arena_copy(&build->scratch, text);
        entry->rank = path->kind == CONF_PATH_EXACT ? RANK_EXACT : RANK_PREFIX;
        entry->hash = route_hash_path(text);
    }
    entry->text = text;
    return text.p || !path->text.s.len;
}

static bool add_paths(struct route_build *build, struct route_entry base, uint32_t pattern)
{
    const struct conf_route *route = &build->conf->routes[base.route];

    if (!route->path_count) {
        base.rank = RANK_ANYWHERE;
        base.order = build->count;
        build->entries[build->count++] = base;
    }
    for (uint32_t i = 0; i < route->path_count; i++) {
        struct route_entry *entry = &build->entries[build->count];

        *entry = base;
        entry->order = build->count++;
        if (!set_text(build, entry, &route->paths[i]))
            return false;
        if (entry->rank == RANK_PATTERN)
            entry->pattern = pattern++;
    }
    return true;
}

static uint32_t pattern_paths(const struct conf_route *route)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < route->path_count; i++)
        n += route->paths[i].kind == CONF_PATH_REGEX;
    return n;
}

static bool add_route(struct route_build *build, uint32_t index, uint32_t pattern)
{
    const struct conf_route *route = &build->conf->routes[index];
    struct route_entry base = {
        .route = index,
        .pattern = ROUTE_NO_INDEX,
        .conditions = route_condition_count(route),
        .signature = signature(route),
    };

    for (uint32_t i = 0; i < at_least_one(route->hosts.count); i++) {
        struct str name = route->hosts.count ? route->hosts.items[i].s : STR_NONE;

        if (!intern_host(build, name, &base.host) || !add_paths(build, base, pattern))
            return false;
    }
    return true;
}

static bool add_entries(struct route_build *build)
{
    const struct conf *conf = build->conf;
    uint32_t pattern = 0;
    size_t count = 0;

    for (uint32_t i = 0; i < conf->route_count; i++) {
        count += (size_t)at_least_one(conf->routes[i].hosts.count) *
                 at_least_one(conf->routes[i].path_count);
        if (count > ENTRIES_MAX)
            return false;
    }
    build->entries = arena_zero(&build->scratch, count + 1, sizeof(*build->entries));
    if (!build->entries)
        return false;
    for (uint32_t i = 0; i < conf->route_count; i++) {
        if (!add_route(build, i, pattern))
            return false;
        pattern += pattern_paths(&conf->routes[i]) + (build->table->rewrites[i] != ROUTE_NO_INDEX);
    }
    return true;
}

enum status route_build_expand(struct route_build *build)
{
    enum status status = compile_patterns(build);

    if (status)
        return status;
    return new_slots(build) && add_entries(build) ? OK : E_NOMEM;
}
