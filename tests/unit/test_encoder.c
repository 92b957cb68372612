/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shape/encoder.c: what comes out is what went in, by the decoders of the same libraries;
 * its memory is bounded and all given back, also when it ends midway.
 */
#include "test_coding_rig.h"

#include <malloc.h>
#include <zlib.h>

static void assert_gzip(struct bench *bench, size_t size)
{
    z_stream stream = {.next_in = (Bytef *)bench->coded,
                       .avail_in = (uInt)bench->coded_len,
                       .next_out = (Bytef *)bench->undone,
                       .avail_out = SIZE};

    assert_int_equal(inflateInit2(&stream, 31), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, size);
    assert_int_equal(stream.avail_in, 0);
    assert_memory_equal(bench->undone, bench->plain, size);
    inflateEnd(&stream);
}

/* Bytes that malloc() has given; nothing under a sanitizer, whose malloc() does not say. */
static size_t held(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void test_memory_is_bounded(void **state)
{
    static const unsigned most[] = {0, ENCODER_GZIP_MAX, ENCODER_BR_MAX, ENCODER_ZSTD_MAX};
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        for (unsigned level = 1; level <= most[coding]; level++) {
            size_t held_before = held(), before;
            struct encoder *encoder = encoder_new(coding, level, -1, &bench->heap);

            assert_non_null(encoder);
            before = bench->budget.used;
            assert_in_range(before, 1, ENCODER_MEMORY_MAX + 16 * 1024);
            assert_true(encode(bench, encoder, SIZE, 30 * 1000));
            assert_int_equal(bench->budget.used, before); // none is taken later
            if (coding == CODING_BR)
                assert_true(held() - held_before <= before);
            encoder_free(&encoder);
            assert_null(encoder);
        }
    }
}

/* In pieces of any size, flushed now and then, for messages whose length is known or not. */
static void test_pieces(void **state)
{
    static const size_t sizes[] = {0, 1, 1000, 1024, 5000, 33000, 100 * 1000};
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (size_t step = 1; step < 40000; step = step * 13 + 2) {
            int64_t told = step % 2 ? (int64_t)sizes[i] : -1;
            struct encoder *encoder = encoder_new(CODING_GZIP, 5, told, &bench->heap);

            assert_non_null(encoder);
            assert_true(encode(bench, encoder, step > 20 ? sizes[i] : sizes[i] / 100, step));
            assert_gzip(bench, step > 20 ? sizes[i] : sizes[i] / 100);
            encoder_free(&encoder);
        }
    }
}

/* A message that is longer than it said. */
static void test_a_wrong_length(void **state)
{
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        struct encoder *encoder = encoder_new(coding, 3, 10, &bench->heap);

        assert_non_null(encoder);
        assert_true(encode(bench, encoder, 50 * 1000, 7000));
        if (coding == CODING_GZIP)
            assert_gzip(bench, 50 * 1000);
        encoder_free(&encoder);
    }
}

static size_t kept(const struct heap *heap)
{
    size_t sum = 0;

    for (unsigned i = 0; i < HEAP_CLASSES; i++)
        sum += heap->kept[i];
    return sum;
}

/* An encoder that began has all it needs: it is refused at once, or it ends well. */
static void test_without_memory(void **state)
{
    struct bench *bench = *state;
    unsigned refused = 0, good = 0;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        for (size_t limit = 0; limit < ENCODER_MEMORY_MAX; limit = limit * 5 / 4 + 100) {
            struct encoder *encoder;

            bench->budget.limit = limit ? limit : 1;
            encoder = encoder_new(coding, 4, -1, &bench->heap);
            refused += !encoder;
            if (encoder)
                assert_true(encode(bench, encoder, SIZE, 50 * 1000));
            good += encoder != NULL;
            encoder_free(&encoder);
            assert_int_equal(bench->budget.used, kept(&bench->heap));
        }
    }
    assert_true(refused > 0 && good > 0);
    bench->budget.limit = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_is_bounded, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_pieces, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_a_wrong_length, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_without_memory, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
