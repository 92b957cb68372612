/* SPDX-License-Identifier: Apache-2.0
 *
 * The path that a target sees. Called by the exchange once a try; pure. Works on the path as routes
 * see it, so that a prefix is also stripped from a path that reached its route by way of dot
 * segments.
 */
#include "edge/route/path.h"
#include "edge/route/table.h"

#include <string.h>

// Text that grows to a length known before: once without room to count, once to write.
struct writer {
    char *p; // NULL: only counting
    size_t len;
};

static void put(struct writer *out, struct str text)
{
    if (out->p && text.len)
        memcpy(out->p + out->len, text.p, text.len);
    out->len += text.len;
}

static struct str group(struct str path, const struct route_groups *groups, int i)
{
    return (struct str){path.p + groups->start[i], groups->end[i] - groups->start[i]};
}

// $0 to $9 are groups, $$ is a dollar; any other dollar is itself.
static void expand(struct writer *out, struct str replace, struct str path,
                   const struct route_groups *groups)
{
    for (size_t i = 0; i < replace.len; i++) {
        struct str one = {replace.p + i, 1};

        if (replace.p[i] == '$' && i + 1 < replace.len) {
            char c = replace.p[i + 1];

            if (c == '$')
                i++;
            if (c >= '0' && c <= '9') {
                one = group(path, groups, c - '0');
                i++;
            }
        }
        put(out, one);
    }
}

static struct str substitute(const struct conf_route *route, const struct route_groups *groups,
                             struct str path, struct arena *arena)
{
    struct str before = {path.p, groups->start[0]};
    struct str after = {path.p + groups->end[0], path.len - groups->end[0]};
    struct writer out = {.p = NULL};
    char *room;

    for (;;) {
        put(&out, before);
        expand(&out, route->rewrite.replace.s, path, groups);
        put(&out, after);
        if (out.p)
            break;
        room = arena_text(arena, out.len + 1);
        if (!room)
            return STR_NONE;
        room[0] = '/';
        out = (struct writer){.p = room + 1};
    }
    // A request target begins with a slash (RFC 9112 3.2.1).
    if (out.len && out.p[0] == '/')
        return (struct str){out.p, out.len};
    return (struct str){out.p - 1, out.len + 1};
}

static struct str without_end_slash(struct str text)
{
    while (text.len && text.p[text.len - 1] == '/')
        text.len--;
    return text;
}

static struct str join(struct str prefix, struct str path, struct arena *arena)
{
    bool has_slash = prefix.p[0] == '/';
    struct writer out = {.p = arena_text(arena, prefix.len + path.len + 1)};

    if (!out.p)
        return STR_NONE;
    put(&out, has_slash ? STR("") : STR("/"));
    put(&out, prefix);
    put(&out, path);
    return (struct str){out.p, out.len};
}

struct str route_rewrite(const struct route_table *table, uint32_t index,
                         const struct head *request, struct arena *arena)
{
    const struct conf_route *route = &table->routes[index];
    struct str strip = without_end_slash(route->rewrite.strip_prefix.s);
    struct str add = without_end_slash(route->rewrite.add_prefix.s);
    char buffer[ROUTE_PATH_MAX];
    struct str path = route_path_view(request->path, buffer);
    struct route_groups groups;

    if (!path.len || path.p[0] != '/')
        return request->path;
    if (table->rewrites[index] != ROUTE_NO_INDEX) {
        if (!route_pattern_find(&table->patterns[table->rewrites[index]], path, &groups))
            return request->path;
        return substitute(route, &groups, path, arena);
    }
    if (!add.len && (!strip.len || !route_path_is_under(path, strip)))
        return request->path;
    if (strip.len && route_path_is_under(path, strip))
        path = (struct str){path.p + strip.len, path.len - strip.len};
    if (!path.len)
        path = STR("/");
    return add.len ? join(add, path, arena) : arena_copy(arena, path);
}
