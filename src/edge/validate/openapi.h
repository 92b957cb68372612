/* SPDX-License-Identifier: Apache-2.0
 *
 * An OpenAPI document (3.0 and 3.1): which paths and methods there are, and what they take.
 * Compiled once a configuration, immutable then: any thread. Requests are looked at in three steps:
 * the path, the method, the parameters; the body is the caller's, by what the operation says of it.
 */
#ifndef EDGE_VALIDATE_OPENAPI_H
#define EDGE_VALIDATE_OPENAPI_H

#include "edge/validate/jschema.h"
#include "sluice/head.h"

enum { OPENAPI_VALUES_MAX = 16 /* parameters in a path */ };

struct openapi;

struct openapi_media {
    struct str type;              /* "application/json", "text/" star, star */
    const struct jschema *schema; /* of a body that is JSON; NULL: nothing is asked of it */
};

struct openapi_body {
    bool is_required;
    struct openapi_media *media;
    uint32_t count;
};

struct openapi_operation {
    struct str name; /* operationId; absent: none */
    struct openapi_parameter *parameters;
    uint32_t count;
    const struct openapi_body *body; /* NULL: it says nothing of one */
};

struct openapi_value {
    struct str name, text; /* of the path, as it came */
};

struct openapi_match {
    const struct openapi_item *item;
    struct str path; /* as the document has it */
    struct openapi_value values[OPENAPI_VALUES_MAX];
    unsigned count;
};

/* `base`: where its paths begin; absent: as its `servers` say. Sets the dialect of the book. NULL
 * after errors, which go to diag. */
const struct openapi *openapi_compile(struct jschema_book *book, struct str base);

/* The path that the document has for one in the form of routes (edge/route/path.h). */
bool openapi_find(const struct openapi *api, struct str path, struct openapi_match *match);
/* NULL: the path has no such method. HEAD is as GET where it has none of its own. */
const struct openapi_operation *openapi_method(const struct openapi_item *item, struct str method);
/* For Allow (RFC 9110 10.2.1). */
struct str openapi_allow(const struct openapi_item *item);

struct openapi_fault {
    struct jschema_fault why; /* keyword: also "required", "repeated" and "encoding" of its own */
    struct str name;          /* of the parameter */
    const char *in;           /* "path", "query", "header", "cookie" */
};

/* Whether the parameters fit. */
enum jschema_answer openapi_judge(const struct openapi_operation *operation,
                                  const struct openapi_match *match, const struct head *request,
                                  const struct jschema_ask *ask, struct openapi_fault *fault);
/* What the operation says of a Content-Type; NULL: it does not take it. */
const struct openapi_media *openapi_find_media(const struct openapi_body *body, struct str type);

#endif
