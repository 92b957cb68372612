/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc_web.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"

enum {
    PREFIX = 5,           /* bytes of flag and length */
    FLAG_COMPRESSED = 1,  /* of a message */
    FLAG_TRAILERS = 0x80, /* of the frame that is no message */
    PADDING = 64,
    BAD = 65, /* beside the values of base64's digits */
};

/* --- base64 */

static uint8_t digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    if (c == '+' || c == '/')
        return c == '+' ? 62 : 63;
    return c == '=' ? PADDING : BAD;
}

/* Bytes that a whole group gives, 1 to 3; 0: padding stands where none may. */
static int group_length(const uint8_t *group)
{
    if (group[0] == PADDING || group[1] == PADDING)
        return 0;
    if (group[2] == PADDING)
        return group[3] == PADDING ? 1 : 0;
    return group[3] == PADDING ? 2 : 3;
}

static void put_group(const uint8_t *group, char *out)
{
    uint32_t bits = (uint32_t)group[0] << 18 | (uint32_t)group[1] << 12 |
                    (uint32_t)(group[2] & 63) << 6 | (uint32_t)(group[3] & 63);

    out[0] = (char)(bits >> 16);
    out[1] = (char)(bits >> 8);
    out[2] = (char)bits;
}

int grpc_web_decode(struct grpc_web_decoder *decoder, struct str *text, char *out, int room)
{
    int len = 0;

    for (; text->len && room - len >= 3; text->p++, text->len--) {
        uint8_t value = digit(*text->p);
        int more;

        if (value == BAD)
            return -1;
        decoder->group[decoder->count++] = value;
        if (decoder->count < 4)
            continue;
        more = group_length(decoder->group);
        if (!more)
            return -1;
        put_group(decoder->group, out + len);
        decoder->count = 0;
        len += more;
    }
    return len;
}

bool grpc_web_is_whole(const struct grpc_web_decoder *decoder)
{
    return !decoder->count;
}

static void put_digits(const char *bytes, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = (uint32_t)(unsigned char)bytes[0] << 16 |
                    (uint32_t)(unsigned char)bytes[1] << 8 | (unsigned char)bytes[2];

    for (int i = 0; i < 4; i++)
        out[i] = digits[bits >> (18 - 6 * i) & 63];
}

int grpc_web_encode(struct grpc_web_encoder *encoder, struct str *bytes, char *out, int room)
{
    int len = 0;

    while (room - len >= 4 && encoder->count + bytes->len >= 3) {
        char group[3];
        size_t taken = (size_t)(3 - encoder->count);

        memcpy(group, encoder->group, encoder->count);
        memcpy(group + encoder->count, bytes->p, taken);
        put_digits(group, out + len);
        len += 4;
        encoder->count = 0;
        bytes->p += taken;
        bytes->len -= taken;
    }
    while (bytes->len && encoder->count + bytes->len < 3) {
        encoder->group[encoder->count++] = *bytes->p++;
        bytes->len--;
    }
    return len;
}

int grpc_web_pad(struct grpc_web_encoder *encoder, char *out)
{
    char group[3] = {0};

    if (!encoder->count)
        return 0;
    memcpy(group, encoder->group, encoder->count);
    put_digits(group, out);
    memset(out + 1 + encoder->count, '=', (size_t)(3 - encoder->count));
    encoder->count = 0;
    return 4;
}

/* --- messages */

static bool take_prefix(struct grpc_web_frames *frames, uint8_t byte)
{
    if (frames->prefix++ == 0) {
        frames->length = 0;
        return byte <= FLAG_COMPRESSED;
    }
    frames->length = frames->length << 8 | byte;
    if (frames->prefix == PREFIX) {
        frames->left = frames->length;
        frames->prefix = frames->left ? PREFIX : 0;
    }
    return true;
}

bool grpc_web_follow(struct grpc_web_frames *frames, struct str bytes)
{
    while (bytes.len) {
        size_t taken = frames->left < bytes.len ? frames->left : bytes.len;

        if (frames->prefix < PREFIX) {
            if (!take_prefix(frames, (uint8_t)*bytes.p))
                return false;
            taken = 1;
        } else {
            frames->left -= (uint32_t)taken;
            frames->prefix = frames->left ? PREFIX : 0;
        }
        bytes.p += taken;
        bytes.len -= taken;
    }
    return true;
}

bool grpc_web_is_between(const struct grpc_web_frames *frames)
{
    return !frames->prefix;
}

/* --- trailers */

static char *put_lower(char *at, const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        *at++ = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
    return at;
}

struct str grpc_web_trailers(struct arena *arena, const struct head *trailers)
{
    size_t len = 0;
    char *start, *at;

    for (unsigned i = 0; i < trailers->count; i++)
        len += (size_t)trailers->headers[i].name_len + trailers->headers[i].value_len + 4;
    start = at = len <= UINT32_MAX ? arena_text(arena, PREFIX + len) : NULL;
    if (!start)
        return STR_NONE;
    *at++ = (char)FLAG_TRAILERS;
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (char)(len >> shift);
    for (unsigned i = 0; i < trailers->count; i++) {
        const struct header *header = &trailers->headers[i];

        at = put_lower(at, header->name, header->name_len);
        at = text_put(at, STR(": "));
        at = text_put(at, (struct str){header->value, header->value_len});
        at = text_put(at, STR("\r\n"));
    }
    return (struct str){start, PREFIX + len};
}
