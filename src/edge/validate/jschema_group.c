/* SPDX-License-Identifier: Apache-2.0
 *
 * Keywords that mean something only together: those of members, of items, of conditions.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/validate/jschema_impl.h"

static const struct node *get(struct jschema_book *book, const struct node *map, struct str key,
                              enum node_kind kind)
{
    const struct node *node = tree_get(map, key);

    if (node && node->kind != kind)
        return jschema_wrong(book, node, kind == NODE_MAP ? "expected a map" : "expected a list");
    return node;
}

static uint32_t count_children(const struct node *node)
{
    uint32_t count = 0;

    for (const struct node *at = node ? node->child.first : NULL; at; at = at->next)
        count++;
    return count;
}

int jschema_compare_names(struct str a, struct str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.p, b.p, a.len) : 0;
}

/* --- members */

static int compare(const void *a, const void *b)
{
    const struct jschema_member *x = a, *y = b;

    return jschema_compare_names(x->name, y->name);
}

/* OpenAPI: what only answers have cannot be asked of requests. */
static bool is_read_only(struct jschema_book *book, const struct node *node)
{
    const struct node *ref, *flag;

    for (int hops = 0; node && node->kind == NODE_MAP && hops < 8; hops++) {
        flag = tree_get(node, STR("readOnly"));
        if (flag && flag->kind == NODE_SCALAR && tree_is_word(flag, "true"))
            return true;
        ref = tree_get(node, STR("$ref"));
        node = ref ? jschema_resolve(book, ref) : NULL;
    }
    return false;
}

static struct jschema_member *find_member(struct jschema_members *members, struct str name)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (str_same(members->members[i].name, name))
            return &members->members[i];
    return NULL;
}

static struct jschema_member *add_member(struct jschema_book *book, struct jschema_members *members,
                                         const struct node *name)
{
    struct jschema_member *member = &members->members[members->count];

    member->name = arena_copy(book->arena, name->text);
    if (!member->name.p)
        return jschema_wrong(book, name, "out of memory");
    members->count++;
    return member;
}

static void add_properties(struct jschema_book *book, const struct node *properties,
                           struct jschema_members *members)
{
    const struct node *key = properties ? properties->child.first : NULL;

    for (; key; key = key->next->next) {
        struct jschema_member *member = add_member(book, members, key);

        if (member)
            member->schema = jschema_later(book, key->next);
    }
}

static void add_required(struct jschema_book *book, const struct node *map,
                         const struct node *required, struct jschema_members *members)
{
    const struct node *properties = get(book, map, STR("properties"), NODE_MAP), *property;
    bool is_openapi = book->dialect == JSCHEMA_OPENAPI_30 || book->dialect == JSCHEMA_OPENAPI_31;

    for (const struct node *at = required ? required->child.first : NULL; at; at = at->next) {
        struct jschema_member *member;

        if (at->kind != NODE_SCALAR) {
            jschema_wrong(book, at, "expected a name");
            continue;
        }
        property = properties ? tree_get(properties, at->text) : NULL;
        if (is_openapi && property && is_read_only(book, property))
            continue;
        member = find_member(members, at->text);
        if (!member)
            member = add_member(book, members, at);
        if (member && !member->is_required)
            members->required_count++;
        if (member)
            member->is_required = true;
    }
}

static void add_families(struct jschema_book *book, const struct node *patterns,
                         struct jschema_members *members)
{
    const struct node *key = patterns ? patterns->child.first : NULL;

    for (; key; key = key->next->next) {
        struct jschema_family *family = &members->families[members->family_count++];

        family->pattern =
            ecma_compile(&book->patterns, book->arena, key->text, tree_span(key), book->diag);
        book->is_broken |= !family->pattern;
        family->schema = jschema_later(book, key->next);
    }
}

