/* SPDX-License-Identifier: Apache-2.0
 *
 * Each object has a header with its size, so that it finds its class when it is given back.
 */
#include "base/heap.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 64 };

struct object {
    size_t size; /* bytes, this header included */
    _Alignas(16) char data[];
};

static struct object *object_of(void *data)
{
    return (struct object *)((char *)data - offsetof(struct object, data));
}

void heap_init(struct heap *heap, struct budget *budget)
{
    *heap = (struct heap){.budget = budget};
}

static void release(struct heap *heap, struct object *object)
{
    budget_release(heap->budget, object->size);
    free(object);
}

void heap_fini(struct heap *heap)
{
    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        while (heap->free[i]) {
            struct object *object = heap->free[i];

            memcpy(&heap->free[i], object->data, sizeof(void *));
            release(heap, object);
        }
}

/* HEAP_CLASSES: too large for any. */
static unsigned class_of(size_t size)
{
    unsigned class = 0;

    while (class < HEAP_CLASSES && (size_t)SMALLEST << class < size)
        class ++;
    return class;
}

static struct object *allocate(struct heap *heap, size_t size)
{
    struct object *object;

    if (!budget_charge(heap->budget, size))
        return NULL;
    object = malloc(size);
    if (object)
        object->size = size;
    else
        budget_release(heap->budget, size);
    return object;
}

void *heap_take(struct heap *heap, size_t n)
{
    size_t size = n + sizeof(struct object);
    unsigned class = class_of(size);
    struct object *object;

    if (size < n)
        return NULL;
    if (class < HEAP_CLASSES && heap->free[class]) {
        object = heap->free[class];
        memcpy(&heap->free[class], object->data, sizeof(void *));
        heap->kept[class] -= object->size;
        return object->data;
    }
    object = allocate(heap, class < HEAP_CLASSES ? (size_t)SMALLEST << class : size);
    return object ? object->data : NULL;
}

void heap_give(struct heap *heap, void *data)
{
    struct object *object;
    unsigned class;

    if (!data)
        return;
    object = object_of(data);
    class = class_of(object->size);
    if (class == HEAP_CLASSES || heap->kept[class] + object->size > HEAP_KEPT_MAX) {
        release(heap, object);
        return;
    }
    memcpy(object->data, &heap->free[class], sizeof(void *));
    heap->free[class] = object;
    heap->kept[class] += object->size;
}

void *heap_resize(struct heap *heap, void *data, size_t n)
{
    size_t room = data ? object_of(data)->size - sizeof(struct object) : 0;
    void *larger;

    if (data && n <= room)
        return data;
    larger = heap_take(heap, n);
    if (!larger || !data)
        return larger;
    memcpy(larger, data, room);
    heap_give(heap, data);
    return larger;
}
