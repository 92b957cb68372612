/* SPDX-License-Identifier: Apache-2.0
 *
 * See tree.h: what is asked of nodes, whoever made them.
 */
#include "config/tree.h"

#include <string.h>

#include "config/names.h"

struct span tree_span(const struct node *node)
{
    return (struct span){node->source, node->offset, node->length};
}

bool tree_is_word(const struct node *node, const char *word)
{
    return node->kind == NODE_SCALAR && node->text.len == strlen(word) &&
           memcmp(node->text.p, word, node->text.len) == 0;
}

bool tree_is_null(const struct node *node)
{
    return !node->is_secret && node->is_plain &&
           (tree_is_word(node, "") || tree_is_word(node, "~") || tree_is_word(node, "null"));
}

struct node *tree_get(const struct node *map, struct str key)
{
    for (struct node *k = map->child.first; k; k = k->next->next)
        if (k->text.len == key.len && memcmp(k->text.p, key.p, key.len) == 0)
            return k->next;
    return NULL;
}

void tree_append(struct node *parent, struct node *child)
{
    if (parent->child.last)
        parent->child.last->next = child;
    else
        parent->child.first = child;
    parent->child.last = child;
}

const char *tree_noun(const struct node *node)
{
    if (node->kind == NODE_SCALAR)
        return tree_is_null(node) ? "nothing" : "a single value";
    return node->kind == NODE_LIST ? "a list" : "a map";
}

static void report(struct diag *diag, const struct node *key, const struct node *first,
                   const char *what)
{
    struct str place = diag_place(diag, tree_span(first));

    diag_error(diag, tree_span(key), "%s \"%.*s\" is written twice", what, STR_FMT(key->text));
    if (first->source == key->source)
        diag_hint(diag, "first on line %u", diag_line(tree_span(first)));
    else
        diag_hint(diag, "first at %.*s", STR_FMT(place));
}

/* Few keys are compared with each other, many go through a table. */
static const struct node *find_before(const struct node *map, const struct node *key)
{
    for (const struct node *k = map->child.first; k != key; k = k->next->next)
        if (k->text.len == key->text.len && memcmp(k->text.p, key->text.p, k->text.len) == 0)
            return k;
    return NULL;
}

static void check_many(const struct node *map, struct diag *diag, const char *what, uint32_t count)
{
    struct arena scratch;
    struct names names;
    const struct node **keys;
    uint32_t i = 0;

    arena_init(&scratch, NULL, 0);
    names_init(&names, &scratch, count);
    keys = arena_zero(&scratch, count, sizeof(*keys));
    for (const struct node *k = map->child.first; keys && k; k = k->next->next, i++) {
        uint32_t first = names_put(&names, k->text, i);
        keys[i] = k;
        if (first != NAMES_NONE)
            report(diag, k, keys[first], what);
    }
    arena_reset(&scratch);
}

void tree_check_unique(const struct node *map, struct diag *diag, const char *what)
{
    uint32_t count = 0;

    for (const struct node *k = map->child.first; k; k = k->next->next)
        count++;
    if (count > 16) {
        check_many(map, diag, what, count);
        return;
    }
    for (const struct node *k = map->child.first; k; k = k->next->next) {
        const struct node *first = find_before(map, k);
        if (first)
            report(diag, k, first, what);
    }
}
