/* SPDX-License-Identifier: Apache-2.0
 *
 * Encoders of messages that ended, for the next ones: to make one costs more than a small message
 * does. A worker keeps few, none for long when nobody wants them, and none when memory is short.
 * One thread.
 */
#ifndef EDGE_SHAPE_ENCODER_POOL_H
#define EDGE_SHAPE_ENCODER_POOL_H

#include "edge/loop.h"
#include "edge/shape/encoder.h"

enum {
    ENCODER_POOL_MAX = 4,         /* encoders of ENCODER_MEMORY_MAX at most */
    ENCODER_POOL_IDLE_MS = 10000, /* unused ones are freed after that, and before twice that */
};

struct encoder_pool {
    struct loop *loop; /* borrowed; NULL: closed */
    struct encoder *kept[ENCODER_POOL_MAX];
    unsigned count; /* the one given last is at the end */
    unsigned least; /* that there were at any time since the timer was set: nobody wanted those */
    struct loop_timer timer;
};

/* Made in place; encoders take their memory from the loop's heap. */
void encoder_pool_init(struct encoder_pool *pool, struct loop *loop);
/* Frees all that are kept; what is given from now on is freed at once. */
void encoder_pool_close(struct encoder_pool *pool);

/* As encoder_new() would make it. NULL: the budget says no. */
struct encoder *encoder_pool_take(struct encoder_pool *pool, enum coding coding, unsigned level,
                                  int64_t size);
/* Instead of encoder_free(); it may be in the middle of a message. NULL is fine. */
void encoder_pool_give(struct encoder_pool *pool, struct encoder **encoder);

#endif
