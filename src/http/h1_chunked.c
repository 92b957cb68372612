/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunked coding (RFC 9112 section 7.1), read a byte or a slice at a time. Extensions mean
 * nothing to us: they are checked, bounded and dropped. Pure; `left` holds the size while it is
 * being read.
 */
#include "http/h1_impl.h"

enum {
    SIZE, /* the state of a zeroed struct */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILERS,
    BAD,
};

enum { DIGITS_MAX = 16, LINE_MAX_BYTES = 4 * 1024, BODY_MAX_BYTES = 16 * 1024 };

static unsigned digit_value(char c)
{
    return (unsigned)(h1_is(c, H1_DIGIT) ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* One more byte of extension: is it one too many? */
static bool is_too_long(struct chunked *chunked)
{
    return ++chunked->line > LINE_MAX_BYTES || ++chunked->overhead > BODY_MAX_BYTES;
}

static unsigned read_size(struct chunked *chunked, char c)
{
    if (h1_is(c, H1_HEX)) {
        if (chunked->digits == DIGITS_MAX || chunked->left > INT64_MAX >> 4)
            return BAD;
        chunked->digits++;
        chunked->left = chunked->left << 4 | digit_value(c);
        return SIZE;
    }
    if (!chunked->digits)
        return BAD;
    if (c == '\r')
        return SIZE_LF;
    chunked->line = 0;
    return c == ';' && !is_too_long(chunked) ? EXTENSION : BAD;
}

static unsigned read_extension(struct chunked *chunked, char c)
{
    if (c == '\r')
        return SIZE_LF;
    return h1_is(c, H1_VALUE) && !is_too_long(chunked) ? EXTENSION : BAD;
}

static unsigned end_size(struct chunked *chunked, char c)
{
    if (c != '\n')
        return BAD;
    chunked->digits = 0;
    return chunked->left ? DATA : TRAILERS;
}

/* One byte of the framing. */
static unsigned next_state(struct chunked *chunked, char c)
{
    switch (chunked->state) {
    case SIZE:
        return read_size(chunked, c);
    case EXTENSION:
        return read_extension(chunked, c);
    case SIZE_LF:
        return end_size(chunked, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return c == '\n' ? SIZE : BAD;
    default:
        return BAD;
    }
}

static void advance(struct str *in, size_t n)
{
    in->p += n;
    in->len -= n;
}

static enum chunk_event take_data(struct chunked *chunked, struct str *in, struct str *data)
{
    data->p = in->p;
    data->len = chunked->left < in->len ? (size_t)chunked->left : in->len;
    chunked->left -= data->len;
    if (!chunked->left)
        chunked->state = DATA_CR;
    advance(in, data->len);
    return CHUNK_DATA;
}

enum chunk_event chunked_next(struct chunked *chunked, struct str *in, struct str *data)
{
    for (;;) {
        if (chunked->state == TRAILERS)
            return CHUNK_TRAILERS;
        if (chunked->state == BAD)
            return CHUNK_BAD;
        if (!in->len)
            return CHUNK_MORE;
        if (chunked->state == DATA)
            return take_data(chunked, in, data);
        chunked->state = (uint8_t)next_state(chunked, in->p[0]);
        advance(in, 1);
    }
}
