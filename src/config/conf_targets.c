/* SPDX-License-Identifier: Apache-2.0 */
#include "config/conf_targets.h"

#include <string.h>

#include "config/conf_check.h"
#include "config/tree.h"

static const struct field list_fields[] = {
    {.name = "targets",
     .doc = "Where it runs.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &conf_target_element,
     FIELD_ITEMS(struct conf_target_list, items, count)},
    FIELD_END,
};

static void decode(struct decoder *decoder, const struct node *root, struct conf_target_list *list)
{
    bool is_map = root->kind == NODE_MAP;

    if (is_map ? !root->child.first : tree_is_null(root))
        diag_error(decoder->diag, tree_span(root), "it lists no targets");
    else if (is_map)
        field_decode(decoder, list_fields, root, list);
    else
        field_value(decoder, list_fields, root, &list->items);
}

const struct conf_target_list *conf_targets_parse(struct str text, const char *name,
                                                  struct arena *arena, struct diag *diag)
{
    struct decoder decoder = {.arena = arena, .diag = diag};
    struct conf_target_list *list = arena_zero(arena, 1, sizeof(*list));
    const struct source *source;
    const struct node *root;
    unsigned errors = diag->errors;
    struct arena scratch;

    if (text.len > CONF_TARGETS_BYTES_MAX) {
        diag_error(diag, (struct span){0}, "%s is larger than 16 MiB", name);
        return NULL;
    }
    arena_init(&scratch, NULL, 0);
    source = list ? diag_source(diag, (struct str){name, strlen(name)}, text) : NULL;
    root = source ? yaml_read(source, &scratch, diag) : NULL;
    if (root && !root->is_broken) {
        decoder.at = tree_span(root);
        decode(&decoder, root, list);
        conf_check_targets(diag, decoder.at, list->items, list->count);
    }
    arena_reset(&scratch);
    if (!source || arena->is_full)
        diag_error(diag, (struct span){0}, "out of memory");
    diag_sort(diag);
    return diag->errors == errors ? list : NULL;
}
