/* SPDX-License-Identifier: Apache-2.0
 *
 * The keywords of JSON Schema that stand for themselves, and the table of all.
 */
#include <string.h>

#include "edge/validate/jschema_impl.h"

enum how {
    HOW_IGNORED, /* an annotation, or read by what it belongs to */
    HOW_UNKNOWN, /* constrains, and is not supported */
    HOW_REF,
    HOW_TYPE,
    HOW_ENUM,
    HOW_CONST,
    HOW_NUMBER,
    HOW_LIMIT, /* a number, or in OpenAPI 3.0 a flag beside one */
    HOW_DIVISOR,
    HOW_COUNT,
    HOW_FLAG,
    HOW_PATTERN,
    HOW_FORMAT,
    HOW_SCHEMA,
    HOW_SCHEMAS,
    HOW_ID,
    HOW_FALSE, /* does not constrain when it is false */
};

struct keyword {
    const char *name;
    enum how how;
    enum jschema_kind kind;
};

static const struct keyword keywords[] = {
    {"$ref", HOW_REF, RULE_REF},
    {"type", HOW_TYPE, RULE_TYPE},
    {"enum", HOW_ENUM, RULE_ENUM},
    {"const", HOW_CONST, RULE_CONST},
    {"minimum", HOW_NUMBER, RULE_MINIMUM},
    {"maximum", HOW_NUMBER, RULE_MAXIMUM},
    {"exclusiveMinimum", HOW_LIMIT, RULE_EXCLUSIVE_MINIMUM},
    {"exclusiveMaximum", HOW_LIMIT, RULE_EXCLUSIVE_MAXIMUM},
    {"multipleOf", HOW_DIVISOR, RULE_MULTIPLE_OF},
    {"minLength", HOW_COUNT, RULE_MIN_LENGTH},
    {"maxLength", HOW_COUNT, RULE_MAX_LENGTH},
    {"pattern", HOW_PATTERN, RULE_PATTERN},
    {"format", HOW_FORMAT, RULE_FORMAT},
    {"minItems", HOW_COUNT, RULE_MIN_ITEMS},
    {"maxItems", HOW_COUNT, RULE_MAX_ITEMS},
    {"uniqueItems", HOW_FLAG, RULE_UNIQUE_ITEMS},
    {"minProperties", HOW_COUNT, RULE_MIN_PROPERTIES},
    {"maxProperties", HOW_COUNT, RULE_MAX_PROPERTIES},
    {"propertyNames", HOW_SCHEMA, RULE_PROPERTY_NAMES},
    {"allOf", HOW_SCHEMAS, RULE_ALL_OF},
    {"anyOf", HOW_SCHEMAS, RULE_ANY_OF},
    {"oneOf", HOW_SCHEMAS, RULE_ONE_OF},
    {"not", HOW_SCHEMA, RULE_NOT},
    {"$id", HOW_ID, RULE_NEVER},
    {"id", HOW_IGNORED, RULE_NEVER},
    // read by the groups
    {"properties", HOW_IGNORED, RULE_NEVER},
    {"patternProperties", HOW_IGNORED, RULE_NEVER},
    {"additionalProperties", HOW_IGNORED, RULE_NEVER},
    {"required", HOW_IGNORED, RULE_NEVER},
    {"items", HOW_IGNORED, RULE_NEVER},
    {"prefixItems", HOW_IGNORED, RULE_NEVER},
    {"additionalItems", HOW_IGNORED, RULE_NEVER},
    {"contains", HOW_IGNORED, RULE_NEVER},
    {"minContains", HOW_IGNORED, RULE_NEVER},
    {"maxContains", HOW_IGNORED, RULE_NEVER},
    {"if", HOW_IGNORED, RULE_NEVER},
    {"then", HOW_IGNORED, RULE_NEVER},
    {"else", HOW_IGNORED, RULE_NEVER},
    {"dependentRequired", HOW_IGNORED, RULE_NEVER},
    {"dependentSchemas", HOW_IGNORED, RULE_NEVER},
    {"dependencies", HOW_IGNORED, RULE_NEVER},
    {"nullable", HOW_IGNORED, RULE_NEVER},
    {"readOnly", HOW_IGNORED, RULE_NEVER},
    // annotations, and places for definitions
    {"$schema", HOW_IGNORED, RULE_NEVER},
    {"$comment", HOW_IGNORED, RULE_NEVER},
    {"$defs", HOW_IGNORED, RULE_NEVER},
    {"definitions", HOW_IGNORED, RULE_NEVER},
    {"$anchor", HOW_IGNORED, RULE_NEVER},
    {"$dynamicAnchor", HOW_IGNORED, RULE_NEVER},
    {"$vocabulary", HOW_IGNORED, RULE_NEVER},
    {"title", HOW_IGNORED, RULE_NEVER},
    {"description", HOW_IGNORED, RULE_NEVER},
    {"default", HOW_IGNORED, RULE_NEVER},
    {"example", HOW_IGNORED, RULE_NEVER},
    {"examples", HOW_IGNORED, RULE_NEVER},
    {"deprecated", HOW_IGNORED, RULE_NEVER},
    {"writeOnly", HOW_IGNORED, RULE_NEVER},
    {"contentEncoding", HOW_IGNORED, RULE_NEVER},
    {"contentMediaType", HOW_IGNORED, RULE_NEVER},
    {"contentSchema", HOW_IGNORED, RULE_NEVER},
    {"discriminator", HOW_IGNORED, RULE_NEVER},
    {"externalDocs", HOW_IGNORED, RULE_NEVER},
    {"xml", HOW_IGNORED, RULE_NEVER},
    // what would constrain
    {"unevaluatedProperties", HOW_UNKNOWN, RULE_NEVER},
    {"unevaluatedItems", HOW_UNKNOWN, RULE_NEVER},
    {"$dynamicRef", HOW_UNKNOWN, RULE_NEVER},
    {"$recursiveRef", HOW_UNKNOWN, RULE_NEVER},
    {"$recursiveAnchor", HOW_FALSE, RULE_NEVER},
    {"extends", HOW_UNKNOWN, RULE_NEVER},
    {"disallow", HOW_UNKNOWN, RULE_NEVER},
    {"divisibleBy", HOW_UNKNOWN, RULE_NEVER},
};

