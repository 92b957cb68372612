/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON text (RFC 8259) as a tree of values that can be judged. Strict: UTF-8, no name twice in an
 * object, no half of a surrogate pair; numbers stay as they are written, whatever their size. The
 * tree lies in an arena of the caller's and points into the text. Pure; any thread.
 */
#ifndef EDGE_VALIDATE_DOC_H
#define EDGE_VALIDATE_DOC_H

#include "base/arena.h"

enum { DOC_DEPTH_MAX = 64, DOC_BYTES_MAX = 1 << 28, DOC_BYTES_A_STEP = 64 };

enum doc_type { DOC_NULL, DOC_BOOL, DOC_NUMBER, DOC_TEXT, DOC_LIST, DOC_MAP };

struct doc_value {
    union {
        const char *text;        /* TEXT: decoded; NUMBER: as written */
        struct doc_value *first; /* LIST, MAP */
    };
    struct doc_value *next; /* sibling */
    const char *name;       /* in a map; not terminated */
    uint32_t len;           /* bytes of the text; children; BOOL: 1 for true */
    uint32_t name_len : 29, type : 3;
};

enum doc_problem {
    DOC_GOOD,
    DOC_MALFORMED, /* it is no JSON */
    DOC_TOO_DEEP,
    DOC_TOO_LARGE, /* the arena is full */
};

struct doc_fault {
    enum doc_problem problem;
    const char *words; /* static */
    size_t offset;     /* of the byte where it was found */
};

/* Of a TEXT or a NUMBER; the second: of a member of a map. */
static inline struct str doc_text(const struct doc_value *value)
{
    return (struct str){value->text, value->len};
}

static inline struct str doc_name(const struct doc_value *value)
{
    return (struct str){value->name, value->name_len};
}

/* The value of a text of at most DOC_BYTES_MAX, which must outlive it; NULL with the fault. `seed`
 * is a secret by which names are hashed. */
struct doc_value *doc_read(struct str text, struct arena *arena, uint64_t seed,
                           struct doc_fault *fault);

/* The value of a name; NULL when the map has none. */
const struct doc_value *doc_find(const struct doc_value *map, struct str name);

/* Whether two values are equal as JSON Schema has it: numbers by what they mean, maps in any order.
 * Takes what it costs from *steps; with none left the answer is false. */
bool doc_equal(const struct doc_value *a, const struct doc_value *b, uint64_t *steps);
/* The same for equal values; takes from *steps, and with none left it is of no use. */
uint64_t doc_hash(const struct doc_value *value, uint64_t seed, uint64_t *steps);

#endif
