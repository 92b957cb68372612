/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jose_base64.h"

#include <limits.h>

enum { BAD = 64 };

static unsigned digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : BAD;
}

int jose_base64_decode(struct str text, uint8_t *out, size_t size)
{
    uint32_t bits = 0, held = 0;
    size_t len = 0;

    if (text.len > INT_MAX || text.len % 4 == 1 || text.len / 4 * 3 + text.len % 4 > size + 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        unsigned value = digit(text.p[i]);

        if (value == BAD)
            return -1;
        bits = (bits << 6 | value) & 0xffff;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (len == size)
            return -1;
        out[len++] = (uint8_t)(bits >> held);
    }
    return bits & ((1U << held) - 1) ? -1 : (int)len;
}

enum status jose_base64_read(struct str text, struct arena *arena, struct str *bytes)
{
    size_t size = text.len / 4 * 3 + 3;
    char *out = arena_text(arena, size + 1);
    int len;

    if (!out)
        return E_NOMEM;
    len = jose_base64_decode(text, (uint8_t *)out, size);
    if (len < 0)
        return E_INVALID;
    out[len] = '\0';
    *bytes = (struct str){out, (size_t)len};
    return OK;
}

char *jose_base64_encode(char *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0, held = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | (unsigned char)bytes.p[i]) & 0xffff;
        for (held += 8; held >= 6; held -= 6)
            *out++ = digits[bits >> (held - 6) & 63];
    }
    if (held)
        *out++ = digits[bits << (6 - held) & 63];
    return out;
}
