/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_createCCtx_advanced: its allocator
#include "edge/shape/encoder.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

/* Windows, as powers of two: what a stream remembers. They bound the memory, and beyond them there
 * is little to win on what a gateway sends. */
enum { GZIP_WINDOW = 15, BR_WINDOW = 16, ZSTD_WINDOW = 17, SMALLEST_WINDOW = 10 };

/* Of zlib's two kinds of memory: the default of 8 needs 256 KiB in all. A smaller window needs
 * less, and to clear that would take longer than to compress a small message. */
enum { GZIP_MEMORY = 8, GZIP_MEMORY_BELOW_WINDOW = 5 };

struct encoder {
    struct heap *heap;
    enum coding coding;
    size_t charged; /* to the budget, for all that br will take */
    int window;     /* of gzip, which cannot change it */
    union {
        z_stream gzip;
        BrotliEncoderState *br;
        ZSTD_CCtx *zstd;
    } as;
};

static void *take(void *heap, size_t n)
{
    return heap_take(heap, n);
}

static void give(void *heap, void *object)
{
    heap_give(heap, object);
}

static void *take_items(void *heap, unsigned count, unsigned size)
{
    return heap_take(heap, (size_t)count * size);
}

/* As much as the message needs, `most` at most. */
static int window(int64_t size, int most)
{
    int bits = SMALLEST_WINDOW;

    if (size < 0)
        return most;
    while (bits < most && INT64_C(1) << bits < size)
        bits++;
    return bits;
}

/* --- gzip */

static bool open_gzip(struct encoder *encoder, int level, int64_t size)
{
    z_stream *stream = &encoder->as.gzip;
    int bits = window(size, GZIP_WINDOW), memory = bits - GZIP_MEMORY_BELOW_WINDOW;

    encoder->window = bits;
    *stream = (z_stream){.zalloc = take_items, .zfree = give, .opaque = encoder->heap};
    return deflateInit2(stream, level, Z_DEFLATED, bits + 16,
                        memory < GZIP_MEMORY ? memory : GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
}

static bool reset_gzip(struct encoder *encoder, int level)
{
    z_stream *stream = &encoder->as.gzip;

    return deflateReset(stream) == Z_OK && deflateParams(stream, level, Z_DEFAULT_STRATEGY) == Z_OK;
}

static int run_gzip(struct encoder *encoder, enum encoder_wish wish, struct str *in, char *out,
                    bool *is_done)
{
    static const int how[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *stream = &encoder->as.gzip;
    uInt most = in->len < UINT32_MAX ? (uInt)in->len : UINT32_MAX;
    int result;

    stream->next_in = (Bytef *)(uintptr_t)in->p;
    stream->avail_in = most;
    stream->next_out = (Bytef *)out;
    stream->avail_out = ENCODER_OUT;
    result = deflate(stream, how[wish]);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return -1;
    in->p += most - stream->avail_in;
    in->len -= most - stream->avail_in;
    *is_done = wish == ENCODER_END ? result == Z_STREAM_END : stream->avail_out > 0 && !in->len;
    return (int)(ENCODER_OUT - stream->avail_out);
}

/* --- br
 *
 * The library as Debian builds it ends the process when its allocator says no. So what it may need
 * is charged at once, and then it gets what it asks for. */

static void *take_charged(void *owner, size_t n)
{
    (void)owner;
    return malloc(n);
}

static void give_charged(void *owner, void *object)
{
    (void)owner;
    free(object);
}

static size_t memory_of_br(unsigned level)
{
    if (level < 2)
        return ENCODER_MEMORY_MAX / 8;
    return level < 4 ? ENCODER_MEMORY_MAX / 2 : ENCODER_MEMORY_MAX;
}

static bool open_br(struct encoder *encoder, unsigned level, int64_t size)
{
    uint32_t hint = size > 0 && size < UINT32_MAX ? (uint32_t)size : 0;
    BrotliEncoderState *br;

    if (!budget_charge(encoder->heap->budget, memory_of_br(level)))
        return false;
    encoder->charged = memory_of_br(level);
    br = BrotliEncoderCreateInstance(take_charged, give_charged, NULL);

    encoder->as.br = br;
    return br && BrotliEncoderSetParameter(br, BROTLI_PARAM_QUALITY, level) &&
           BrotliEncoderSetParameter(br, BROTLI_PARAM_LGWIN, (uint32_t)window(size, BR_WINDOW)) &&
           BrotliEncoderSetParameter(br, BROTLI_PARAM_SIZE_HINT, hint);
}

static int run_br(struct encoder *encoder, enum encoder_wish wish, struct str *in, char *out,
                  bool *is_done)
{
    static const BrotliEncoderOperation how[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                 BROTLI_OPERATION_FINISH};
    const uint8_t *from = (const uint8_t *)in->p;
    uint8_t *to = (uint8_t *)out;
    size_t room = ENCODER_OUT;

    if (!BrotliEncoderCompressStream(encoder->as.br, how[wish], &in->len, &from, &room, &to, NULL))
        return -1;
    in->p = (const char *)from;
    *is_done = !in->len && !BrotliEncoderHasMoreOutput(encoder->as.br) &&
               (wish != ENCODER_END || BrotliEncoderIsFinished(encoder->as.br));
    return (int)(ENCODER_OUT - room);
}

/* --- zstd */

static bool is_set(ZSTD_CCtx *zstd, ZSTD_cParameter parameter, int value)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, parameter, value));
}