static const struct keyword *find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_same(name, (struct str){keywords[i].name, strlen(keywords[i].name)}))
            return &keywords[i];
    return NULL;
}

static bool is_plain(const struct node *node, const char *word)
{
    return node->kind == NODE_SCALAR && node->is_plain && tree_is_word(node, word);
}

static bool read_flag(struct jschema_book *book, const struct node *node, bool *flag)
{
    *flag = is_plain(node, "true");
    return *flag || is_plain(node, "false") || jschema_wrong(book, node, "expected true or false");
}

/* --- one reader for each form of value; false: there is no rule, or an error was reported */

static bool read_number(struct jschema_book *book, const struct node *node,
                        struct jschema_rule *rule)
{
    struct str text;

    if (node->kind != NODE_SCALAR || !node->is_plain || !node->text.len ||
        decimal_scan(node->text) != node->text.len)
        return jschema_wrong(book, node, "expected a number");
    text = arena_copy(book->arena, node->text);
    if (!text.p)
        return jschema_wrong(book, node, "out of memory");
    rule->number = decimal_read(text);
    return true;
}

static bool read_limit(struct jschema_book *book, const struct node *map, const struct node *node,
                       struct jschema_rule *rule)
{
    const struct node *beside =
        tree_get(map, rule->kind == RULE_EXCLUSIVE_MINIMUM ? STR("minimum") : STR("maximum"));
    bool flag;

    if (book->dialect != JSCHEMA_OPENAPI_30)
        return read_number(book, node, rule);
    return read_flag(book, node, &flag) && flag && beside && read_number(book, beside, rule);
}

static bool read_divisor(struct jschema_book *book, const struct node *node,
                         struct jschema_rule *rule)
{
    if (!read_number(book, node, rule))
        return false;
    return decimal_is_divisor(&rule->number) ||
           jschema_wrong(book, node, "expected a number above 0 of at most 9 digits");
}

/* Draft 6 and later also write them as 2.0. */
static bool read_count(struct jschema_book *book, const struct node *node,
                       struct jschema_rule *rule)
{
    static const struct str zero = STR_INIT("0"), most = STR_INIT("4294967295");
    struct decimal low = decimal_read(zero), high = decimal_read(most), number;
    uint64_t count = 0;

