/* SPDX-License-Identifier: Apache-2.0
 *
 * The book of a file's schemas: each node becomes one schema, once, whoever refers to it. New ones
 * wait in a list, so that no chain of references costs stack.
 */
#include <string.h>

#include "base/random.h"
#include "edge/validate/jschema_impl.h"

enum { CHAIN_MAX = 1000, TYPES_DEPTH = 8, POINTER_TOKEN_MAX = 512 };

enum { MARK_NEW, MARK_OPEN, MARK_GOOD };

void *jschema_wrong(struct jschema_book *book, const struct node *at, const char *words)
{
    if (!at->is_broken)
        diag_error(book->diag, tree_span(at), "%s", words);
    book->is_broken = true;
    return NULL;
}

static struct jschema_entry **bucket_of(struct jschema_book *book, const struct node *node)
{
    return &book->seen[random_mix((uint64_t)(uintptr_t)node) % ARRAY_LEN(book->seen)];
}

const struct jschema *jschema_later(struct jschema_book *book, const struct node *node)
{
    struct jschema_entry **bucket = bucket_of(book, node), *entry = *bucket;

    while (entry && entry->node != node)
        entry = entry->next;
    if (entry)
        return entry->schema;
    entry = arena_zero(book->arena, 1, sizeof(*entry));
    if (entry)
        entry->schema = arena_zero(book->arena, 1, sizeof(*entry->schema));
    if (!entry || !entry->schema)
        return jschema_wrong(book, node, "out of memory");
    entry->node = node;
    entry->next = *bucket;
    *bucket = entry;
    entry->next_pending = book->pending;
    book->pending = entry;
    return entry->schema;
}

/* --- values */

static void read_scalar(struct jschema_book *book, const struct node *node, struct doc_value *value)
{
    struct str text = arena_copy(book->arena, node->text);

    value->type = DOC_TEXT;
    value->text = text.p;
    value->len = (uint32_t)text.len;
    if (!text.p)
        jschema_wrong(book, node, "out of memory");
    if (!node->is_plain || !text.p)
        return;
    if (tree_is_null(node)) {
        value->type = DOC_NULL;
    } else if (tree_is_word(node, "true") || tree_is_word(node, "false")) {
        value->type = DOC_BOOL;
        value->len = text.p[0] == 't';
    } else if (text.len && decimal_scan(text) == text.len) {
        value->type = DOC_NUMBER;
    }
}

static struct doc_value *add_child(struct jschema_book *book, const struct node *node,
                                   struct doc_value *parent, struct doc_value **last)
{
    struct doc_value *child = jschema_value(book, node);

    if (!child)
        return NULL;
    if (*last)
        (*last)->next = child;
    else
        parent->first = child;
    *last = child;
    parent->len++;
    return child;
}

static bool read_children(struct jschema_book *book, const struct node *node,
                          struct doc_value *value)
{
    const struct node *at = node->child.first;
    struct doc_value *last = NULL;
    struct str name = STR_NONE;

    value->type = node->kind == NODE_MAP ? DOC_MAP : DOC_LIST;
    value->first = NULL;
    while (at) {
        if (node->kind == NODE_MAP) {
            name = arena_copy(book->arena, at->text);
            at = at->next;
        }
        if (!add_child(book, at, value, &last))
            return false;
        last->name = name.p;
        last->name_len = (uint32_t)name.len & ((1U << 29) - 1);
        at = at->next;
    }
    return true;
}

struct doc_value *jschema_value(struct jschema_book *book, const struct node *node)
{
    struct doc_value *value = arena_zero(book->arena, 1, sizeof(*value));

    if (!value)
        return jschema_wrong(book, node, "out of memory");
    if (node->kind == NODE_SCALAR)
        read_scalar(book, node, value);
    else if (!read_children(book, node, value))
        return NULL;
    return value;
}

/* --- references */

