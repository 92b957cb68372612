/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

void buf_drop(struct buf *buf, struct slab *slab)
{
    if (!buf->p)
        return;
    if (buf->size == slab->size) {
        slab_give(slab, buf->p);
    } else {
        free(buf->p);
        budget_release(slab->budget, buf->size);
    }
    *buf = (struct buf){0};
}

static char *new_run(struct slab *slab, size_t size)
{
    char *p;

    if (size == slab->size)
        return slab_take(slab);
    if (!budget_charge(slab->budget, size))
        return NULL;
    p = malloc(size);
    if (!p)
        budget_release(slab->budget, size);
    return p;
}

enum status buf_reserve(struct buf *buf, struct slab *slab, size_t need)
{
    size_t size = buf->size ? buf->size : slab->size;
    uint32_t len = buf->len;
    char *p;

    if (need <= buf->size)
        return OK;
    if (need > UINT32_MAX / 2)
        return E_NOMEM;
    while (size < need)
        size *= 2;
    p = new_run(slab, size);
    if (!p)
        return E_NOMEM;
    if (len)
        memcpy(p, buf->p, len);
    buf_drop(buf, slab);
    *buf = (struct buf){p, len, (uint32_t)size};
    return OK;
}

enum status buf_append(struct buf *buf, struct slab *slab, struct str bytes)
{
    if (buf_reserve(buf, slab, buf->len + bytes.len))
        return E_NOMEM;
    if (bytes.len)
        memcpy(buf->p + buf->len, bytes.p, bytes.len);
    buf->len += (uint32_t)bytes.len;
    return OK;
}

enum status buf_keep(struct buf *buf, struct slab *slab, struct str rest)
{
    if (!rest.len) {
        buf_drop(buf, slab);
        return OK;
    }
    if (buf->p && rest.p >= buf->p && rest.p < buf->p + buf->size) {
        memmove(buf->p, rest.p, rest.len);
        buf->len = (uint32_t)rest.len;
        return OK;
    }
    buf->len = 0;
    return buf_append(buf, slab, rest);
}