    if (!read_number(book, node, rule))
        return false;
    number = rule->number;
    if (!decimal_is_integer(&number) || decimal_compare(&number, &low) < 0)
        return jschema_wrong(book, node, "expected a whole number that is not negative");
    if (decimal_compare(&number, &high) > 0) {
        rule->count = UINT32_MAX; // nothing is so large
        return true;
    }
    for (size_t i = 0; i < number.whole.len; i++)
        count = count * 10 + (unsigned)(number.whole.p[i] - '0');
    for (size_t i = 0; i < number.fraction.len; i++)
        count = count * 10 + (unsigned)(number.fraction.p[i] - '0');
    for (int64_t i = 0; count && i < number.exponent; i++)
        count *= 10;
    rule->count = (uint32_t)count;
    return true;
}

static bool add_type(struct jschema_book *book, const struct node *node, unsigned *types)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {
        {"null", 1 << DOC_NULL},      {"boolean", 1 << DOC_BOOL}, {"number", 1 << DOC_NUMBER},
        {"string", 1 << DOC_TEXT},    {"array", 1 << DOC_LIST},   {"object", 1 << DOC_MAP},
        {"integer", JSCHEMA_INTEGER},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!tree_is_word(node, names[i].name))
            continue;
        *types |= names[i].bit;
        return true;
    }
    return jschema_wrong(book, node,
                         "expected null, boolean, number, integer, string, array or object");
}

static bool read_type(struct jschema_book *book, const struct node *map, const struct node *node,
                      struct jschema_rule *rule)
{
    const struct node *nullable = tree_get(map, STR("nullable"));
    bool flag = false;

    if (node->kind == NODE_LIST) {
        for (const struct node *at = node->child.first; at; at = at->next)
            if (!add_type(book, at, &rule->types))
                return false;
    } else if (!add_type(book, node, &rule->types)) {
        return false;
    }
    if (nullable && book->dialect == JSCHEMA_OPENAPI_30 && !read_flag(book, nullable, &flag))
        return false;
    if (flag)
        rule->types |= 1 << DOC_NULL;
    return rule->types || jschema_wrong(book, node, "the list is empty");
}

static bool read_enum(struct jschema_book *book, const struct node *node, struct jschema_rule *rule)
{
    if (node->kind != NODE_LIST)
        return jschema_wrong(book, node, "expected a list");
    rule->value = jschema_value(book, node);
    return rule->value;
}

static bool read_pattern(struct jschema_book *book, const struct node *node,
                         struct jschema_rule *rule)
{
    if (node->kind != NODE_SCALAR)
        return jschema_wrong(book, node, "expected a regular expression");
    rule->pattern =
        ecma_compile(&book->patterns, book->arena, node->text, tree_span(node), book->diag);
    book->is_broken |= !rule->pattern;
    return rule->pattern;
}

static bool read_format(struct jschema_book *book, const struct node *node,
                        struct jschema_rule *rule)
{
    if (node->kind != NODE_SCALAR)
        return jschema_wrong(book, node, "expected a name");
    rule->format = format_find(node->text);
    return rule->format;
}

static bool read_schemas(struct jschema_book *book, const struct node *node,
                         struct jschema_rule *rule)
{
    uint32_t count = 0;

    if (node->kind != NODE_LIST || !node->child.first)
        return jschema_wrong(book, node, "expected a list of schemas");
    for (const struct node *at = node->child.first; at; at = at->next)
        count++;
    rule->list.items = arena_zero(book->arena, count, sizeof(struct jschema *));
    if (!rule->list.items)
        return jschema_wrong(book, node, "out of memory");
    for (const struct node *at = node->child.first; at; at = at->next) {
        rule->list.items[rule->list.count] = jschema_later(book, at);
        if (!rule->list.items[rule->list.count++])
            return false;
    }
    return true;
}

static bool read_ref(struct jschema_book *book, const struct node *node, struct jschema_rule *rule)
{
    const struct node *found = jschema_resolve(book, node);

    rule->schema = found ? jschema_later(book, found) : NULL;
    return rule->schema;
}

/* Below the root it would change what references are relative to. */
static bool read_id(struct jschema_book *book, const struct node *map, const struct node *node)
{
    bool is_fragment = node->kind == NODE_SCALAR && node->text.len && node->text.p[0] == '#';

    return map == book->root || is_fragment ||
           jschema_wrong(book, node, "$id is supported at the root alone");
}

static bool read_value(struct jschema_book *book, const struct node *map, const struct node *node,
                       enum how how, struct jschema_rule *rule)
{
    bool flag;

