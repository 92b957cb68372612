/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of OpenAPI: what a document compiles to.
 */
#ifndef EDGE_VALIDATE_OPENAPI_IMPL_H
#define EDGE_VALIDATE_OPENAPI_IMPL_H

#include "edge/validate/openapi.h"

enum openapi_method { OPENAPI_METHODS = 8, OPENAPI_GET = 0, OPENAPI_HEAD = 1 };

/* Upper-case, GET and HEAD first. */
extern const char *const openapi_methods[OPENAPI_METHODS];

enum openapi_in { IN_PATH, IN_QUERY, IN_HEADER, IN_COOKIE };

struct openapi_parameter {
    struct str name;
    enum openapi_in in;
    bool is_required;
    bool is_json;   /* `content`: one text of JSON */
    bool is_list;   /* the schema wants a list */
    bool is_spread; /* each item stands under the name again (explode) */
    bool may_be_empty;
    char delimiter;               /* of the items of a list that is not spread */
    const struct jschema *schema; /* NULL: any */
};

struct openapi_item {
    const struct openapi_operation *operations[OPENAPI_METHODS];
    struct str allow, path;
};

/* A segment of templates: texts and parameters in turn. */
struct openapi_part {
    struct str text;
    bool is_parameter;
};

struct openapi_segment {
    struct str text; /* as the document has it */
    struct openapi_part *parts;
    uint32_t count;
    const struct openapi_item *item; /* a path ends here; NULL: none */
    struct openapi_segment *first, *next;
};

struct openapi {
    struct str *bases; /* without slashes at their ends */
    uint32_t base_count;
    struct openapi_segment root;
};

/* Adds a path template; false after an error. */
bool openapi_add_path(struct jschema_book *book, struct openapi *api, const struct node *key,
                      struct openapi_item *item);
/* Reads a map of `parameters` or a request's body; NULL after an error. */
const struct openapi_operation *
openapi_read_operation(struct jschema_book *book, const struct node *item, const struct node *map);
/* Follows a $ref of the node, if it has one; NULL after an error. */
const struct node *openapi_follow(struct jschema_book *book, const struct node *node);

#endif
