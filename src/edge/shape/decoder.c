/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/decoder.h"

#include <brotli/decode.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_createDCtx_advanced: its allocator
#include <zstd.h>

enum { ZSTD_WINDOW = 23 }; /* RFC 8878 3.1.1.1.2: what every decoder should take, as a power of 2 */

struct decoder_stream {
    struct heap *heap;
    enum coding coding;
    union {
        z_stream gzip;
        BrotliDecoderState *br;
        ZSTD_DCtx *zstd;
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

static bool open_gzip(struct decoder_stream *decoder)
{
    z_stream *stream = &decoder->as.gzip;

    *stream = (z_stream){.zalloc = take_items, .zfree = give, .opaque = decoder->heap};
    return inflateInit2(stream, 15 + 16) == Z_OK;
}

static bool open_zstd(struct decoder_stream *decoder)
{
    ZSTD_customMem memory = {take, give, decoder->heap};

    decoder->as.zstd = ZSTD_createDCtx_advanced(memory);
    return decoder->as.zstd &&
           !ZSTD_isError(
               ZSTD_DCtx_setParameter(decoder->as.zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW));
}

static bool open(struct decoder_stream *decoder)
{
    switch (decoder->coding) {
    case CODING_GZIP:
        return open_gzip(decoder);
    case CODING_BR:
        decoder->as.br = BrotliDecoderCreateInstance(take, give, decoder->heap);
        return decoder->as.br;
    default:
        return open_zstd(decoder);
    }
}

struct decoder_stream *decoder_new(enum coding coding, struct heap *heap)
{
    struct decoder_stream *decoder = heap_take(heap, sizeof(*decoder));

    if (!decoder)
        return NULL;
    *decoder = (struct decoder_stream){.heap = heap, .coding = coding};
    if (!open(decoder))
        decoder_free(&decoder);
    return decoder;
}

void decoder_free(struct decoder_stream **decoder)
{
    struct decoder_stream *gone = *decoder;

    if (!gone)
        return;
    if (gone->coding == CODING_GZIP)
        inflateEnd(&gone->as.gzip);
    else if (gone->coding == CODING_BR && gone->as.br)
        BrotliDecoderDestroyInstance(gone->as.br);
    else if (gone->coding == CODING_ZSTD)
        ZSTD_freeDCtx(gone->as.zstd);
    heap_give(gone->heap, gone);
    *decoder = NULL;
}

/* Several members one after another are one stream (RFC 1952 2.2). */
static enum decoder_state after_member(z_stream *stream, const struct str *in)
{
    if (inflateReset(stream) != Z_OK)
        return DECODER_WRONG;
    return in->len ? DECODER_FULL : DECODER_ENDED;
}

static enum decoder_state run_gzip(z_stream *stream, struct str *in, char *out, size_t *len)
{
    uInt most = in->len < UINT32_MAX ? (uInt)in->len : UINT32_MAX;
    int result;

    stream->next_in = (Bytef *)(uintptr_t)in->p;
    stream->avail_in = most;
    stream->next_out = (Bytef *)out;
    stream->avail_out = DECODER_OUT;
    result = inflate(stream, Z_NO_FLUSH);
    in->p += most - stream->avail_in;
    in->len -= most - stream->avail_in;
    *len = DECODER_OUT - stream->avail_out;
    if (result == Z_STREAM_END)
        return after_member(stream, in);
    if (result != Z_OK && result != Z_BUF_ERROR)
        return DECODER_WRONG;
    return in->len || !stream->avail_out ? DECODER_FULL : DECODER_HUNGRY;
}

static enum decoder_state run_br(BrotliDecoderState *br, struct str *in, char *out, size_t *len)
{
    const uint8_t *from = (const uint8_t *)in->p;
    uint8_t *to = (uint8_t *)out;
    size_t room = DECODER_OUT;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(br, &in->len, &from, &room, &to, NULL);

    in->p = (const char *)from;
    *len = DECODER_OUT - room;
    if (result == BROTLI_DECODER_RESULT_ERROR)
        return DECODER_WRONG;
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        return DECODER_ENDED;
    return result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT ? DECODER_FULL : DECODER_HUNGRY;
}

/* Several frames one after another are one stream, too (RFC 8878 3). */
static enum decoder_state run_zstd(ZSTD_DCtx *zstd, struct str *in, char *out, size_t *len)
{
    ZSTD_inBuffer from = {in->p, in->len, 0};
    ZSTD_outBuffer to = {out, DECODER_OUT, 0};
    size_t left = ZSTD_decompressStream(zstd, &to, &from);

    if (ZSTD_isError(left))
        return DECODER_WRONG;
    in->p += from.pos;
    in->len -= from.pos;
    *len = to.pos;
    if (!left && !in->len)
        return DECODER_ENDED;
    return in->len || to.pos == to.size ? DECODER_FULL : DECODER_HUNGRY;
}

enum decoder_state decoder_run(struct decoder_stream *decoder, struct str *in, char *out,
                               size_t *len)
{
    switch (decoder->coding) {
    case CODING_GZIP:
        return run_gzip(&decoder->as.gzip, in, out, len);
    case CODING_BR:
        return run_br(decoder->as.br, in, out, len);
    default:
        return run_zstd(decoder->as.zstd, in, out, len);
    }
}
