/* SPDX-License-Identifier: Apache-2.0
 *
 * The two hash lookups of a table. Called for each request by match.c and while building by
 * table.c, so that both always agree. A path is walked once, segment by segment, no further than
 * the longest text in the host.
 */
#include "edge/route/table.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t route_hash(struct str text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text.p, text.len, seed);
}

static size_t segment_end(struct str path, size_t at)
{
    do
        at++;
    while (at < path.len && path.p[at] != '/');
    return at;
}

uint64_t route_hash_path(struct str path)
{
    uint64_t hash = 0;

    for (size_t at = 0, end; at < path.len; at = end) {
        end = segment_end(path, at);
        hash = XXH3_64bits_withSeed(path.p + at, end - at, hash);
    }
    return hash;
}

struct route_host *route_lookup_host(const struct route_table *table, struct str name,
                                     bool is_wildcard)
{
    uint64_t hash = XXH3_64bits_withSeed(name.p, name.len, is_wildcard);

    for (uint64_t i = hash;; i++) {
        const struct route_host_slot *slot = &table->slots[i & table->mask];
        struct route_host *host = slot->host;

        if (!host)
            return NULL;
        if (slot->hash == hash && host->is_wildcard == is_wildcard && host->name.len == name.len &&
            memcmp(host->name.p, name.p, name.len) == 0)
            return host;
    }
}

static const struct route_node *probe(const struct route_host *host, uint64_t hash,
                                      const char *text, size_t len)
{
    uint32_t tag = (uint32_t)(hash >> 32);

    for (uint64_t i = hash;; i++) {
        const struct route_slot *slot = &host->slots[i & host->mask];
        const struct route_node *node;

        if (!slot->node)
            return NULL;
        node = &host->nodes[slot->node - 1];
        if (slot->tag == tag && node->len == len && memcmp(node->text, text, len) == 0)
            return node;
    }
}

struct route_found route_lookup_path(const struct route_host *host, struct str path)
{
    struct route_found found = {.prefix = host->root};
    size_t max = path.len <= host->exact_max ? path.len : host->prefix_max;
    uint64_t hash = 0;

    for (size_t at = 0, end; at < path.len; at = end) {
        const struct route_node *node;

        end = segment_end(path, at);
        if (end > max)
            break;
        hash = XXH3_64bits_withSeed(path.p + at, end - at, hash);
        node = host->lengths >> (end & 63) & 1 ? probe(host, hash, path.p, end) : NULL;
        if (!node)
            continue;
        if (node->prefix.count)
            found.prefix = (uint32_t)(node - host->nodes);
        if (end == path.len && node->exact.count)
            found.exact = node;
    }
    return found;
}

uint32_t route_lookup_parent(const struct route_host *host, struct str path)
{
    size_t len = path.len;

    while (len && path.p[len - 1] != '/')
        len--;
    if (!len)
        return path.len ? host->root : ROUTE_NO_INDEX;
    return route_lookup_path(host, (struct str){path.p, len - 1}).prefix;
}
