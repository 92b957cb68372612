/* SPDX-License-Identifier: Apache-2.0
 *
 * The other way of encoder.h: the bytes of a stream in a content coding. One decoder a message; its
 * memory, below DECODER_MEMORY_MAX, comes from a heap and so from the worker's budget. One thread.
 */
#ifndef EDGE_SHAPE_DECODER_H
#define EDGE_SHAPE_DECODER_H

#include "base/heap.h"
#include "edge/shape/coding.h"

enum {
    DECODER_OUT = 4 * 1024 - 4,            /* below what an out queue copies anyway */
    DECODER_MEMORY_MAX = 18 * 1024 * 1024, /* the largest window of br; others need half of it */
};

struct decoder_stream; /* private */

enum decoder_state {
    DECODER_HUNGRY, /* all that went in came out */
    DECODER_FULL,   /* more would come out */
    DECODER_ENDED,  /* the stream is whole */
    DECODER_WRONG,  /* it is malformed, or memory ended */
};

/* NULL: the budget says no. */
struct decoder_stream *decoder_new(enum coding coding, struct heap *heap);
/* NULL is fine. */
void decoder_free(struct decoder_stream **decoder);

/* Takes from `in` and writes to `out`, DECODER_OUT bytes at most; *len: how many. What follows the
 * end of a stream is not taken. */
MUST_USE enum decoder_state decoder_run(struct decoder_stream *decoder, struct str *in, char *out,
                                        size_t *len);

#endif
