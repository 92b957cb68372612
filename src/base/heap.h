/* SPDX-License-Identifier: Apache-2.0
 *
 * Small objects of any size from free lists by size class, for libraries that take an allocator of
 * their own: what was given last is taken first. Charged to a worker's budget. One thread.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/slab.h"

enum {
    HEAP_CLASSES = 10,         /* 64 bytes to 32 KiB, powers of two; larger ones are malloc's */
    HEAP_KEPT_MAX = 256 * 1024 /* bytes that a class keeps in its free list */
};

struct heap {
    void *free[HEAP_CLASSES];
    size_t kept[HEAP_CLASSES]; /* bytes in the free list */
    struct budget *budget;     /* borrowed */
};

void heap_init(struct heap *heap, struct budget *budget);
/* Frees the free lists. Everything taken must have been given back. */
void heap_fini(struct heap *heap);

/* `n` bytes aligned for any type, not zeroed; NULL when the budget or malloc says no. */
void *heap_take(struct heap *heap, size_t n);
/* NULL is fine. */
void heap_give(struct heap *heap, void *object);
/* As realloc(): on NULL the old one stays. */
void *heap_resize(struct heap *heap, void *object, size_t n);

#endif