static int hex(char c)
{
    char lower = (char)(c | 0x20);

    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A part of a pointer in a fragment (RFC 6901 3 and 6); absent when it is malformed. */
static struct str decode_token(struct str token, char *buffer)
{
    size_t n = 0;

    if (token.len > POINTER_TOKEN_MAX)
        return STR_NONE;
    for (size_t i = 0; i < token.len; i++) {
        char c = token.p[i];

        if (c == '%') {
            if (token.len - i < 3 || hex(token.p[i + 1]) < 0 || hex(token.p[i + 2]) < 0)
                return STR_NONE;
            c = (char)(hex(token.p[i + 1]) << 4 | hex(token.p[i + 2]));
            i += 2;
        } else if (c == '~') {
            if (token.len - i < 2 || (token.p[i + 1] != '0' && token.p[i + 1] != '1'))
                return STR_NONE;
            c = token.p[++i] == '0' ? '~' : '/';
        }
        buffer[n++] = c;
    }
    return (struct str){buffer, n};
}

static const struct node *child_at(const struct node *list, struct str index)
{
    const struct node *at = list->child.first;
    uint64_t n = 0;

    if (!index.len || index.len > 9 || (index.len > 1 && index.p[0] == '0'))
        return NULL;
    for (size_t i = 0; i < index.len; i++) {
        if (index.p[i] < '0' || index.p[i] > '9')
            return NULL;
        n = n * 10 + (unsigned)(index.p[i] - '0');
    }
    for (; at && n; n--)
        at = at->next;
    return at;
}

static const struct node *step_down(const struct node *node, struct str token)
{
    char buffer[POINTER_TOKEN_MAX];

    token = decode_token(token, buffer);
    if (!token.p || node->kind == NODE_SCALAR)
        return NULL;
    return node->kind == NODE_MAP ? tree_get(node, token) : child_at(node, token);
}

const struct node *jschema_resolve(struct jschema_book *book, const struct node *at)
{
    const struct node *found = book->root;
    struct str left;

    if (at->kind != NODE_SCALAR || tree_is_null(at))
        return jschema_wrong(book, at, "expected a reference");
    if (!at->text.len || at->text.p[0] != '#' || (at->text.len > 1 && at->text.p[1] != '/'))
        return jschema_wrong(book, at, "only references into this file are followed: \"#/...\"");
    left = (struct str){at->text.p + 1, at->text.len - 1};
    while (found && left.len) {
        const char *end;

        left = (struct str){left.p + 1, left.len - 1}; // the slash
        end = memchr(left.p, '/', left.len);
        end = end ? end : left.p + left.len;
        found = step_down(found, (struct str){left.p, (size_t)(end - left.p)});
        left = (struct str){end, (size_t)(left.p + left.len - end)};
    }
    return found ? found : jschema_wrong(book, at, "there is nothing of this name in the file");
}

/* --- schemas that lead back to themselves with nothing in between can never be answered */

static bool is_endless(const struct jschema *schema, unsigned depth);

static bool is_list_endless(const struct jschema_list *list, unsigned depth)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (is_endless(list->items[i], depth))
            return true;
    return false;
}

static bool is_rule_endless(const struct jschema_rule *rule, unsigned depth)
{
    switch (rule->kind) {
    case RULE_REF:
    case RULE_NOT:
        return is_endless(rule->schema, depth);
    case RULE_ALL_OF:
    case RULE_ANY_OF:
    case RULE_ONE_OF:
        return is_list_endless(&rule->list, depth);
    case RULE_IF:
        return is_endless(rule->when->condition, depth) || is_endless(rule->when->then, depth) ||
               is_endless(rule->when->otherwise, depth);
    case RULE_DEPENDENT_SCHEMAS:
        for (uint32_t i = 0; i < rule->dependencies->count; i++)
            if (is_endless(rule->dependencies->items[i].schema, depth))
                return true;
        return false;
    default:
        return false;
    }
}

static bool is_endless(const struct jschema *schema, unsigned depth)
{
    struct jschema *marked = (struct jschema *)(uintptr_t)schema; // still being made
    bool is_so = false;

    if (!schema || schema->mark == MARK_GOOD)
        return false;
    if (schema->mark == MARK_OPEN || depth > CHAIN_MAX)
        return true;
    marked->mark = MARK_OPEN;
    for (uint32_t i = 0; i < schema->count && !is_so; i++)
        is_so = is_rule_endless(&schema->rules[i], depth + 1);
    marked->mark = MARK_GOOD; // also when it is not: it is told of once
    return is_so;
}

/* --- compiling */

static void read_schema(struct jschema_book *book, const struct jschema_entry *entry)
{
    struct jschema *schema = entry->schema;
    const struct node *node = entry->node;
    uint32_t most = 8; // rules of several keys

    if (node->kind == NODE_SCALAR && node->is_plain && tree_is_word(node, "true"))
        return;
    if (node->kind == NODE_LIST ||
        (node->kind == NODE_SCALAR && !(node->is_plain && tree_is_word(node, "false")))) {
        jschema_wrong(book, node, "a schema is a map, true or false");
        return;
    }
    if (node->kind == NODE_MAP)
        for (const struct node *key = node->child.first; key; key = key->next->next)
            most++;
    schema->rules = arena_zero(book->arena, most, sizeof(*schema->rules));
    if (!schema->rules)
        jschema_wrong(book, node, "out of memory");
    else if (node->kind == NODE_SCALAR)
        schema->rules[schema->count++].kind = RULE_NEVER;
    else
        jschema_keywords(book, node, schema);
}

