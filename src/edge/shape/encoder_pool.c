/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/encoder_pool.h"

#include <string.h>

/* Frees the `n` that have been there longest. */
static void drop(struct encoder_pool *pool, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        encoder_free(&pool->kept[i]);
    pool->count -= n;
    memmove(pool->kept, pool->kept + n, pool->count * sizeof(*pool->kept));
    if (pool->least > pool->count)
        pool->least = pool->count;
}

static void on_idle(struct loop_timer *timer)
{
    struct encoder_pool *pool = CONTAINER_OF(timer, struct encoder_pool, timer);

    drop(pool, pool->least);
    pool->least = pool->count;
    if (pool->count)
        loop_timer_set(pool->loop, timer, ENCODER_POOL_IDLE_MS);
}

void encoder_pool_init(struct encoder_pool *pool, struct loop *loop)
{
    *pool = (struct encoder_pool){.loop = loop, .timer = {.fire = on_idle}};
}

void encoder_pool_close(struct encoder_pool *pool)
{
    if (!pool->loop)
        return;
    drop(pool, pool->count);
    loop_timer_remove(pool->loop, &pool->timer);
    pool->loop = NULL;
}

static struct encoder *pick(struct encoder_pool *pool, unsigned at)
{
    struct encoder *encoder = pool->kept[at];

    pool->count--;
    memmove(pool->kept + at, pool->kept + at + 1, (pool->count - at) * sizeof(*pool->kept));
    if (pool->least > pool->count)
        pool->least = pool->count;
    return encoder;
}

static struct encoder *find(struct encoder_pool *pool, enum coding coding, unsigned level,
                            int64_t size)
{
    for (unsigned i = pool->count; i-- > 0;) {
        struct encoder *encoder;

        if (!encoder_fits(pool->kept[i], coding, size))
            continue;
        encoder = pick(pool, i);
        if (encoder_reset(encoder, level, size))
            return encoder;
        encoder_free(&encoder);
    }
    return NULL;
}

struct encoder *encoder_pool_take(struct encoder_pool *pool, enum coding coding, unsigned level,
                                  int64_t size)
{
    struct encoder *encoder = find(pool, coding, level, size);

    if (!encoder)
        encoder = encoder_new(coding, level, size, &pool->loop->heap);
    if (!encoder && pool->count) {
        drop(pool, pool->count);
        encoder = encoder_new(coding, level, size, &pool->loop->heap);
    }
    return encoder;
}

static bool is_memory_short(const struct budget *budget)
{
    return budget->limit && budget->used > budget->limit / 2;
}

void encoder_pool_give(struct encoder_pool *pool, struct encoder **encoder)
{
    if (!*encoder)
        return;
    if (!pool->loop || !encoder_is_lasting(*encoder) || is_memory_short(&pool->loop->budget)) {
        encoder_free(encoder);
        return;
    }
    if (pool->count == ENCODER_POOL_MAX)
        drop(pool, 1);
    if (!pool->count)
        loop_timer_set(pool->loop, &pool->timer, ENCODER_POOL_IDLE_MS);
    pool->kept[pool->count++] = *encoder;
    *encoder = NULL;
}
