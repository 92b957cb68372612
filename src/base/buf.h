/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of bytes that grows: first one object of a slab, then malloc charged to the slab's budget.
 * Embedded in its owner, who passes the same slab each time. One thread.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slab.h"

struct buf {
    char *p;
    uint32_t len, size; /* bytes used and had */
};

/* Room for at least `need` bytes in all; doubles. E_NOMEM leaves it as it was. */
MUST_USE enum status buf_reserve(struct buf *buf, struct slab *slab, size_t need);
/* Appends a copy; `bytes` may not lie in the buffer. E_NOMEM leaves it as it was. */
MUST_USE enum status buf_append(struct buf *buf, struct slab *slab, struct str bytes);
/* Keeps only `rest`, a tail of the buffer or bytes elsewhere. E_NOMEM leaves it empty. */
MUST_USE enum status buf_keep(struct buf *buf, struct slab *slab, struct str rest);
/* Gives the memory back; the buffer is empty then. */
void buf_drop(struct buf *buf, struct slab *slab);

#endif
