/* SPDX-License-Identifier: Apache-2.0
 *
 * Building and freeing a route table. Called by the builder thread for each snapshot and by `sluice
 * check`. All that a host needs lies side by side in the arena, so that a lookup touches few cache
 * lines.
 */
#include "edge/route/build.h"

#include <string.h>

static bool is_node(const struct route_entry *entry)
{
    return entry->rank < RANK_PATTERN;
}

static bool is_same_node(const struct route_entry *a, const struct route_entry *b)
{
    return a->hash == b->hash && a->text.len == b->text.len &&
           (!a->text.len || memcmp(a->text.p, b->text.p, a->text.len) == 0);
}

static uint32_t count_nodes(const struct route_entry *entries, uint32_t count)
{
    uint32_t nodes = 0;

    for (uint32_t i = 0; i < count && is_node(&entries[i]); i++)
        nodes += !i || !is_same_node(&entries[i - 1], &entries[i]);
    return nodes;
}

// A host and its parts, one behind the other.
static struct route_host *new_host(const struct route_host *draft, uint32_t nodes,
                                   uint32_t candidates, struct arena *arena)
{
    size_t len = draft->name.len;
    struct route_host *host = arena_zero(arena, 1, sizeof(*host) + len);
    uint32_t size = 1;

    if (!host)
        return NULL;
    while (size < 2 * nodes)
        size *= 2;
    *host = (struct route_host){
        .is_wildcard = draft->is_wildcard,
        .mask = size - 1,
        .root = ROUTE_NO_INDEX,
        .slots = arena_zero(arena, size, sizeof(*host->slots)),
        .nodes = arena_zero(arena, nodes, sizeof(*host->nodes)),
        .candidates = arena_zero(arena, candidates, sizeof(*host->candidates)),
    };
    if (len)
        host->name = (struct str){memcpy(host + 1, draft->name.p, len), len};
    return host->slots && host->nodes && host->candidates ? host : NULL;
}

static void insert_node(struct route_host *host, uint32_t index, uint64_t hash)
{
    uint64_t i = hash;

    while (host->slots[i & host->mask].node)
        i++;
    host->slots[i & host->mask] =
        (struct route_slot){.tag = (uint32_t)(hash >> 32), .node = index + 1};
}

static bool add_node(struct route_host *host, uint32_t index, const struct route_entry *entry,
                     struct arena *arena)
{
    struct route_node *node = &host->nodes[index];
    size_t len = entry->text.len;
    char *text = len <= ROUTE_NEAR ? node->near : arena_text(arena, len);

    if (!text)
        return false;
    if (len)
        memcpy(text, entry->text.p, len);
    node->text = text;
    node->len = (uint32_t)len;
    host->lengths |= (uint64_t)1 << (len & 63);
    insert_node(host, index, entry->hash);
    return true;
}

static struct route_list *list_of(struct route_host *host, struct route_node *node,
                                  const struct route_entry *entry)
{
    uint32_t len = (uint32_t)entry->text.len;

    switch (entry->rank) {
    case RANK_EXACT:
        host->exact_max = len > host->exact_max ? len : host->exact_max;
        return &node->exact;
    case RANK_PREFIX:
        host->prefix_max = len > host->prefix_max ? len : host->prefix_max;
        if (!len)
            host->root = (uint32_t)(node - host->nodes);
        return &node->prefix;
    case RANK_PATTERN:
        return &host->patterns;
    default:
        return &host->anywhere;
    }
}

static void add_candidate(struct route_host *host, struct route_list *list, uint32_t index,
                          const struct route_entry *entry)
{
    if (!list->count)
        list->first = index;
    list->count++;
    host->candidates[index] = (struct route_candidate){
        .route = entry->route,
        .pattern = entry->pattern,
        .has_conditions = entry->conditions > 0,
    };
}

static struct route_host *lay_out(const struct route_host *draft, const struct route_entry *entries,
                                  uint32_t count, struct arena *arena)
{
    uint32_t nodes = count_nodes(entries, count), node = 0;
    struct route_host *host = new_host(draft, nodes, count, arena);

    if (!host)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct route_entry *entry = &entries[i];
        bool is_new = is_node(entry) && (!i || !is_same_node(entry - 1, entry));

        if (is_new && !add_node(host, node++, entry, arena))
            return NULL;
        add_candidate(host, list_of(host, node ? &host->nodes[node - 1] : NULL, entry), i, entry);
    }
    for (uint32_t i = 0; i < nodes; i++) {
        struct route_node *it = &host->nodes[i];

        it->parent = route_lookup_parent(host, (struct str){it->text, it->len});
    }
    return host;
}

// The drafts of the hosts give way to the hosts.
static void place_hosts(struct route_build *build)
{
    struct route_table *table = build->table;

    for (uint32_t i = 0; i <= table->mask; i++) {
        if (table->slots[i].host)
            table->slots[i].host = build->hosts[table->slots[i].host->index];
    }
    if (table->any)
        table->any = build->hosts[table->any->index];
}

static enum status lay_out_all(struct route_build *build)
{
    uint32_t end;

    for (uint32_t i = 0; i < build->count; i = end) {
        uint32_t host = build->entries[i].host;

        end = i;
        while (end < build->count && build->entries[end].host == host)
            end++;
        build->hosts[host] = lay_out(build->hosts[host], &build->entries[i], end - i, build->arena);
        if (!build->hosts[host])
            return E_NOMEM;
    }
    place_hosts(build);
    return OK;
}

struct route_table *route_table_new(const struct conf *conf, struct arena *arena, struct diag *diag)
{
    struct route_table *table = arena_zero(arena, 1, sizeof(*table));
    struct route_build build = {.conf = conf, .table = table, .arena = arena, .diag = diag};
    enum status status;

    if (!table)
        return NULL;
    table->routes = conf->routes;
    table->route_count = conf->route_count;
    arena_init(&build.scratch, NULL, 0);
    status = route_build_expand(&build);
    if (!status)
        status = route_build_sort(&build);
    if (!status)
        status = lay_out_all(&build);
    arena_reset(&build.scratch);
    if (status)
        route_table_free(&table);
    return table;
}

void route_table_free(struct route_table **table)
{
    if (!*table)
        return;
    for (uint32_t i = 0; i < (*table)->pattern_count; i++)
        route_pattern_fini(&(*table)->patterns[i]);
    *table = NULL;
}
