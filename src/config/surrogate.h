/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON writes characters beyond U+FFFF as two escapes, "\ud83d\ude00", which libyaml refuses.
 * Before parsing each pair is replaced by two private-use escapes of the same length, so that all
 * positions stay; afterwards the text of each scalar that holds such a pair is put right. Used by
 * yaml.c only.
 */
#ifndef CONFIG_SURROGATE_H
#define CONFIG_SURROGATE_H

#include "base/arena.h"

struct surrogates {
    struct str original;
    uint32_t *at; /* offsets of the pairs, ascending; NULL: none */
    size_t count, next;
};

struct surrogate_scalar {
    struct str text;   /* as libyaml gave it */
    size_t begin, end; /* its span in the source */
    bool is_double;    /* double-quoted: escapes mean characters */
};

/* The text to parse: `original` itself where it holds no pair, else a copy in `arena`; absent when
 * memory ends. */
struct str surrogate_hide(struct surrogates *all, struct str original, struct arena *arena);
/* The true text of a scalar. To be called in order of begin. Absent when it cannot be told apart
 * from genuine private-use escapes in the same scalar, or memory ends. */
struct str surrogate_restore(struct surrogates *all, const struct surrogate_scalar *scalar,
                             struct arena *arena);

#endif