bool jschema_read_members(struct jschema_book *book, const struct node *map,
                          struct jschema_rule *rule)
{
    const struct node *properties = get(book, map, STR("properties"), NODE_MAP);
    const struct node *patterns = get(book, map, STR("patternProperties"), NODE_MAP);
    const struct node *required = get(book, map, STR("required"), NODE_LIST);
    const struct node *others = tree_get(map, STR("additionalProperties"));
    struct jschema_members *members;

    if (!properties && !patterns && !required && !others)
        return false;
    members = arena_zero(book->arena, 1, sizeof(*members));
    if (!members)
        return jschema_wrong(book, map, "out of memory");
    members->members =
        arena_zero(book->arena, count_children(properties) / 2 + count_children(required),
                   sizeof(*members->members));
    members->families =
        arena_zero(book->arena, count_children(patterns) / 2, sizeof(*members->families));
    if (!members->members || !members->families)
        return jschema_wrong(book, map, "out of memory");
    add_properties(book, properties, members);
    add_required(book, map, required, members);
    add_families(book, patterns, members);
    if (others)
        members->others = jschema_later(book, others);
    if (members->count)
        qsort(members->members, members->count, sizeof(*members->members), compare);
    *rule = (struct jschema_rule){.kind = RULE_MEMBERS, .members = members};
    return true;
}

/* --- items */

static bool read_prefix(struct jschema_book *book, const struct node *list,
                        struct jschema_list *prefix)
{
    prefix->items = arena_zero(book->arena, count_children(list), sizeof(struct jschema *));
    if (!prefix->items)
        return jschema_wrong(book, list, "out of memory");
    for (const struct node *at = list->child.first; at; at = at->next) {
        prefix->items[prefix->count] = jschema_later(book, at);
        if (!prefix->items[prefix->count++])
            return false;
    }
    return true;
}

/* Before 2020-12 a list of `items` was what prefixItems is, and additionalItems what items is. */
bool jschema_read_items(struct jschema_book *book, const struct node *map,
                        struct jschema_rule *rule)
{
    const struct node *prefix = get(book, map, STR("prefixItems"), NODE_LIST);
    const struct node *rest = tree_get(map, STR("items"));
    struct jschema_items *items = arena_zero(book->arena, 1, sizeof(*items));

    if (rest && rest->kind == NODE_LIST && prefix)
        return jschema_wrong(book, rest, "a list of items and prefixItems mean the same");
    if (rest && rest->kind == NODE_LIST) {
        prefix = rest;
        rest = tree_get(map, STR("additionalItems"));
    }
    if (!prefix && !rest)
        return false;
    if (!items)
        return jschema_wrong(book, map, "out of memory");
    if (prefix && !read_prefix(book, prefix, &items->prefix))
        return false;
    items->rest = rest ? jschema_later(book, rest) : NULL;
    *rule = (struct jschema_rule){.kind = RULE_ITEMS, .items = items};
    return true;
}

static bool read_bound(struct jschema_book *book, const struct node *map, struct str key,
                       uint32_t *bound)
{
    const struct node *node = tree_get(map, key);
    uint64_t count = 0;

    if (!node)
        return true;
    if (node->kind != NODE_SCALAR || !node->is_plain || !node->text.len || node->text.len > 9)
        return jschema_wrong(book, node, "expected a whole number that is not negative");
    for (size_t i = 0; i < node->text.len; i++) {
        if (node->text.p[i] < '0' || node->text.p[i] > '9')
            return jschema_wrong(book, node, "expected a whole number that is not negative");
        count = count * 10 + (unsigned)(node->text.p[i] - '0');
    }
    *bound = (uint32_t)count;
    return true;
}

bool jschema_read_contains(struct jschema_book *book, const struct node *map,
                           struct jschema_rule *rule)
{
    const struct node *node = tree_get(map, STR("contains"));
    struct jschema_contains *contains;

