/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder of field tables, see field.h: maps, lists and objects. Called by load.c for the root,
 * by itself for what stands below, and by the hooks of CUSTOM fields. Goes on after an error, so
 * that all are reported.
 */
#include "config/field.h"

#include <assert.h>
#include <string.h>

#include "config/field_scalar.h"
#include "config/tree.h"

enum { FIELDS_MAX = 40 };

const struct field field_text_element = {.name = "",
                                         .type = FIELD_TEXT,
                                         .flags = FIELD_NONEMPTY,
                                         .size = sizeof(struct conf_text)};

static bool is_key(const struct field *field)
{
    return field->type != FIELD_SPAN;
}

static int find_field(const struct field *fields, struct str key)
{
    for (int i = 0; fields[i].name; i++)
        if (is_key(&fields[i]) && strncmp(fields[i].name, key.p, key.len) == 0 &&
            fields[i].name[key.len] == '\0')
            return i;
    return -1;
}

/* Whatever was written there: the span of a list or map is its beginning alone. */
static void hide(struct diag *diag, const struct node *node)
{
    if (node->kind == NODE_SCALAR && node->source)
        diag_hide(diag, tree_span(node));
    if (node->kind == NODE_SCALAR)
        return;
    for (const struct node *child = node->child.first; child; child = child->next)
        hide(diag, child);
}

static void unknown_key(struct decoder *decoder, const struct field *fields, const struct node *key)
{
    const char *names[FIELDS_MAX], *nearest;
    size_t count = 0;

    diag_error(decoder->diag, tree_span(key), "unknown key \"%.*s\"", STR_FMT(key->text));
    for (const struct field *f = fields; f->name; f++)
        if (is_key(f))
            names[count++] = f->name;
    nearest = diag_nearest(key->text, names, count);
    if (!nearest)
        return;
    diag_hint(decoder->diag, "did you mean \"%s\"?", nearest);
    if (fields[find_field(fields, (struct str){nearest, strlen(nearest)})].flags & FIELD_SECRET)
        hide(decoder->diag, key->next);
}

/* Finds for each field its node; false when a key is none of them. */
static bool sort_keys(struct decoder *decoder, const struct field *fields, const struct node *map,
                      const struct node **found)
{
    bool is_good = true;

    for (const struct node *key = map->child.first; key; key = key->next->next) {
        int i = key->is_broken ? -1 : find_field(fields, key->text);
        if (i >= 0) {
            found[i] = found[i] ? found[i] : key->next;
            continue;
        }
        is_good = false;
        if (!key->is_broken)
            unknown_key(decoder, fields, key);
    }
    return is_good;
}

static bool set_standard(struct decoder *decoder, const struct field *field, void *member)
{
    struct node node = {.kind = NODE_SCALAR, .is_plain = field->standard[0] != 0};
    bool is_good;

    node.text = (struct str){field->standard, strlen(field->standard)};
    is_good = field_value(decoder, field, &node, member);
    assert(is_good || decoder->arena->is_full);
    return is_good;
}

static bool set_absent(struct decoder *decoder, const struct field *field, const struct node *map,
                       void *member)
{
    if (field->type == FIELD_SPAN) {
        if (map)
            *(struct span *)member = tree_span(map);
        return true;
    }
    if (field->flags & FIELD_REQUIRED && map) {
        diag_error(decoder->diag, tree_span(map), "key \"%s\" is missing", field->name);
        return false;
    }
    if (field->type == FIELD_OBJECT && !(field->flags & FIELD_PRESENT))
        return field_decode(decoder, field->fields, NULL, member);
    if (field->flags & FIELD_ALWAYS)
        return field->decode(decoder, field, NULL, member);
    return field->standard ? set_standard(decoder, field, member) : true;
}

static bool is_single(enum field_type type)
{
    return type <= FIELD_ADDRESS;
}

/* `key:` with nothing behind it leaves a list or a map at its default; a single value must be
 * written. */
static bool is_absent(const struct field *field, const struct node *value)
{
    bool is_needed = is_single(field->type) || field->flags & FIELD_PRESENT;

    return !value || (!is_needed && tree_is_null(value));
}

static bool decode_map(struct decoder *decoder, const struct field *fields, const struct node *map,
                       void *out, bool is_overlay)
{
    const struct node *found[FIELDS_MAX] = {NULL};
    bool is_good = true;

    if (map && map->is_broken)
        return false;
    if (map && map->kind != NODE_MAP) {
        diag_error(decoder->diag, tree_span(map), "expected a map, got %s", tree_noun(map));
        return false;
    }
    if (map)
        is_good = sort_keys(decoder, fields, map, found);
    for (int i = 0; fields[i].name; i++) {
        void *member = (char *)out + fields[i].offset;
        assert(i < FIELDS_MAX);
        if (found[i] && fields[i].flags & FIELD_PRESENT)
            *(bool *)((char *)out + fields[i].count_offset) = true;
        if (!is_absent(&fields[i], found[i]))
            is_good &= field_value(decoder, &fields[i], found[i], member);
        else if (!is_overlay)
            is_good &= set_absent(decoder, &fields[i], map, member);
    }
    return is_good;
}

bool field_decode(struct decoder *decoder, const struct field *fields, const struct node *node,
                  void *out)
{
    return decode_map(decoder, fields, node, out, false);
}

