/* SPDX-License-Identifier: Apache-2.0
 *
 * Three runs in order: blocks, at most one borrowed slice, blocks that came after it. Owning
 * copies the slice into blocks of its own and joins the three into one.
 */
#include "base/outq.h"

#include <string.h>

struct block {
    struct block *next;
    uint32_t start, end; /* of what waits in data */
    char data[];
};

struct run {
    struct block *head, *tail;
};

struct outq {
    struct slab *slab;
    size_t pending;
    struct run before, after;
    struct str borrowed;
    bool first_is_free; /* `first` is in neither run */
    struct block first; /* must be last: the rest of the slab block */
};

#define FIRST_ROOM (OUTQ_BLOCK - offsetof(struct outq, first) - sizeof(struct block))
#define BLOCK_ROOM (OUTQ_BLOCK - sizeof(struct block))

void outq_slab_init(struct slab *slab, struct budget *budget)
{
    slab_init(slab, OUTQ_BLOCK, budget);
}

struct outq *outq_take(struct slab *slab)
{
    struct outq *queue = slab_take(slab);

    if (!queue)
        return NULL;
    queue->slab = slab;
    queue->pending = 0;
    queue->before = queue->after = (struct run){0};
    queue->borrowed = STR_NONE;
    queue->first_is_free = true;
    return queue;
}

static void drop_block(struct outq *queue, struct block *block)
{
    if (block == &queue->first)
        queue->first_is_free = true;
    else
        slab_give(queue->slab, block);
}

static void drop_run(struct outq *queue, struct run *run)
{
    while (run->head) {
        struct block *next = run->head->next;
        drop_block(queue, run->head);
        run->head = next;
    }
}

void outq_give(struct outq **queue)
{
    struct outq *q = *queue;

    if (!q)
        return;
    *queue = NULL;
    drop_run(q, &q->before);
    drop_run(q, &q->after);
    slab_give(q->slab, q);
}

size_t outq_pending(const struct outq *queue)
{
    return queue ? queue->pending : 0;
}

static struct run *open_run(struct outq *queue)
{
    return queue->borrowed.len ? &queue->after : &queue->before;
}

static size_t room(const struct outq *queue, const struct block *block)
{
    return (block == &queue->first ? FIRST_ROOM : BLOCK_ROOM) - block->end;
}

static struct block *add_block(struct outq *queue, struct run *run)
{
    struct block *block = &queue->first;

    if (queue->first_is_free)
        queue->first_is_free = false;
    else
        block = slab_take(queue->slab);
    if (!block)
        return NULL;
    block->next = NULL;
    block->start = block->end = 0;
    if (run->head)
        run->tail->next = block;
    else
        run->head = block;
    run->tail = block;
    return block;
}

char *outq_reserve(struct outq *queue, size_t n)
{
    struct run *run = open_run(queue);
    struct block *block = run->head ? run->tail : NULL;

    if (!block || room(queue, block) < n)
        block = add_block(queue, run);
    return block ? block->data + block->end : NULL;
}

void outq_commit(struct outq *queue, size_t n)
{
    open_run(queue)->tail->end += (uint32_t)n;
    queue->pending += n;
}

/* Copies what fits into the last block and the rest into new ones. */
static enum status fill(struct outq *queue, struct run *run, struct str bytes)
{
    while (bytes.len) {
        struct block *block = run->head ? run->tail : NULL;
        size_t n;

        if (!block || !room(queue, block)) {
            block = add_block(queue, run);
            if (!block)
                return E_NOMEM;
        }
        n = room(queue, block);
        if (n > bytes.len)
            n = bytes.len;
        memcpy(block->data + block->end, bytes.p, n);
        block->end += (uint32_t)n;
        bytes.p += n;
        bytes.len -= n;
    }
    return OK;
}

/* Takes back what was filled in after `end` of `tail`; NULL: the run was empty. */
static void cut(struct outq *queue, struct run *run, struct block *tail, uint32_t end)
{
    struct run gone = {.head = tail ? tail->next : run->head};

    drop_run(queue, &gone);
    run->tail = tail;
    if (!tail) {
        run->head = NULL;
        return;
    }
    tail->next = NULL;
    tail->end = end;
}

enum status outq_put(struct outq *queue, struct str bytes)
{
    struct run *run = open_run(queue);
    struct block *tail = run->head ? run->tail : NULL;
    uint32_t end = tail ? tail->end : 0;

    if (fill(queue, run, bytes)) {
        cut(queue, run, tail, end);
        return E_NOMEM;
    }
    queue->pending += bytes.len;
    return OK;
}

enum status outq_ref(struct outq *queue, struct str bytes)
{
    if (bytes.len < OUTQ_COPY_BELOW || queue->borrowed.len)
        return outq_put(queue, bytes);
    queue->borrowed = bytes;
    queue->pending += bytes.len;
    return OK;
}

enum status outq_own(struct outq *queue)
{
    if (!queue || !queue->borrowed.len)
        return OK;
    if (fill(queue, &queue->before, queue->borrowed))
        return E_NOMEM;
    queue->borrowed = STR_NONE;
    if (queue->after.head) {
        queue->before.tail->next = queue->after.head;
        queue->before.tail = queue->after.tail;
        queue->after = (struct run){0};
    }
    return OK;
}

static unsigned add_vectors(const struct run *run, struct iovec *vectors, unsigned max)
{
    unsigned n = 0;

    for (struct block *block = run->head; block && n < max; block = block->next)
        if (block->end > block->start)
            vectors[n++] = (struct iovec){block->data + block->start, block->end - block->start};
    return n;
}

unsigned outq_vectors(struct outq *queue, struct iovec *vectors, unsigned max)
{
    unsigned n = add_vectors(&queue->before, vectors, max);

    if (queue->borrowed.len && n < max)
        vectors[n++] = (struct iovec){(void *)(uintptr_t)queue->borrowed.p, queue->borrowed.len};
    return n + add_vectors(&queue->after, vectors + n, max - n);
}

static size_t consume(struct outq *queue, struct run *run, size_t n)
{
    while (run->head) {
        struct block *block = run->head;
        size_t here = block->end - block->start;

        if (here > n) {
            block->start += (uint32_t)n;
            return 0;
        }
        n -= here;
        run->head = block->next;
        drop_block(queue, block);
    }
    return n;
}

void outq_sent(struct outq *queue, size_t n)
{
    size_t rest = consume(queue, &queue->before, n);
    size_t borrowed = rest < queue->borrowed.len ? rest : queue->borrowed.len;

    queue->pending -= n;
    if (queue->borrowed.len) {
        queue->borrowed.p += borrowed;
        queue->borrowed.len -= borrowed;
    }
    if (!queue->borrowed.len) {
        rest = consume(queue, &queue->after, rest - borrowed);
        if (!queue->before.head) {
            queue->before = queue->after;
            queue->after = (struct run){0};
        }
    }
}
