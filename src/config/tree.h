/* SPDX-License-Identifier: Apache-2.0
 *
 * A parsed file as a tree of nodes, each with the place it was written at. Read by yaml.c, changed
 * only by expand.c and include.c, decoded by field.c, then dropped with its arena. A map's children
 * are key, value, key, value; keys are scalars. Text points into the source or the tree's arena.
 * One thread.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "config/diag.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    uint8_t kind;            /* enum node_kind */
    bool is_plain;           /* scalar without quotes: `null` and `~` have their meaning */
    bool is_secret;          /* its value came from ${env:} or ${file:}: never printed */
    bool is_broken;          /* an error was reported: what follows stays silent about it */
    uint32_t offset, length; /* of the span in source */
    const struct source *source;
    union {
        struct str text;
        struct {
            struct node *first, *last;
        } child;
    };
    struct node *next; /* sibling */
};

struct span tree_span(const struct node *node);
/* Nothing was written: `key:`, `~` or `null`. */
bool tree_is_null(const struct node *node);
/* A plain scalar of this word. */
bool tree_is_word(const struct node *node, const char *word);
/* The value of a key; NULL when the map has none. */
struct node *tree_get(const struct node *map, struct str key);
void tree_append(struct node *parent, struct node *child);
/* "a text", "a list" or "a map". */
const char *tree_noun(const struct node *node);
/* Reports each key of `map` that stands twice, naming the first place. */
void tree_check_unique(const struct node *map, struct diag *diag, const char *what);

enum { TREE_DEPTH_MAX = 64 };

/* Parses YAML (and so JSON) into nodes of `arena`. NULL after an error; the source must outlive the
 * tree. */
struct node *yaml_read(const struct source *source, struct arena *arena, struct diag *diag);

/* Replaces ${env:NAME} and ${file:/path} in every value below `node`, $${ by ${. What cannot be had
 * is an error and leaves the node broken. `node` is the map that a whole file is: what conf_world
 * does not want to know stays as written. */
struct conf_world;
void expand_tree(struct node *node, const struct conf_world *world, struct arena *arena,
                 struct diag *diag);

#endif