bool field_overlay(struct decoder *decoder, const struct field *fields, const struct node *node,
                   void *out)
{
    return decode_map(decoder, fields, node, out, true);
}

/* Room for `count` elements beside their count; NULL after an error. `member` is the pointer. */
static char *make_items(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    char *parent = (char *)member - field->offset, *items;
    uint32_t count = 0;

    for (const struct node *c = node->child.first; c; c = c->next)
        count++;
    if (node->kind == NODE_MAP)
        count /= 2;
    items = arena_zero(decoder->arena, count, field->element_size);
    if (!items) {
        diag_error(decoder->diag, tree_span(node), "out of memory");
        return NULL;
    }
    *(void **)member = items;
    *(uint32_t *)(void *)(parent + field->count_offset) = count;
    return items;
}

static bool decode_list(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    bool is_good = true;
    char *item;

    if (field->flags & FIELD_NONEMPTY && !node->child.first) {
        diag_error(decoder->diag, tree_span(node), "the list is empty");
        return false;
    }
    item = make_items(decoder, field, node, member);
    if (!item)
        return false;
    for (const struct node *c = node->child.first; c; c = c->next, item += field->element_size)
        is_good &= field_value(decoder, field->element, c, item);
    return is_good;
}

static bool decode_names(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    char *item = make_items(decoder, field, node, member);
    bool is_good = true;

    if (!item)
        return false;
    for (const struct node *key = node->child.first; key; key = key->next->next) {
        struct conf_text *name = (struct conf_text *)(void *)(item + field->name_offset);
        const struct node *value = tree_is_null(key->next) ? NULL : key->next;
        struct node empty = {.kind = NODE_MAP,
                             .source = key->source,
                             .offset = key->offset,
                             .length = key->length};
        is_good &= field_text(decoder, key, name);
        is_good &= field_decode(decoder, field->fields, value ? value : &empty, item);
        item += field->element_size;
    }
    return is_good;
}

static bool decode_pairs(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_pairs *pairs = member;
    struct conf_pair *pair;
    bool is_good = true;
    uint32_t count = 0;

    (void)field;
    for (const struct node *key = node->child.first; key; key = key->next->next)
        count++;
    pair = arena_zero(decoder->arena, count, sizeof(*pair));
    if (!pair) {
        diag_error(decoder->diag, tree_span(node), "out of memory");
        return false;
    }
    *pairs = (struct conf_pairs){pair, count};
    for (const struct node *key = node->child.first; key; key = key->next->next, pair++) {
        is_good &= field_text(decoder, key, &pair->name);
        is_good &= field_text(decoder, key->next, &pair->value);
    }
    return is_good;
}

static bool decode_object(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    return field_decode(decoder, field->fields, node, member);
}

static bool decode_custom(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    return field->decode(decoder, field, node, member);
}

static const struct {
    const char *noun;
    int kind; /* the node it must be; -1: any */
    bool (*decode)(struct decoder *decoder, const struct field *field, const struct node *node,
                   void *member);
} types[] = {
    [FIELD_BOOL] = {"true or false", NODE_SCALAR, field_scalar_number},
    [FIELD_INT] = {"a number", NODE_SCALAR, field_scalar_number},
    [FIELD_TEXT] = {"a text", NODE_SCALAR, field_scalar_text},
    [FIELD_DURATION] = {"a duration, such as 5s", NODE_SCALAR, field_scalar_number},
    [FIELD_SIZE] = {"a size, such as 16KiB", NODE_SCALAR, field_scalar_number},
    [FIELD_RATE] = {"a rate, such as 1KiB/s", NODE_SCALAR, field_scalar_number},
    [FIELD_SHARE] = {"a share, such as 20%", NODE_SCALAR, field_scalar_number},
    [FIELD_RATIO] = {"a ratio, such as 2x", NODE_SCALAR, field_scalar_number},
    [FIELD_ENUM] = {"a word", NODE_SCALAR, field_scalar_enum},
    [FIELD_ADDRESS] = {"an address, such as \":8080\"", NODE_SCALAR, field_address},
    [FIELD_LIST] = {"a list", NODE_LIST, decode_list},
    [FIELD_OBJECT] = {"a map", NODE_MAP, decode_object},
    [FIELD_MAP] = {"a map", NODE_MAP, decode_names},
    [FIELD_PAIRS] = {"a map", NODE_MAP, decode_pairs},
    [FIELD_CUSTOM] = {"", -1, decode_custom},
};

bool field_value(struct decoder *decoder, const struct field *field, const struct node *node,
                 void *member)
{
    struct node secret;

    assert((size_t)field->type < ARRAY_LEN(types));
    if (field->flags & FIELD_SECRET)
        hide(decoder->diag, node);
    if (node->is_broken)
        return false;
    if (types[field->type].kind >= 0 &&
        (node->kind != types[field->type].kind ||
         (is_single(field->type) && tree_is_null(node) && node->source))) {
        diag_error(decoder->diag, tree_span(node), "expected %s, got %s", types[field->type].noun,
                   tree_noun(node));
        return false;
    }
    if (field->flags & FIELD_SECRET) {
        secret = *node;
        secret.is_secret = true;
        node = &secret;
    }
    return types[field->type].decode(decoder, field, node, member);
}
