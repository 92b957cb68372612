/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of `filters`: each entry is a map of one key, the filter's name, and its own keys or
 * `off`. Called by the decoder for the root and for each route. What filters there are, the world
 * says.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"
#include "sluice/filter.h"

enum { FILTERS_MAX = 128 };

static bool is_equal(struct str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static const struct filter *find_filter(const struct conf_world *world, struct str name)
{
    for (size_t i = 0; world->filters && world->filters[i]; i++)
        if (is_equal(name, world->filters[i]->name))
            return world->filters[i];
    return NULL;
}

static void unknown_filter(struct decoder *decoder, const struct node *key)
{
    const struct filter *const *filters = decoder->world->filters;
    const char *names[FILTERS_MAX], *nearest;
    size_t count = 0;

    diag_error(decoder->diag, tree_span(key), "no filter named \"%.*s\"", STR_FMT(key->text));
    for (; filters && filters[count] && count < FILTERS_MAX; count++)
        names[count] = filters[count]->name;
    nearest = diag_nearest(key->text, names, count);
    if (nearest)
        diag_hint(decoder->diag, "did you mean \"%s\"?", nearest);
}

/* A filter's own struct by its own table; a table of one nameless field takes the whole value. */
static bool decode_own(struct decoder *decoder, const struct filter *filter,
                       const struct node *value, void *conf)
{
    const struct node *node = tree_is_null(value) ? NULL : value;
    struct node empty = {.kind = NODE_MAP, .source = value->source, .offset = value->offset};
    static const struct field none[] = {FIELD_END};
    bool is_good;

    if (filter->fields && filter->fields[0].name && !filter->fields[0].name[0])
        is_good = field_value(decoder, &filter->fields[0], value,
                              (char *)conf + filter->fields[0].offset);
    else
        is_good = field_decode(decoder, filter->fields ? filter->fields : none,
                               node ? node : &empty, conf);
    if (is_good && filter->check)
        is_good = filter->check(conf, tree_span(value), decoder->diag);
    return is_good;
}

static bool decode_entry(struct decoder *decoder, const struct node *entry, struct conf_filter *out)
{
    const struct node *key = entry->kind == NODE_MAP ? entry->child.first : NULL;

    if (entry->is_broken)
        return false;
    if (!key || key->next->next) {
        diag_error(decoder->diag, tree_span(entry), "expected a map of one key, the filter's name");
        diag_hint(decoder->diag, "write \"- name: {...}\" or \"- name: off\"");
        return false;
    }
    out->at = tree_span(key);
    out->filter = find_filter(decoder->world, key->text);
    if (!out->filter) {
        unknown_filter(decoder, key);
        return false;
    }
    if (tree_is_word(key->next, "off"))
        return true;
    out->conf = arena_zero(decoder->arena, 1, out->filter->conf_size);
    return out->conf && decode_own(decoder, out->filter, key->next, out->conf);
}

static bool check_twice(struct decoder *decoder, const struct conf_filters *all, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (!all->items[i].filter || all->items[j].filter != all->items[i].filter)
            continue;
        diag_error(decoder->diag, all->items[i].at, "filter \"%s\" is written twice",
                   all->items[i].filter->name);
        diag_hint(decoder->diag, "first on line %u", diag_line(all->items[j].at));
        return false;
    }
    return true;
}

bool conf_filters_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_filters *all = member;
    uint32_t count = 0;
    bool is_good = true;

    (void)field;
    if (node->kind != NODE_LIST) {
        diag_error(decoder->diag, tree_span(node), "expected a list, got %s", tree_noun(node));
        diag_hint(decoder->diag, "write \"- name: {...}\" for each filter");
        return false;
    }
    for (const struct node *c = node->child.first; c; c = c->next)
        count++;
    if (count > FILTERS_MAX) {
        diag_error(decoder->diag, tree_span(node), "more than %d filters", FILTERS_MAX);
        return false;
    }
    all->items = arena_zero(decoder->arena, count, sizeof(*all->items));
    if (!all->items)
        return false;
    for (const struct node *c = node->child.first; c; c = c->next) {
        is_good &= decode_entry(decoder, c, &all->items[all->count]);
        is_good &= check_twice(decoder, all, all->count++);
    }
    return is_good;
}

/* --- what is there by itself */

static int find_entry(const struct conf_filters *all, const struct filter *filter)
{
    for (uint32_t i = 0; i < all->count; i++)
        if (all->items[i].filter == filter)
            return (int)i;
    return -1;
}

/* Before the first of those that come after it in the order of the registry, from `next` on. */
static uint32_t find_place(const struct conf_filters *all, const struct filter *const *next)
{
    uint32_t place = all->count;

    for (; *next; next++) {
        int at = find_entry(all, *next);

        if (at >= 0 && (uint32_t)at < place)
            place = (uint32_t)at;
    }
    return place;
}

static void insert(struct decoder *decoder, const struct filter *const *filter,
                   struct conf_filters *all)
{
    uint32_t place = find_place(all, filter + 1);
    struct conf_filter *items = arena_zero(decoder->arena, (size_t)all->count + 1, sizeof(*items));
    struct node empty = {.kind = NODE_MAP};
    void *conf = arena_zero(decoder->arena, 1, (*filter)->conf_size);

    if (!items || !conf || !decode_own(decoder, *filter, &empty, conf))
        return; // no memory: the load fails by itself
    for (uint32_t i = 0; i < all->count; i++)
        items[i < place ? i : i + 1] = all->items[i];
    items[place] = (struct conf_filter){.filter = *filter, .conf = conf, .at = decoder->at};
    *all = (struct conf_filters){items, all->count + 1};
}

void conf_filters_complete(struct decoder *decoder, struct conf_filters *filters)
{
    const struct filter *const *all = decoder->world->filters;

    for (size_t i = 0; all && all[i]; i++)
        if (all[i]->is_standard && find_entry(filters, all[i]) < 0)
            insert(decoder, &all[i], filters);
}