const struct jschema *jschema_compile(struct jschema_book *book, const struct node *node)
{
    const struct jschema *schema = jschema_later(book, node);
    struct jschema_entry *fresh = NULL;

    while (book->pending) {
        struct jschema_entry *entry = book->pending;

        book->pending = entry->next_pending;
        entry->next_pending = fresh;
        fresh = entry;
        read_schema(book, entry);
    }
    for (; fresh && !book->is_broken; fresh = fresh->next_pending)
        if (is_endless(fresh->schema, 0))
            jschema_wrong(book, fresh->node, "this schema refers to itself without an end");
    return book->is_broken ? NULL : schema;
}

bool jschema_read_dialect(struct jschema_book *book)
{
    static const struct {
        const char *name;
        enum jschema_dialect dialect;
    } known[] = {
        {"https://json-schema.org/draft/2020-12/schema", JSCHEMA_2020},
        {"https://json-schema.org/draft/2019-09/schema", JSCHEMA_2020},
        {"http://json-schema.org/draft-07/schema", JSCHEMA_DRAFT7},
        {"http://json-schema.org/draft-06/schema", JSCHEMA_DRAFT7},
    };
    const struct node *node = NULL;
    struct str name;

    book->dialect = JSCHEMA_2020;
    if (book->root->kind == NODE_MAP)
        node = tree_get(book->root, STR("$schema"));
    if (!node)
        return true;
    name = node->kind == NODE_SCALAR ? node->text : STR("");
    if (name.len && name.p[name.len - 1] == '#')
        name.len--;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_same(name, (struct str){known[i].name, strlen(known[i].name)}))
            continue;
        book->dialect = known[i].dialect;
        return true;
    }
    jschema_wrong(book, node,
                  "not a dialect that is known here: 2020-12, 2019-09, draft-07 or -06");
    return false;
}

/* --- what parameters are read by */

static unsigned types_of(const struct jschema *schema, unsigned depth);

static unsigned types_of_list(const struct jschema_list *list, unsigned depth)
{
    unsigned types = 0;

    for (uint32_t i = 0; i < list->count; i++)
        types |= types_of(list->items[i], depth);
    return types;
}

static unsigned types_of_rule(const struct jschema_rule *rule, unsigned depth)
{
    unsigned types = JSCHEMA_ALL;

    switch (rule->kind) {
    case RULE_TYPE:
        types = rule->types;
        if (types & JSCHEMA_INTEGER)
            types |= 1U << DOC_NUMBER;
        return types & JSCHEMA_ALL;
    case RULE_REF:
        return types_of(rule->schema, depth);
    case RULE_ANY_OF:
    case RULE_ONE_OF:
        return types_of_list(&rule->list, depth);
    case RULE_ALL_OF:
        for (uint32_t i = 0; i < rule->list.count; i++)
            types &= types_of(rule->list.items[i], depth);
        return types;
    case RULE_ENUM:
        types = 0;
        for (const struct doc_value *at = rule->value->first; at; at = at->next)
            types |= 1U << at->type;
        return types;
    case RULE_CONST:
        return 1U << rule->value->type;
    default:
        return JSCHEMA_ALL;
    }
}

/* Schemas do not lead back to themselves on this way; the depth bounds what is shared. */
static unsigned types_of(const struct jschema *schema, unsigned depth)
{
    unsigned types = JSCHEMA_ALL;

    for (uint32_t i = 0; depth && i < schema->count; i++)
        types &= types_of_rule(&schema->rules[i], depth - 1);
    return types;
}

unsigned jschema_types(const struct jschema *schema)
{
    return types_of(schema, TYPES_DEPTH);
}

const struct jschema *jschema_items(const struct jschema *schema)
{
    for (uint32_t i = 0; i < schema->count; i++) {
        const struct jschema_rule *rule = &schema->rules[i];
        const struct jschema *found = NULL;

        if (rule->kind == RULE_ITEMS)
            found = rule->items->rest;
        else if (rule->kind == RULE_REF)
            found = jschema_items(rule->schema);
        if (found)
            return found;
    }
    return NULL;
}
