/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of shape/decoder.c: the other way of the encoder, in pieces of any size; broken streams,
 * and memory that ends midway.
 */
#include "test_coding_rig.h"

#include "edge/shape/decoder.h"

enum { LONGEST = 200 * 1000 };

static void make_stream(struct bench *bench, enum coding coding, size_t size)
{
    struct encoder *encoder = encoder_new(coding, 4, -1, &bench->heap);

    assert_non_null(encoder);
    bench->coded_len = 0;
    assert_true(put(bench, encoder, ENCODER_END, (struct str){bench->plain, size}));
    encoder_free(&encoder);
}

/* What became of the stream, fed in pieces of `step` bytes. */
static enum decoder_state decode(struct bench *bench, enum coding coding, size_t step)
{
    struct decoder_stream *decoder = decoder_new(coding, &bench->heap);
    enum decoder_state now = decoder ? DECODER_HUNGRY : DECODER_WRONG;

    bench->undone_len = 0;
    for (size_t at = 0; at < bench->coded_len && now != DECODER_WRONG; at += step) {
        size_t left = bench->coded_len - at;
        struct str in = {bench->coded + at, left < step ? left : step};

        do {
            size_t len = 0;

            now = decoder_run(decoder, &in, bench->undone + bench->undone_len, &len);
            assert_true(len <= DECODER_OUT);
            bench->undone_len += len;
            assert_true(bench->undone_len + DECODER_OUT <= SIZE);
        } while (now == DECODER_FULL);
        if (in.len && now != DECODER_WRONG)
            now = DECODER_WRONG; // more behind the end
    }
    decoder_free(&decoder);
    return now;
}

static void test_pieces(void **state)
{
    static const size_t sizes[] = {0, 1, 4091, 4092, 4093, 50000, LONGEST};
    static const size_t steps[] = {1, 17, 1000, SIZE};
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            make_stream(bench, coding, sizes[i]);
            for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
                assert_int_equal(decode(bench, coding, steps[j]), DECODER_ENDED);
                assert_int_equal(bench->undone_len, sizes[i]);
                assert_memory_equal(bench->undone, bench->plain, sizes[i]);
            }
        }
    }
}

static void test_cut(void **state)
{
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        make_stream(bench, coding, 3000);
        for (size_t whole = bench->coded_len, cut = 1; cut < whole; cut += 1 + whole / 200) {
            bench->coded_len = whole - cut;
            assert_int_not_equal(decode(bench, coding, 50), DECODER_ENDED);
        }
    }
}

static void test_flipped(void **state)
{
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        make_stream(bench, coding, 3000);
        for (size_t i = 0; i < bench->coded_len; i++) {
            bench->coded[i] ^= (char)(1 << i % 8);
            (void)decode(bench, coding, 100); // whatever it says: no fault, and all given back
            bench->coded[i] ^= (char)(1 << i % 8);
        }
        assert_int_equal(decode(bench, coding, 100), DECODER_ENDED);
    }
}

static void test_without_memory(void **state)
{
    struct bench *bench = *state;

    for (enum coding coding = CODING_GZIP; coding < CODING_COUNT; coding++) {
        unsigned wrong = 0, good = 0;

        bench->budget.limit = 0;
        make_stream(bench, coding, LONGEST);
        for (size_t limit = 100; limit < DECODER_MEMORY_MAX; limit = limit * 3 / 2) {
            bench->budget.limit = limit;
            if (decode(bench, coding, 3000) == DECODER_ENDED)
                good++;
            else
                wrong++;
        }
        assert_true(wrong > 0 && good > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_cut, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_flipped, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_without_memory, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
