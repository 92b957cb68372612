/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema: compiled once a configuration from a file's tree, then asked about values. The
 * subset is that of 2020-12 without unevaluated*, dynamic references and references to other files,
 * with the older spellings of draft 6 and 7 and the dialects of OpenAPI 3.0 and 3.1. A keyword that
 * would constrain and is not known here is an error. Compiled schemas are immutable: any thread.
 */
#ifndef EDGE_VALIDATE_JSCHEMA_H
#define EDGE_VALIDATE_JSCHEMA_H

#include "config/tree.h"
#include "edge/validate/doc.h"
#include "edge/validate/ecma.h"

enum {
    JSCHEMA_STEPS_MAX = 1000 * 1000, /* looks at a value by a keyword, for one answer */
    JSCHEMA_DEPTH_MAX = 256,         /* schemas within schemas while one is answered */
    JSCHEMA_PATTERNS_US = 20 * 1000, /* for all patterns together; twice that if watched late */
    JSCHEMA_POINTER_MAX = 256,       /* bytes of a pointer that is told */
};

struct jschema;

enum jschema_dialect { JSCHEMA_2020, JSCHEMA_DRAFT7, JSCHEMA_OPENAPI_30, JSCHEMA_OPENAPI_31 };

/* For compiling the schemas of one file. Begin with zeroes and the first four set. */
struct jschema_book {
    struct arena *arena; /* outlives the schemas */
    struct diag *diag;
    const struct node *root; /* of the file: what "#" is */
    enum jschema_dialect dialect;
    struct ecma *patterns;           /* for ecma_free() when the schemas are no longer needed */
    struct jschema_entry *seen[256]; /* by a hash of their node */
    struct jschema_entry *pending;
    bool is_broken; /* an error was reported */
};

/* Reports an error at a node; always NULL. */
void *jschema_wrong(struct jschema_book *book, const struct node *at, const char *words);
/* The schema at a node, and all that it refers to; NULL after errors, which go to diag. */
const struct jschema *jschema_compile(struct jschema_book *book, const struct node *node);
/* The dialect by `$schema`, 2020-12 without it; false with an error. */
bool jschema_read_dialect(struct jschema_book *book);
/* The node that a reference of this file ("#/a/b") names, of a kind; NULL with an error at `at`. */
const struct node *jschema_resolve(struct jschema_book *book, const struct node *at);

/* What could be a value of it: bits by enum doc_type; all of them when it does not say. */
unsigned jschema_types(const struct jschema *schema);
/* The schema of the items of its lists; NULL: none. */
const struct jschema *jschema_items(const struct jschema *schema);

/* --- asking */

enum jschema_answer { JSCHEMA_FITS, JSCHEMA_FAILS, JSCHEMA_TOO_COMPLEX };

struct jschema_fault {
    const char *keyword; /* that failed, static */
    struct str name;     /* the member that is missing, as the schema has it; absent otherwise */
    char pointer[JSCHEMA_POINTER_MAX]; /* RFC 6901, cut where it is too long */
    size_t pointer_len;
};

struct jschema_ask {
    struct arena *scratch;
    uint64_t seed;            /* a secret to hash by */
    uint64_t (*now_us)(void); /* monotonic */
    uint64_t (*cpu_us)(void); /* what of it the thread has had; asked when the first says much */
};

/* Whether the value fits; `fault` is set when it does not: the first found. */
enum jschema_answer jschema_judge(const struct jschema *schema, const struct doc_value *value,
                                  const struct jschema_ask *ask, struct jschema_fault *fault);

#endif
