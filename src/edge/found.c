/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/found.h"

#include <stdlib.h>
#include <string.h>

static bool same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

/* --- lists */

/* Host and port point into the text; what is within it must be found in the copy. */
static bool copy_address(struct arena *arena, struct conf_address *to,
                         const struct conf_address *from)
{
    struct str text = from->text.s;

    to->text.s = arena_copy(arena, text);
    to->host = from->host;
    if (from->host.p >= text.p && from->host.p + from->host.len <= text.p + text.len)
        to->host.p = to->text.s.p + (from->host.p - text.p);
    else
        to->host = arena_copy(arena, from->host);
    to->port = from->port;
    to->is_unix = from->is_unix;
    return to->text.s.p && to->host.p;
}

static bool copy_target(struct arena *arena, struct conf_target *to, const struct conf_target *from)
{
    to->id.s = arena_copy(arena, from->id.s);
    to->region.s = arena_copy(arena, from->region.s);
    to->weight = from->weight;
    to->priority = from->priority;
    return copy_address(arena, &to->address, &from->address) && to->id.s.p && to->region.s.p;
}

struct found_list *found_list_new(const struct conf_target *items, uint32_t count)
{
    struct found_list *list = calloc(1, sizeof(*list));
    bool is_good;

    if (!list)
        return NULL;
    list->refs = 1;
    arena_init(&list->arena, NULL, 0);
    list->items = arena_zero(&list->arena, count, sizeof(*list->items));
    is_good = list->items != NULL;
    for (; is_good && list->count < count; list->count++)
        is_good = copy_target(&list->arena, &list->items[list->count], &items[list->count]);
    if (!is_good)
        found_list_unref(&list);
    return list;
}

struct found_list *found_list_ref(struct found_list *list)
{
    if (list)
        list->refs++;
    return list;
}

void found_list_unref(struct found_list **list)
{
    struct found_list *gone = *list;

    *list = NULL;
    if (!gone || --gone->refs)
        return;
    arena_reset(&gone->arena);
    free(gone);
}

static bool is_same_target(const struct conf_target *a, const struct conf_target *b)
{
    return same(a->id.s, b->id.s) && same(a->address.text.s, b->address.text.s) &&
           same(a->region.s, b->region.s) && a->weight == b->weight && a->priority == b->priority;
}

bool found_list_equal(const struct found_list *a, const struct found_list *b)
{
    if (!a || !b || a->count != b->count)
        return a == b;
    for (uint32_t i = 0; i < a->count; i++)
        if (!is_same_target(&a->items[i], &b->items[i]))
            return false;
    return true;
}

/* --- the set */

bool found_is_same(const struct conf_discover *a, const struct conf_discover *b)
{
    return same(a->dns.s, b->dns.s) && same(a->file.s, b->file.s) && a->port == b->port &&
           a->type == b->type;
}

struct found *found_new(uint32_t room)
{
    struct found *found = calloc(1, sizeof(*found));

    if (!found)
        return NULL;
    found->refs = 1;
    found->room = room;
    arena_init(&found->arena, NULL, 0);
    found->sources = arena_zero(&found->arena, room, sizeof(*found->sources));
    if (!found->sources)
        found_unref(&found);
    return found;
}

bool found_add(struct found *found, const struct found_source *source)
{
    struct found_source *to = &found->sources[found->count];

    if (found->count == found->room)
        return false;
    *to = *source;
    to->what.dns.s = arena_copy(&found->arena, source->what.dns.s);
    to->what.file.s = arena_copy(&found->arena, source->what.file.s);
    if (!to->what.dns.s.p || !to->what.file.s.p)
        return false;
    found_list_ref(to->list);
    found->count++;
    return true;
}

struct found *found_ref(struct found *found)
{
    if (found)
        found->refs++;
    return found;
}

void found_unref(struct found **found)
{
    struct found *gone = *found;

    *found = NULL;
    if (!gone || --gone->refs)
        return;
    for (uint32_t i = 0; i < gone->count; i++)
        found_list_unref(&gone->sources[i].list);
    arena_reset(&gone->arena);
    free(gone);
}

const struct found_source *found_of(const struct found *found, const struct conf_discover *what)
{
    for (uint32_t i = 0; found && i < found->count; i++)
        if (found_is_same(&found->sources[i].what, what))
            return &found->sources[i];
    return NULL;
}
