/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of JSON Schema: what a schema compiles to, a list of rules.
 */
#ifndef EDGE_VALIDATE_JSCHEMA_IMPL_H
#define EDGE_VALIDATE_JSCHEMA_IMPL_H

#include "edge/validate/decimal.h"
#include "edge/validate/format.h"
#include "edge/validate/jschema.h"

/* Bits of types: those of enum doc_type, and whole numbers. */
enum { JSCHEMA_INTEGER = 1 << 6, JSCHEMA_ALL = (1 << 6) - 1 };

enum jschema_kind {
    RULE_NEVER, /* the schema `false` */
    RULE_REF,
    RULE_TYPE,
    RULE_ENUM,
    RULE_CONST,
    RULE_MINIMUM, /* numbers */
    RULE_MAXIMUM,
    RULE_EXCLUSIVE_MINIMUM,
    RULE_EXCLUSIVE_MAXIMUM,
    RULE_MULTIPLE_OF,
    RULE_MIN_LENGTH,
    RULE_MAX_LENGTH,
    RULE_PATTERN,
    RULE_FORMAT,
    RULE_MIN_ITEMS,
    RULE_MAX_ITEMS,
    RULE_UNIQUE_ITEMS,
    RULE_ITEMS,
    RULE_CONTAINS,
    RULE_MIN_PROPERTIES,
    RULE_MAX_PROPERTIES,
    RULE_MEMBERS, /* properties and the like */
    RULE_PROPERTY_NAMES,
    RULE_DEPENDENT_REQUIRED,
    RULE_DEPENDENT_SCHEMAS,
    RULE_ALL_OF,
    RULE_ANY_OF,
    RULE_ONE_OF,
    RULE_NOT,
    RULE_IF,
    RULE_KINDS,
};

struct jschema_list {
    const struct jschema **items;
    uint32_t count;
};
/* properties, patternProperties, additionalProperties and required together: one walk. */
struct jschema_member {
    struct str name;
    const struct jschema *schema; /* NULL: any */
    bool is_required;
};

struct jschema_family {
    const struct ecma *pattern;
    const struct jschema *schema;
};
struct jschema_members {
    struct jschema_member *members; /* sorted by length, then by bytes */
    struct jschema_family *families;
    const struct jschema *others; /* NULL: any */
    uint32_t count, family_count, required_count;
};

struct jschema_items {
    struct jschema_list prefix;
    const struct jschema *rest; /* NULL: any */
};
struct jschema_contains {
    const struct jschema *schema;
    uint32_t least, most;
};
/* A member whose presence asks for something. */
struct jschema_dependency {
    struct str name;
    struct str *needs; /* DEPENDENT_REQUIRED */
    uint32_t count;
    const struct jschema *schema; /* DEPENDENT_SCHEMAS */
};

struct jschema_dependencies {
    struct jschema_dependency *items;
    uint32_t count;
};
struct jschema_if {
    const struct jschema *condition, *then, *otherwise; /* NULL: any */
};
struct jschema_rule {
    enum jschema_kind kind;
    union {
        unsigned types;
        uint32_t count;
        struct decimal number;
        const struct doc_value *value; /* CONST; ENUM: a list */
        const struct jschema *schema;  /* REF, NOT, PROPERTY_NAMES */
        struct jschema_list list;      /* ALL_OF, ANY_OF, ONE_OF */
        const struct ecma *pattern;
        const struct format *format;
        const struct jschema_members *members;
        const struct jschema_items *items;
        const struct jschema_contains *contains;
        const struct jschema_dependencies *dependencies;
        const struct jschema_if *when;
    };
};

struct jschema {
    struct jschema_rule *rules;
    uint32_t count;
    uint8_t mark; /* while circles are looked for */
};

/* A node that has been seen as a schema. */
struct jschema_entry {
    const struct node *node;
    struct jschema *schema;
    struct jschema_entry *next, *next_pending;
};

/* --- for jschema_keyword.c */

/* The schema at a node, made later if it is new. Both: NULL after an error. */
const struct jschema *jschema_later(struct jschema_book *book, const struct node *node);
struct doc_value *jschema_value(struct jschema_book *book, const struct node *node);

/* Fills the rules of the schema at a map, which has room for all. */
void jschema_keywords(struct jschema_book *book, const struct node *map, struct jschema *schema);
/* Groups of keywords: of members, items, `contains`, `if`. False: the map has none. */
bool jschema_read_members(struct jschema_book *book, const struct node *map,
                          struct jschema_rule *rule);
bool jschema_read_items(struct jschema_book *book, const struct node *map,
                        struct jschema_rule *rule);
bool jschema_read_contains(struct jschema_book *book, const struct node *map,
                           struct jschema_rule *rule);
bool jschema_read_when(struct jschema_book *book, const struct node *map,
                       struct jschema_rule *rule);
/* dependentRequired, dependentSchemas and `dependencies`, which may be either. */
bool jschema_read_dependencies(struct jschema_book *book, const struct node *map,
                               bool wants_schemas, struct jschema_rule *rule);

/* Orders the names of members. */
int jschema_compare_names(struct str a, struct str b);

#endif
