/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of encoders and decoders share: text and noise by turns, room for what becomes of
 * it, and memory that is counted.
 */
#ifndef TEST_CODING_RIG_H
#define TEST_CODING_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/shape/encoder.h"

enum { SIZE = 600 * 1000 };

struct bench {
    struct budget budget;
    struct heap heap;
    char *plain, *coded, *undone;
    size_t coded_len, undone_len;
};

static inline int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    uint32_t seed = 1;

    *state = bench;
    heap_init(&bench->heap, &bench->budget);
    bench->plain = malloc(SIZE);
    bench->coded = malloc(2 * SIZE);
    bench->undone = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525 + 1013904223;
        bench->plain[i] = (char)(i / 1000 % 3 ? seed >> 24 & 0x0f : i % 7);
    }
    return 0;
}

static inline int remove_bench(void **state)
{
    struct bench *bench = *state;

    heap_fini(&bench->heap);
    assert_int_equal(bench->budget.used, 0);
    free(bench->plain);
    free(bench->coded);
    free(bench->undone);
    free(bench);
    return 0;
}

/* False when the encoder failed. */
static inline bool put(struct bench *bench, struct encoder *encoder, enum encoder_wish wish,
                       struct str in)
{
    bool is_done = false;

    while (!is_done) {
        int len = encoder_run(encoder, wish, &in, bench->coded + bench->coded_len, &is_done);

        if (len < 0)
            return false;
        assert_true(len <= ENCODER_OUT);
        bench->coded_len += (size_t)len;
        assert_true(bench->coded_len + ENCODER_OUT <= 2 * SIZE);
    }
    assert_int_equal(in.len, 0);
    return true;
}

/* The first `size` bytes in pieces of `step`, some of them flushed. */
static inline bool encode(struct bench *bench, struct encoder *encoder, size_t size, size_t step)
{
    bench->coded_len = 0;
    for (size_t at = 0; at < size; at += step) {
        struct str in = {bench->plain + at, size - at < step ? size - at : step};

        if (!put(bench, encoder, at / step % 3 ? ENCODER_MORE : ENCODER_FLUSH, in))
            return false;
    }
    return put(bench, encoder, ENCODER_END, STR(""));
}

#endif
