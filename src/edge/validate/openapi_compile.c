/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads an OpenAPI document: servers, paths, and the methods of each.
 */
#include <string.h>

#include "edge/route/path.h"
#include "edge/validate/openapi_impl.h"

enum { HOPS_MAX = 8 };

const char *const openapi_methods[OPENAPI_METHODS] = {"GET",    "HEAD",    "POST",  "PUT",
                                                      "DELETE", "OPTIONS", "PATCH", "TRACE"};

const struct node *openapi_follow(struct jschema_book *book, const struct node *node)
{
    for (int hops = 0; node; hops++) {
        const struct node *ref = node->kind == NODE_MAP ? tree_get(node, STR("$ref")) : NULL;

        if (node->kind != NODE_MAP)
            return jschema_wrong(book, node, "expected a map");
        if (!ref)
            return node;
        if (hops == HOPS_MAX)
            return jschema_wrong(book, ref, "too many references one after the other");
        node = jschema_resolve(book, ref);
    }
    return NULL;
}

/* --- where its paths begin */

static const struct node *get(const struct node *map, struct str key)
{
    return map && map->kind == NODE_MAP ? tree_get(map, key) : NULL;
}

/* The URL with its variables by their defaults; absent after an error. */
static struct str expand_url(struct jschema_book *book, const struct node *url,
                             const struct node *variables)
{
    struct str left = url->text, text = STR("");

    while (left.len && text.p) {
        const char *open = memchr(left.p, '{', left.len);
        const char *close = open ? memchr(open, '}', left.len - (size_t)(open - left.p)) : NULL;
        struct str literal = {left.p, open ? (size_t)(open - left.p) : left.len}, value = STR("");
        const struct node *variable;

        if (close) {
            variable = get(variables, (struct str){open + 1, (size_t)(close - open - 1)});
            variable = get(variable, STR("default"));
            value = variable && variable->kind == NODE_SCALAR ? variable->text : STR_NONE;
        }
        if (!value.p || (open && !close)) {
            jschema_wrong(book, url, "it has a variable without a default");
            return STR_NONE;
        }
        text = arena_format(book->arena, "%.*s%.*s%.*s", STR_FMT(text), STR_FMT(literal),
                            STR_FMT(value));
        left = close ? (struct str){close + 1, (size_t)(left.p + left.len - close) - 1} : STR("");
    }
    return text;
}

/* The path of a server's URL; absent after an error. */
static struct str read_url(struct jschema_book *book, const struct node *server)
{
    static const struct str slashes = STR_INIT("://");
    const struct node *url = get(server, STR("url"));
    struct str text, rest;
    const char *host;

    if (!url || url->kind != NODE_SCALAR) {
        jschema_wrong(book, server, "a server has a url");
        return STR_NONE;
    }
    text = expand_url(book, url, get(server, STR("variables")));
    host = text.len ? memmem(text.p, text.len, slashes.p, slashes.len) : NULL;
    if (!host)
        return text;
    rest = (struct str){host + slashes.len, (size_t)(text.p + text.len - host) - slashes.len};
    host = rest.len ? memchr(rest.p, '/', rest.len) : NULL;
    return host ? (struct str){host, (size_t)(rest.p + rest.len - host)} : STR("");
}

static bool add_base(struct jschema_book *book, struct openapi *api, struct str base)
{
    char buffer[ROUTE_PATH_MAX];

    if (base.len && base.p[0] == '/')
        base = route_path_view(base, buffer);
    while (base.len && base.p[base.len - 1] == '/')
        base.len--;
    base = arena_copy(book->arena, base);
    if (!base.p)
        return false;
    api->bases[api->base_count++] = base;
    return true;
}

static bool read_bases(struct jschema_book *book, struct openapi *api, struct str base)
{
    const struct node *servers = tree_get(book->root, STR("servers"));
    uint32_t count = 1;

    if (servers && servers->kind != NODE_LIST)
        return jschema_wrong(book, servers, "expected a list");
    for (const struct node *at = servers ? servers->child.first : NULL; at; at = at->next)
        count++;
    api->bases = arena_zero(book->arena, count, sizeof(*api->bases));
    if (!api->bases)
        return jschema_wrong(book, book->root, "out of memory");
    if (base.p || count == 1)
        return add_base(book, api, base.p ? base : STR(""));
    for (const struct node *at = servers->child.first; at; at = at->next) {
        struct str path = read_url(book, at);

        if (!path.p || !add_base(book, api, path))
            return false;
    }
    return true;
}