    if (!node)
        return false;
    contains = arena_zero(book->arena, 1, sizeof(*contains));
    if (!contains)
        return jschema_wrong(book, map, "out of memory");
    contains->least = 1;
    contains->most = UINT32_MAX;
    contains->schema = jschema_later(book, node);
    *rule = (struct jschema_rule){.kind = RULE_CONTAINS, .contains = contains};
    return read_bound(book, map, STR("minContains"), &contains->least) &&
           read_bound(book, map, STR("maxContains"), &contains->most);
}

/* --- conditions */

static const struct jschema *read_branch(struct jschema_book *book, const struct node *map,
                                         struct str key)
{
    const struct node *node = tree_get(map, key);

    return node ? jschema_later(book, node) : NULL;
}

bool jschema_read_when(struct jschema_book *book, const struct node *map, struct jschema_rule *rule)
{
    struct jschema_if *when;

    if (!tree_get(map, STR("if")))
        return false;
    when = arena_zero(book->arena, 1, sizeof(*when));
    if (!when)
        return jschema_wrong(book, map, "out of memory");
    when->condition = read_branch(book, map, STR("if"));
    when->then = read_branch(book, map, STR("then"));
    when->otherwise = read_branch(book, map, STR("else"));
    *rule = (struct jschema_rule){.kind = RULE_IF, .when = when};
    return when->condition;
}

static bool read_needs(struct jschema_book *book, const struct node *list,
                       struct jschema_dependency *dependency)
{
    if (list->kind != NODE_LIST)
        return jschema_wrong(book, list, "expected a list of names");
    dependency->needs = arena_zero(book->arena, count_children(list), sizeof(struct str));
    if (!dependency->needs)
        return jschema_wrong(book, list, "out of memory");
    for (const struct node *at = list->child.first; at; at = at->next) {
        if (at->kind != NODE_SCALAR)
            return jschema_wrong(book, at, "expected a name");
        dependency->needs[dependency->count] = arena_copy(book->arena, at->text);
        if (!dependency->needs[dependency->count++].p)
            return jschema_wrong(book, at, "out of memory");
    }
    return true;
}

static void add_dependency(struct jschema_book *book, const struct node *key, bool is_schema,
                           struct jschema_dependencies *all)
{
    struct jschema_dependency *dependency = &all->items[all->count];

    dependency->name = arena_copy(book->arena, key->text);
    if (!dependency->name.p)
        jschema_wrong(book, key, "out of memory");
    else if (!is_schema)
        all->count += read_needs(book, key->next, dependency);
    else if ((dependency->schema = jschema_later(book, key->next)))
        all->count++;
}

/* `is_mixed`: each may be of either kind, and the others are not meant. */
static void add_dependencies(struct jschema_book *book, const struct node *map, bool wants_schemas,
                             bool is_mixed, struct jschema_dependencies *all)
{
    for (const struct node *key = map ? map->child.first : NULL; key; key = key->next->next)
        if (!is_mixed || (key->next->kind != NODE_LIST) == wants_schemas)
            add_dependency(book, key, wants_schemas, all);
}

bool jschema_read_dependencies(struct jschema_book *book, const struct node *map,
                               bool wants_schemas, struct jschema_rule *rule)
{
    struct str key = wants_schemas ? STR("dependentSchemas") : STR("dependentRequired");
    const struct node *node = get(book, map, key, NODE_MAP);
    const struct node *mixed = get(book, map, STR("dependencies"), NODE_MAP);
    struct jschema_dependencies *all;

    if (!node && !mixed)
        return false;
    all = arena_zero(book->arena, 1, sizeof(*all));
    if (all)
        all->items = arena_zero(book->arena, count_children(node) / 2 + count_children(mixed) / 2,
                                sizeof(*all->items));
    if (!all || !all->items)
        return jschema_wrong(book, map, "out of memory");
    add_dependencies(book, node, wants_schemas, false, all);
    add_dependencies(book, mixed, wants_schemas, true, all);
    *rule = (struct jschema_rule){
        .kind = wants_schemas ? RULE_DEPENDENT_SCHEMAS : RULE_DEPENDENT_REQUIRED,
        .dependencies = all,
    };
    return all->count;
}