    switch (how) {
    case HOW_REF:
        return read_ref(book, node, rule);
    case HOW_TYPE:
        return read_type(book, map, node, rule);
    case HOW_ENUM:
        return read_enum(book, node, rule);
    case HOW_CONST:
        rule->value = jschema_value(book, node);
        return rule->value;
    case HOW_NUMBER:
        return read_number(book, node, rule);
    case HOW_LIMIT:
        return read_limit(book, map, node, rule);
    case HOW_DIVISOR:
        return read_divisor(book, node, rule);
    case HOW_COUNT:
        return read_count(book, node, rule);
    case HOW_FLAG:
        return read_flag(book, node, &flag) && flag;
    case HOW_PATTERN:
        return read_pattern(book, node, rule);
    case HOW_FORMAT:
        return read_format(book, node, rule);
    case HOW_SCHEMA:
        rule->schema = jschema_later(book, node);
        return rule->schema;
    default:
        return read_schemas(book, node, rule);
    }
}

static void warn_unknown(struct jschema_book *book, const struct node *key)
{
    const char *names[ARRAY_LEN(keywords)], *near;

    if (key->text.len > 2 && !memcmp(key->text.p, "x-", 2))
        return;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        names[i] = keywords[i].name;
    near = diag_nearest(key->text, names, ARRAY_LEN(names));
    diag_warn(book->diag, tree_span(key),
              "\"%.*s\" is no keyword of JSON Schema: it asks for nothing", STR_FMT(key->text));
    if (near)
        diag_hint(book->diag, "did you mean \"%s\"?", near);
}

static void read_keyword(struct jschema_book *book, const struct node *map, const struct node *key,
                         struct jschema *schema)
{
    const struct keyword *keyword = find(key->text);
    struct jschema_rule rule = {.kind = keyword ? keyword->kind : RULE_NEVER};

    if (!keyword) {
        warn_unknown(book, key);
        return;
    }
    switch (keyword->how) {
    case HOW_IGNORED:
        return;
    case HOW_ID:
        read_id(book, map, key->next);
        return;
    case HOW_FALSE:
        if (is_plain(key->next, "false"))
            return;
        jschema_wrong(book, key, "this keyword is not supported, and would be ignored");
        return;
    case HOW_UNKNOWN:
        jschema_wrong(book, key, "this keyword is not supported, and would be ignored");
        return;
    default:
        if (read_value(book, map, key->next, keyword->how, &rule))
            schema->rules[schema->count++] = rule;
    }
}

/* Cheap ones first: they fail before others are asked. */
static void sort_rules(struct jschema *schema)
{
    for (uint32_t i = 1; i < schema->count; i++)
        for (uint32_t j = i; j && schema->rules[j].kind < schema->rules[j - 1].kind; j--) {
            struct jschema_rule rule = schema->rules[j];

            schema->rules[j] = schema->rules[j - 1];
            schema->rules[j - 1] = rule;
        }
}

static void add_groups(struct jschema_book *book, const struct node *map, struct jschema *schema)
{
    struct jschema_rule rule = {0};

    if (jschema_read_members(book, map, &rule))
        schema->rules[schema->count++] = rule;
    if (jschema_read_items(book, map, &rule))
        schema->rules[schema->count++] = rule;
    if (jschema_read_contains(book, map, &rule))
        schema->rules[schema->count++] = rule;
    if (jschema_read_when(book, map, &rule))
        schema->rules[schema->count++] = rule;
    if (jschema_read_dependencies(book, map, false, &rule))
        schema->rules[schema->count++] = rule;
    if (jschema_read_dependencies(book, map, true, &rule))
        schema->rules[schema->count++] = rule;
}

void jschema_keywords(struct jschema_book *book, const struct node *map, struct jschema *schema)
{
    const struct node *ref = tree_get(map, STR("$ref"));
    struct jschema_rule rule = {.kind = RULE_REF};

    // There what stands beside a reference does not count.
    if (ref && (book->dialect == JSCHEMA_DRAFT7 || book->dialect == JSCHEMA_OPENAPI_30)) {
        if (read_ref(book, ref, &rule))
            schema->rules[schema->count++] = rule;
        return;
    }
    for (const struct node *key = map->child.first; key; key = key->next->next)
        read_keyword(book, map, key, schema);
    add_groups(book, map, schema);
    sort_rules(schema);
}