static bool begin_zstd(ZSTD_CCtx *zstd, int level, int64_t size)
{
    ZSTD_inBuffer from = {"", 0, 0};
    ZSTD_outBuffer to = {NULL, 0, 0};

    // The hint keeps tables small; the first call takes all memory, so that none is missing later.
    return is_set(zstd, ZSTD_c_compressionLevel, level) &&
           is_set(zstd, ZSTD_c_srcSizeHint, 1 << ZSTD_WINDOW) &&
           is_set(zstd, ZSTD_c_windowLog, window(size, ZSTD_WINDOW)) &&
           !ZSTD_isError(ZSTD_compressStream2(zstd, &to, &from, ZSTD_e_continue));
}

static bool open_zstd(struct encoder *encoder, int level, int64_t size)
{
    ZSTD_customMem memory = {take, give, encoder->heap};

    encoder->as.zstd = ZSTD_createCCtx_advanced(memory);
    return encoder->as.zstd && begin_zstd(encoder->as.zstd, level, size);
}

static bool reset_zstd(struct encoder *encoder, int level, int64_t size)
{
    ZSTD_CCtx *zstd = encoder->as.zstd;

    return !ZSTD_isError(ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters)) &&
           begin_zstd(zstd, level, size);
}

static int run_zstd(struct encoder *encoder, enum encoder_wish wish, struct str *in, char *out,
                    bool *is_done)
{
    static const ZSTD_EndDirective how[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer from = {in->p, in->len, 0};
    ZSTD_outBuffer to = {out, ENCODER_OUT, 0};
    size_t left = ZSTD_compressStream2(encoder->as.zstd, &to, &from, how[wish]);

    if (ZSTD_isError(left))
        return -1;
    in->p += from.pos;
    in->len -= from.pos;
    *is_done = !in->len && (wish == ENCODER_MORE || !left);
    return (int)to.pos;
}

/* --- all three */

static bool open(struct encoder *encoder, unsigned level, int64_t size)
{
    switch (encoder->coding) {
    case CODING_GZIP:
        return open_gzip(encoder, (int)level, size);
    case CODING_BR:
        return open_br(encoder, level, size);
    default:
        return open_zstd(encoder, (int)level, size);
    }
}

struct encoder *encoder_new(enum coding coding, unsigned level, int64_t size, struct heap *heap)
{
    struct encoder *encoder = heap_take(heap, sizeof(*encoder));

    if (!encoder)
        return NULL;
    *encoder = (struct encoder){.heap = heap, .coding = coding};
    if (!open(encoder, level, size))
        encoder_free(&encoder);
    return encoder;
}

bool encoder_is_lasting(const struct encoder *encoder)
{
    return encoder->coding != CODING_BR; // its making is a small part of what it costs
}

bool encoder_fits(const struct encoder *encoder, enum coding coding, int64_t size)
{
    if (encoder->coding != coding || coding == CODING_BR)
        return false;
    return coding != CODING_GZIP || encoder->window == window(size, GZIP_WINDOW);
}

bool encoder_reset(struct encoder *encoder, unsigned level, int64_t size)
{
    if (encoder->coding == CODING_GZIP)
        return reset_gzip(encoder, (int)level);
    return reset_zstd(encoder, (int)level, size);
}

void encoder_free(struct encoder **encoder)
{
    struct encoder *gone = *encoder;

    if (!gone)
        return;
    if (gone->coding == CODING_GZIP)
        deflateEnd(&gone->as.gzip);
    else if (gone->coding == CODING_BR && gone->as.br)
        BrotliEncoderDestroyInstance(gone->as.br);
    else if (gone->coding == CODING_ZSTD)
        ZSTD_freeCCtx(gone->as.zstd);
    budget_release(gone->heap->budget, gone->charged);
    heap_give(gone->heap, gone);
    *encoder = NULL;
}

int encoder_run(struct encoder *encoder, enum encoder_wish wish, struct str *in, char *out,
                bool *is_done)
{
    switch (encoder->coding) {
    case CODING_GZIP:
        return run_gzip(encoder, wish, in, out, is_done);
    case CODING_BR:
        return run_br(encoder, wish, in, out, is_done);
    default:
        return run_zstd(encoder, wish, in, out, is_done);
    }
}
