/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/tls/tls_names.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 255 };

static int compare_text(struct str a, struct str b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b)
{
    return compare_text(((const struct tls_name *)a)->name, ((const struct tls_name *)b)->name);
}

/* Equal names stay in the order in which they were added. */
static int compare_order(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int order = compare_text(x->name, y->name);

    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static bool make_room(struct tls_names *names, uint32_t more)
{
    uint32_t wanted = names->count + more, capacity = names->capacity ? names->capacity : 8;
    struct tls_name *items;

    if (wanted <= names->capacity)
        return true;
    while (capacity < wanted)
        capacity *= 2;
    items = realloc(names->items, capacity * sizeof(*items));
    if (!items)
        return false;
    names->items = items;
    names->capacity = capacity;
    return true;
}

bool tls_names_add(struct tls_names *names, const struct certificate *certificate)
{
    if (!make_room(names, certificate->name_count))
        return false;
    for (uint32_t i = 0; i < certificate->name_count; i++) {
        struct tls_name *item = &names->items[names->count++];

        *item = (struct tls_name){.name = certificate->names[i], .order = names->count};
        item->set.by_kind[certificate->kind] = certificate;
    }
    return true;
}

static void complete(struct tls_names_set *set, const struct tls_names_set *more)
{
    for (unsigned i = 0; more && i < CERTIFICATE_KINDS; i++)
        if (!set->by_kind[i])
            set->by_kind[i] = more->by_kind[i];
}

/* Equal names become one. */
static void merge(struct tls_names *names)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < names->count; i++) {
        struct tls_name *last = kept ? &names->items[kept - 1] : NULL;

        if (last && !compare_text(last->name, names->items[i].name))
            complete(&last->set, &names->items[i].set);
        else
            names->items[kept++] = names->items[i];
    }
    names->count = kept;
}

static const struct tls_names_set *find_exact(const struct tls_names *names, struct str name)
{
    const struct tls_name key = {.name = name}, *found = NULL;

    if (names->count)
        found = bsearch(&key, names->items, names->count, sizeof(key), compare);
    return found ? &found->set : NULL;
}

static const struct tls_names_set *find_wildcard(const struct tls_names *names, struct str name)
{
    const char *dot = name.len ? memchr(name.p, '.', name.len) : NULL;
    char pattern[NAME_MAX_LEN + 1];
    size_t rest;

    if (!dot || dot == name.p)
        return NULL;
    rest = name.len - (size_t)(dot - name.p);
    if (rest + 1 > sizeof(pattern))
        return NULL;
    pattern[0] = '*';
    memcpy(pattern + 1, dot, rest);
    return find_exact(names, (struct str){pattern, rest + 1});
}

void tls_names_finish(struct tls_names *names)
{
    if (!names->count)
        return;
    qsort(names->items, names->count, sizeof(*names->items), compare_order);
    merge(names);
    for (uint32_t i = 0; i < names->count; i++) {
        struct tls_name *item = &names->items[i];

        if (item->name.p[0] != '*')
            complete(&item->set, find_wildcard(names, item->name));
    }
}

void tls_names_fini(struct tls_names *names)
{
    free(names->items);
    *names = (struct tls_names){0};
}

const struct tls_names_set *tls_names_find(const struct tls_names *names, struct str name)
{
    const struct tls_names_set *found;

    if (!name.len || name.len > NAME_MAX_LEN)
        return NULL;
    found = name.p[0] == '*' ? NULL : find_exact(names, name);
    return found ? found : find_wildcard(names, name);
}
