/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory with one end: allocations are never freed alone, all go with the arena. Two kinds: with
 * a slab (an exchange: blocks of the slab's size, a ceiling in bytes) and without (a snapshot:
 * blocks from malloc, no ceiling unless given). Past the ceiling every allocation returns NULL and
 * `is_full` stays set. One thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slab.h"

struct arena_block; /* private */

struct arena {
    char *at, *end;
    struct arena_block *blocks; /* newest first; large ones behind it */
    struct slab *slab;          /* borrowed, NULL: malloc */
    size_t used, limit;         /* bytes asked of slab and malloc; limit 0: none */
    bool is_full;
};

void arena_init(struct arena *arena, struct slab *slab, size_t limit);
/* Gives all back; the arena is then as after init. */
void arena_reset(struct arena *arena);

/* `n` bytes aligned for any type, not zeroed; NULL past the ceiling. n may be 0. */
void *arena_alloc(struct arena *arena, size_t n);
/* Zeroed room for `count` objects of `size`; NULL past the ceiling or when the product overflows.
 */
void *arena_zero(struct arena *arena, size_t count, size_t size);
/* `n` bytes without alignment, for text. */
char *arena_text(struct arena *arena, size_t n);
/* A copy, terminated by a NUL that is not counted; {NULL, 0} past the ceiling. */
struct str arena_copy(struct arena *arena, struct str s);
/* Formatted text, terminated; {NULL, 0} past the ceiling. Not for the hot path. */
struct str arena_format(struct arena *arena, const char *format, ...) PRINTF(2, 3);

#endif
