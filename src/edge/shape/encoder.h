/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream of bytes in a content coding: gzip by zlib (RFC 1952), br by libbrotlienc (RFC 7932),
 * zstd by libzstd (RFC 8878). One encoder a message; its memory, below ENCODER_MEMORY_MAX, comes
 * from a heap and so from the worker's budget. One thread.
 */
#ifndef EDGE_SHAPE_ENCODER_H
#define EDGE_SHAPE_ENCODER_H

#include "base/heap.h"
#include "edge/shape/coding.h"

enum {
    ENCODER_OUT = 4 * 1024 - 4, /* below what an out queue copies anyway */
    ENCODER_MEMORY_MAX = 2 * 1024 * 1024,
    ENCODER_GZIP_MAX = 9, /* highest levels; those above would hold up a worker for too long */
    ENCODER_BR_MAX = 8,
    ENCODER_ZSTD_MAX = 11,
};

enum encoder_wish {
    ENCODER_MORE,  /* more will come: keep what makes for better compression */
    ENCODER_FLUSH, /* all that went in must be readable at the other end */
    ENCODER_END,   /* the message ends */
};

struct encoder; /* private */

/* For a message of `size` bytes, -1 when that is not known. NULL: the budget says no. */
struct encoder *encoder_new(enum coding coding, unsigned level, int64_t size, struct heap *heap);
/* Whether it can ever serve another message; br cannot. */
bool encoder_is_lasting(const struct encoder *encoder);
/* Whether it can serve such a message. */
bool encoder_fits(const struct encoder *encoder, enum coding coding, int64_t size);
/* Readies one that fits for another message, wherever it was in the last: what comes out is to the
 * byte what a new one would make. False: the budget says no, and it is to be freed. */
MUST_USE bool encoder_reset(struct encoder *encoder, unsigned level, int64_t size);
/* NULL is fine. */
void encoder_free(struct encoder **encoder);

/* Takes from `in` and writes to `out`, ENCODER_OUT bytes at most; how many. Call again, with the
 * same wish, until *is_done. -1: memory ended, or the library failed; the message cannot go on. */
MUST_USE int encoder_run(struct encoder *encoder, enum encoder_wish wish, struct str *in, char *out,
                         bool *is_done);

#endif
