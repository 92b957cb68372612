/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MALLOC_BLOCK = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* of the whole block; 0: it is the slab's */
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena, struct slab *slab, size_t limit)
{
    *arena = (struct arena){.slab = slab, .limit = limit};
}

static void free_block(struct arena *arena, struct arena_block *block)
{
    if (!block->size) {
        slab_give(arena->slab, block);
        return;
    }
    if (arena->slab)
        budget_release(arena->slab->budget, block->size);
    free(block);
}

void arena_reset(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free_block(arena, arena->blocks);
        arena->blocks = next;
    }
    arena_init(arena, arena->slab, arena->limit);
}

static struct arena_block *new_large(struct arena *arena, size_t size)
{
    struct budget *budget = arena->slab ? arena->slab->budget : NULL;
    struct arena_block *block;

    if (!budget_charge(budget, size))
        return NULL;
    block = malloc(size);
    if (!block) {
        budget_release(budget, size);
        return NULL;
    }
    block->size = size;
    return block;
}

/* A block with room for n more bytes. A large one goes behind the current, whose rest stays usable.
 */
static char *grow(struct arena *arena, size_t n)
{
    size_t usual = arena->slab ? arena->slab->size : MALLOC_BLOCK;
    size_t need = n + sizeof(struct arena_block);
    bool is_large = need < n || need > usual / (arena->slab ? 1 : 4);
    size_t size = is_large ? need : usual;
    struct arena_block *block;

    if (need < n || (arena->limit && (size > arena->limit || arena->used > arena->limit - size)))
        goto full;
    if (arena->slab && !is_large) {
        block = slab_take(arena->slab);
        if (block)
            block->size = 0;
    } else {
        block = new_large(arena, size);
    }
    if (!block)
        goto full;
    arena->used += size;
    if (is_large && arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
        return block->data;
    }
    block->next = arena->blocks;
    arena->blocks = block;
    arena->end = (char *)block + size;
    arena->at = block->data + n;
    return block->data;
full:
    arena->is_full = true;
    return NULL;
}

char *arena_text(struct arena *arena, size_t n)
{
    char *p = arena->at;

    if (!p || n > (size_t)(arena->end - p))
        return grow(arena, n);
    arena->at += n;
    return p;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    size_t pad = (size_t)(-(uintptr_t)arena->at & (alignof(max_align_t) - 1));
    char *p = arena->at;

    if (!p || pad > (size_t)(arena->end - p) || n > (size_t)(arena->end - p) - pad)
        return grow(arena, n);
    arena->at = p + pad + n;
    return p + pad;
}

void *arena_zero(struct arena *arena, size_t count, size_t size)
{
    size_t n;
    void *p;

    if (__builtin_mul_overflow(count, size, &n))
        return NULL;
    p = arena_alloc(arena, n);
    return p ? memset(p, 0, n) : NULL;
}

struct str arena_copy(struct arena *arena, struct str s)
{
    char *p = s.len == SIZE_MAX ? NULL : arena_text(arena, s.len + 1);

    if (!p)
        return STR_NONE;
    if (s.len)
        memcpy(p, s.p, s.len);
    p[s.len] = '\0';
    return (struct str){p, s.len};
}

struct str arena_format(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *p;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    p = n < 0 ? NULL : arena_text(arena, (size_t)n + 1);
    if (!p)
        return STR_NONE;
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){p, (size_t)n};
}