/* --- paths */

static struct str list_allowed(struct jschema_book *book, const struct openapi_item *item)
{
    struct str text = STR("");

    for (size_t i = 0; i < OPENAPI_METHODS && text.p; i++) {
        bool is_there = item->operations[i] || (i == OPENAPI_HEAD && item->operations[OPENAPI_GET]);

        if (is_there)
            text = arena_format(book->arena, "%.*s%s%s", STR_FMT(text), text.len ? ", " : "",
                                openapi_methods[i]);
    }
    return text;
}

/* The index of a key that is a method, in lower case; OPENAPI_METHODS: it is none. */
static size_t find_method(struct str key)
{
    static const char *const names[OPENAPI_METHODS] = {"get",    "head",    "post",  "put",
                                                       "delete", "options", "patch", "trace"};
    size_t i = 0;

    while (i < OPENAPI_METHODS && !str_same(key, (struct str){names[i], strlen(names[i])}))
        i++;
    return i;
}

static bool is_other_key(struct str key)
{
    static const char *const names[] = {"$ref", "summary", "description", "parameters"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_same(key, (struct str){names[i], strlen(names[i])}))
            return true;
    return key.len > 1 && !memcmp(key.p, "x-", 2);
}

static void read_item(struct jschema_book *book, struct openapi *api, const struct node *key)
{
    const struct node *map = openapi_follow(book, key->next);
    struct openapi_item *item = arena_zero(book->arena, 1, sizeof(*item));

    if (!map || !item)
        return;
    item->path = arena_copy(book->arena, key->text);
    for (const struct node *at = map->child.first; at; at = at->next->next) {
        size_t method = find_method(at->text);

        if (method < OPENAPI_METHODS)
            item->operations[method] = openapi_read_operation(book, map, at->next);
        else if (!is_other_key(at->text))
            jschema_wrong(book, at,
                          "not supported here: a method, parameters, summary, description");
    }
    item->allow = list_allowed(book, item);
    if (!item->allow.p || !item->path.p)
        jschema_wrong(book, key, "out of memory");
    else
        openapi_add_path(book, api, key, item);
}

static bool read_version(struct jschema_book *book)
{
    const struct node *version = NULL;
    struct str text = STR("");

    if (book->root->kind == NODE_MAP)
        version = tree_get(book->root, STR("openapi"));
    if (version && version->kind == NODE_SCALAR)
        text = version->text;
    book->dialect = JSCHEMA_OPENAPI_31;
    if (text.len >= 3 && !memcmp(text.p, "3.1", 3))
        return true;
    book->dialect = JSCHEMA_OPENAPI_30;
    if (text.len >= 3 && !memcmp(text.p, "3.0", 3))
        return true;
    return jschema_wrong(book, version ? version : book->root,
                         "expected a document with openapi: 3.0.x or 3.1.x");
}

const struct openapi *openapi_compile(struct jschema_book *book, struct str base)
{
    struct openapi *api = arena_zero(book->arena, 1, sizeof(*api));
    const struct node *paths;

    if (!api)
        return jschema_wrong(book, book->root, "out of memory");
    if (!read_version(book) || !read_bases(book, api, base))
        return NULL;
    paths = tree_get(book->root, STR("paths"));
    if (!paths || paths->kind != NODE_MAP)
        return jschema_wrong(book, paths ? paths : book->root, "expected a map of paths");
    for (const struct node *key = paths->child.first; key; key = key->next->next)
        if (key->text.len < 2 || memcmp(key->text.p, "x-", 2) != 0)
            read_item(book, api, key);
    return book->is_broken ? NULL : api;
}

const struct openapi_operation *openapi_method(const struct openapi_item *item, struct str method)
{
    size_t i = 0;

    while (i < OPENAPI_METHODS &&
           !str_same(method, (struct str){openapi_methods[i], strlen(openapi_methods[i])}))
        i++;
    if (i == OPENAPI_METHODS)
        return NULL;
    if (i == OPENAPI_HEAD && !item->operations[i])
        i = OPENAPI_GET;
    return item->operations[i];
}

struct str openapi_allow(const struct openapi_item *item)
{
    return item->allow;
}
