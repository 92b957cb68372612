/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include <stdlib.h>

bool budget_charge(struct budget *budget, size_t n)
{
    if (!budget)
        return true;
    if (budget->limit && (n > budget->limit || budget->used > budget->limit - n))
        return false;
    budget->used += n;
    return true;
}

void budget_release(struct budget *budget, size_t n)
{
    if (budget)
        budget->used -= n;
}

void slab_init(struct slab *slab, size_t size, struct budget *budget)
{
    *slab = (struct slab){.size = size < sizeof(void *) ? sizeof(void *) : size, .budget = budget};
}

static void release(struct slab *slab, void *object)
{
    free(object);
    budget_release(slab->budget, slab->size);
}

void slab_fini(struct slab *slab)
{
    while (slab->free) {
        void *next = *(void **)slab->free;
        release(slab, slab->free);
        slab->free = next;
    }
    slab->free_count = 0;
}

void *slab_take(struct slab *slab)
{
    void *object = slab->free;

    if (object) {
        slab->free = *(void **)object;
        slab->free_count--;
    } else {
        if (!budget_charge(slab->budget, slab->size))
            return NULL;
        object = malloc(slab->size);
        if (!object) {
            budget_release(slab->budget, slab->size);
            return NULL;
        }
    }
    slab->in_use++;
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    size_t keep = slab->budget ? slab->budget->free_max : 0;

    slab->in_use--;
    if (keep && (slab->free_count + 1) * slab->size > keep) {
        release(slab, object);
        return;
    }
    *(void **)object = slab->free;
    slab->free = object;
    slab->free_count++;
}
