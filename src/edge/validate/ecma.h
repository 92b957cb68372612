/* SPDX-License-Identifier: Apache-2.0
 *
 * The regular expressions of JSON Schema: those of ECMA-262 over Unicode, as PCRE2 has them, with
 * limits so that none can burn the processor. A compiled one may be used from any thread.
 */
#ifndef EDGE_VALIDATE_ECMA_H
#define EDGE_VALIDATE_ECMA_H

#include "config/diag.h"

struct ecma {
    void *code;    /* pcre2_code */
    void *watched; /* the same, for long texts: it asks a watch while it goes */
    struct ecma *next;
};

/* Asked again and again while a long text is matched. */
struct ecma_watch {
    bool (*is_over)(void *owner); /* whether its time is */
    void *owner;
};

enum ecma_answer { ECMA_FITS, ECMA_FAILS, ECMA_TOO_LONG };

/* Compiles `pattern` and puts it in front of *list. NULL with an error at the place. */
const struct ecma *ecma_compile(struct ecma **list, struct arena *arena, struct str pattern,
                                struct span at, struct diag *diag);
/* Frees what was compiled; the list is empty then. */
void ecma_free(struct ecma **list);
/* Whether it is found anywhere in `subject`, which is UTF-8. TOO_LONG: not within the limits, or
 * not before the watch said that it is over. */
enum ecma_answer ecma_match(const struct ecma *ecma, struct str subject,
                            const struct ecma_watch *watch);

#endif
