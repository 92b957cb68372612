/* SPDX-License-Identifier: Apache-2.0
 *
 * `include`: finds the files and merges their trees into that of the file that names them. Lists
 * are joined, services too, other maps are merged key by key; a single value that is set twice is
 * an error that names both places.
 */
#include <glob.h>
#include <string.h>

#include "config/load.h"

static void merge_map(struct load *load, struct node *into, struct node *from);

static void splice(struct node *into, struct node *from)
{
    if (!from->child.first)
        return;
    if (into->child.last)
        into->child.last->next = from->child.first;
    else
        into->child.first = from->child.first;
    into->child.last = from->child.last;
}

static void report_twice(struct load *load, const struct node *key, const struct node *first)
{
    struct str place = diag_place(load->diag, tree_span(first));

    diag_error(load->diag, tree_span(key), "\"%.*s\" is set twice", STR_FMT(key->text));
    diag_hint(load->diag, "first at %.*s", STR_FMT(place));
}

static bool is_text(const struct node *key, const char *word)
{
    return key->text.len == strlen(word) && memcmp(key->text.p, word, key->text.len) == 0;
}

static void merge_value(struct load *load, struct node *into, const struct node *key,
                        struct node *from)
{
    if (from->is_broken || into->is_broken || tree_is_null(from))
        return;
    if (from->kind != into->kind || from->kind == NODE_SCALAR)
        report_twice(load, key, into);
    else if (from->kind == NODE_LIST || is_text(key, "services"))
        splice(into, from);
    else
        merge_map(load, into, from);
}

/* Depth is bounded by TREE_DEPTH_MAX. */
static void merge_map(struct load *load, struct node *into, struct node *from)
{
    for (struct node *key = from->child.first, *next; key; key = next) {
        struct node *value = key->next, *there = tree_get(into, key->text);
        next = value->next;
        if (is_text(key, "include") && key->next->kind == NODE_LIST)
            continue;
        if (there && !tree_is_null(there)) {
            merge_value(load, there, key, value);
            continue;
        }
        value->next = NULL;
        tree_append(into, key);
        into->child.last = value;
    }
}

static struct str resolve(struct load *load, struct str path, struct str name)
{
    const char *slash = memrchr(path.p, '/', path.len);

    if ((name.len && name.p[0] == '/') || !slash)
        return arena_copy(&load->scratch, name);
    return arena_format(&load->scratch, "%.*s/%.*s", (int)(slash - path.p), path.p, STR_FMT(name));
}

static void include_one(struct load *load, struct node *root, struct str path, struct span at)
{
    struct node *from = load_file(load, path, at);

    if (from)
        merge_map(load, root, from);
}

static void include_pattern(struct load *load, struct node *root, struct str path,
                            const struct node *entry)
{
    struct str pattern = resolve(load, path, entry->text);
    glob_t found;

    if (!pattern.p)
        return;
    if (!strpbrk(pattern.p, "*?[")) {
        include_one(load, root, pattern, tree_span(entry));
        return;
    }
    if (glob(pattern.p, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            struct str one = {found.gl_pathv[i], strlen(found.gl_pathv[i])};
            include_one(load, root, one, tree_span(entry));
        }
        globfree(&found);
    }
}

void include_files(struct load *load, struct node *root, struct str path)
{
    struct node *list = tree_get(root, STR("include")), *services;
    unsigned errors = load->diag->errors;

    if (!list || list->kind != NODE_LIST || list->is_broken)
        return;
    for (struct node *entry = list->child.first; entry; entry = entry->next)
        if (entry->kind == NODE_SCALAR && !entry->is_broken && !tree_is_null(entry))
            include_pattern(load, root, path, entry);
    services = tree_get(root, STR("services"));
    if (services && services->kind == NODE_MAP && load->diag->errors == errors)
        tree_check_unique(services, load->diag, "service");
}
