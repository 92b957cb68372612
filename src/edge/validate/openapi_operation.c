/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads what an operation takes: its parameters with those of its path, and its body.
 */
#include <string.h>
#include <strings.h>

#include "edge/shape/media.h"
#include "edge/validate/openapi_impl.h"

static bool is_word(const struct node *node, const char *word)
{
    return node && node->kind == NODE_SCALAR && tree_is_word(node, word);
}

static bool read_in(struct jschema_book *book, const struct node *map, enum openapi_in *in)
{
    static const char *const names[] = {"path", "query", "header", "cookie"};
    const struct node *node = tree_get(map, STR("in"));

    for (size_t i = 0; node && i < ARRAY_LEN(names); i++) {
        if (!is_word(node, names[i]))
            continue;
        *in = (enum openapi_in)i;
        return true;
    }
    return jschema_wrong(book, node ? node : map,
                         "a parameter is in path, query, header or cookie");
}

/* --- how a list is written (OpenAPI 4.8.12, Style Values) */

static bool read_style(struct jschema_book *book, const struct node *map,
                       struct openapi_parameter *parameter)
{
    const struct node *style = tree_get(map, STR("style"));
    const struct node *explode = tree_get(map, STR("explode"));
    bool is_query = parameter->in == IN_QUERY, is_form = is_query || parameter->in == IN_COOKIE;

    parameter->delimiter = ',';
    if (is_query && is_word(style, "spaceDelimited"))
        parameter->delimiter = ' ';
    else if (is_query && is_word(style, "pipeDelimited"))
        parameter->delimiter = '|';
    else if (style && !is_word(style, is_form ? "form" : "simple"))
        return jschema_wrong(book, style,
                             is_form ? "this style is not supported: form is"
                                     : "this style is not supported: simple is");
    else if (is_query)
        parameter->is_spread = true;
    if (explode)
        parameter->is_spread = is_query && is_word(explode, "true");
    return true;
}

/* The one media type of `content`. */
static const struct node *read_content(struct jschema_book *book, const struct node *content)
{
    const struct node *key = content->kind == NODE_MAP ? content->child.first : NULL;

    if (!key || key->next->next || key->next->kind != NODE_MAP)
        return jschema_wrong(book, content, "expected a map of one media type");
    if (!media_fits(STR("application/json"), key->text))
        return jschema_wrong(book, key, "only application/json is supported here");
    return key->next;
}

static bool read_form(struct jschema_book *book, const struct node *map,
                      struct openapi_parameter *parameter)
{
    const struct node *content = tree_get(map, STR("content")), *schema;
    unsigned types = 0, all = (1U << DOC_NULL | 1U << DOC_BOOL | 1U << DOC_NUMBER | 1U << DOC_TEXT);

    parameter->is_json = content;
    if (content) {
        content = read_content(book, content);
        if (!content)
            return false;
    }
    schema = tree_get(content ? content : map, STR("schema"));
    if (!schema)
        return true;
    parameter->schema = jschema_compile(book, schema);
    if (!parameter->schema)
        return false;
    types = jschema_types(parameter->schema);
    if (parameter->is_json || (types & all))
        return true;
    parameter->is_list = types >> DOC_LIST & 1;
    return parameter->is_list ||
           jschema_wrong(book, schema,
                         "parameters that are objects are supported as content alone");
}

static bool is_ignored(const struct openapi_parameter *parameter)
{
    static const struct str names[] = {STR_INIT("accept"), STR_INIT("content-type"),
                                       STR_INIT("authorization")};

    for (size_t i = 0; i < ARRAY_LEN(names) && parameter->in == IN_HEADER; i++)
        if (parameter->name.len == names[i].len &&
            !strncasecmp(parameter->name.p, names[i].p, names[i].len))
            return true;
    return false;
}

static bool is_same(const struct openapi_parameter *a, const struct openapi_parameter *b)
{
    return a->in == b->in && a->name.len == b->name.len &&
           (a->in == IN_HEADER ? !strncasecmp(a->name.p, b->name.p, a->name.len)
                               : str_same(a->name, b->name));
}

/* One of the operation takes the place of one of its path. */
static void put_parameter(struct openapi_operation *operation,
                          const struct openapi_parameter *parameter)
{
    uint32_t i = 0;

    while (i < operation->count && !is_same(&operation->parameters[i], parameter))
        i++;
    operation->parameters[i] = *parameter;
    operation->count += i == operation->count;
}

static bool read_parameter(struct jschema_book *book, const struct node *node,
                           struct openapi_operation *operation)
{
    const struct node *map = openapi_follow(book, node), *name;
    struct openapi_parameter parameter = {0};

