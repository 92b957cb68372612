/* SPDX-License-Identifier: Apache-2.0
 *
 * What a library asks for around one short piece of work, a match of a pattern for instance, from
 * the stack: it costs no malloc while it fits. One thread; lives as long as the work.
 */
#ifndef BASE_MATCH_MEMORY_H
#define BASE_MATCH_MEMORY_H

#include <stdalign.h>
#include <stddef.h>

enum { MATCH_MEMORY_SIZE = 1024 }; /* bytes: contexts of PCRE2 and the offsets of ten groups */

struct match_memory {
    size_t used; /* 0 at first */
    alignas(max_align_t) char bytes[MATCH_MEMORY_SIZE];
};

/* `owner` is the match_memory. NULL: neither it nor malloc has room. */
void *match_memory_take(size_t n, void *owner);
/* Frees what malloc gave; the rest goes with the owner. */
void match_memory_give(void *p, void *owner);

#endif