    if (!map)
        return false;
    name = tree_get(map, STR("name"));
    if (!name || name->kind != NODE_SCALAR || !name->text.len)
        return jschema_wrong(book, name ? name : map, "a parameter has a name");
    parameter.name = arena_copy(book->arena, name->text);
    if (!parameter.name.p || !read_in(book, map, &parameter.in))
        return false;
    if (is_ignored(&parameter))
        return true;
    parameter.is_required = is_word(tree_get(map, STR("required")), "true");
    parameter.may_be_empty = is_word(tree_get(map, STR("allowEmptyValue")), "true");
    if (!read_form(book, map, &parameter) || !read_style(book, map, &parameter))
        return false;
    put_parameter(operation, &parameter);
    return true;
}

static bool read_parameters(struct jschema_book *book, const struct node *list,
                            struct openapi_operation *operation)
{
    bool is_good = true;

    if (!list)
        return true;
    if (list->kind != NODE_LIST)
        return jschema_wrong(book, list, "expected a list");
    for (const struct node *at = list->child.first; at; at = at->next)
        is_good &= read_parameter(book, at, operation);
    return is_good;
}

static uint32_t count_children(const struct node *node)
{
    uint32_t count = 0;

    if (!node || node->kind == NODE_SCALAR)
        return 0;
    for (const struct node *at = node->child.first; at; at = at->next)
        count++;
    return count;
}

/* --- the body */

static bool read_media(struct jschema_book *book, const struct node *key,
                       struct openapi_media *media)
{
    const struct node *schema =
        key->next->kind == NODE_MAP ? tree_get(key->next, STR("schema")) : NULL;
    const char *end = memchr(key->text.p, ';', key->text.len);
    struct str type = {key->text.p, end ? (size_t)(end - key->text.p) : key->text.len};

    while (type.len && type.p[type.len - 1] == ' ')
        type.len--;
    media->type = arena_copy(book->arena, type);
    if (!media->type.p)
        return jschema_wrong(book, key, "out of memory");
    if (!str_same(type, STR("*/*")) && !media_is_pattern(type))
        return jschema_wrong(book, key, "this is no media type");
    media->schema = schema ? jschema_compile(book, schema) : NULL;
    return !schema || media->schema;
}

static const struct openapi_body *read_body(struct jschema_book *book, const struct node *node)
{
    const struct node *map = openapi_follow(book, node), *content;
    struct openapi_body *body = arena_zero(book->arena, 1, sizeof(*body));

    if (!map || !body)
        return NULL;
    body->is_required = is_word(tree_get(map, STR("required")), "true");
    content = tree_get(map, STR("content"));
    if (!content || content->kind != NODE_MAP)
        return jschema_wrong(book, content ? content : map,
                             "expected a map of media types: content");
    body->media = arena_zero(book->arena, count_children(content) / 2, sizeof(*body->media));
    if (!body->media)
        return jschema_wrong(book, map, "out of memory");
    for (const struct node *key = content->child.first; key; key = key->next->next)
        read_media(book, key, &body->media[body->count++]);
    return body;
}

const struct openapi_operation *
openapi_read_operation(struct jschema_book *book, const struct node *item, const struct node *map)
{
    struct openapi_operation *operation = arena_zero(book->arena, 1, sizeof(*operation));
    const struct node *shared = tree_get(item, STR("parameters")), *own, *body, *name, *servers;
    uint32_t most;

    if (map->kind != NODE_MAP)
        return jschema_wrong(book, map, "expected a map");
    own = tree_get(map, STR("parameters"));
    body = tree_get(map, STR("requestBody"));
    name = tree_get(map, STR("operationId"));
    servers = tree_get(map, STR("servers"));
    if (servers)
        return jschema_wrong(book, servers, "servers are supported at the root alone");
    most = count_children(shared) + count_children(own);
    if (operation)
        operation->parameters = arena_zero(book->arena, most, sizeof(*operation->parameters));
    if (!operation || !operation->parameters)
        return jschema_wrong(book, map, "out of memory");
    if (name && name->kind == NODE_SCALAR)
        operation->name = arena_copy(book->arena, name->text);
    read_parameters(book, shared, operation);
    read_parameters(book, own, operation);
    operation->body = body ? read_body(book, body) : NULL;
    return operation;
}

/* What names more goes first (OpenAPI 4.8.13.1). */
const struct openapi_media *openapi_find_media(const struct openapi_body *body, struct str type)
{
    const struct openapi_media *found = NULL;
    size_t best = 0;

    for (uint32_t i = 0; type.len && i < body->count; i++) {
        const struct openapi_media *media = &body->media[i];
        bool is_any = str_same(media->type, STR("*/*"));
        size_t weight = is_any ? 1 : 2 + (memchr(media->type.p, '*', media->type.len) ? 0 : 1);

        if (weight > best && (is_any || media_fits(media->type, type))) {
            found = media;
            best = weight;
        }
    }
    return found;
}
