/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers and JSON strings as text. The common case of a JSON string, printable ASCII, goes eight
 * bytes at a time.
 */
#include "base/text.h"

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";
static const char digits[] = "0123456789abcdef";

char *text_u64(char *out, uint64_t n)
{
    char reversed[TEXT_U64_MAX];
    char *at = reversed + TEXT_U64_MAX;
    for (; n >= 100; n /= 100) {
        at -= 2;
        memcpy(at, pairs + n % 100 * 2, 2);
    }
    if (n >= 10) {
        at -= 2;
        memcpy(at, pairs + n * 2, 2);
    } else {
        *--at = (char)('0' + n);
    }
    return text_put(out, (struct str){at, (size_t)(reversed + TEXT_U64_MAX - at)});
}

char *text_hex(char *out, uint64_t n)
{
    unsigned shift = n ? (63 - (unsigned)__builtin_clzll(n)) / 4 * 4 : 0;
    for (;; shift -= 4) {
        *out++ = digits[n >> shift & 15];
        if (!shift)
            return out;
    }
}

char *text_hex_bytes(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

bool text_read_hex16(struct str s, uint64_t *n)
{
    *n = 0;
    if (s.len != TEXT_HEX_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *n = *n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

char *text_milli(char *out, uint64_t thousandths)
{
    unsigned rest = (unsigned)(thousandths % 1000);
    out = text_u64(out, thousandths / 1000);
    out[0] = '.';
    out[1] = (char)('0' + rest / 100);
    memcpy(out + 2, pairs + (size_t)(rest % 100) * 2, 2);
    return out + 4;
}

/* RFC 3629 4: what the second byte may be depends on the first (no overlong form, no surrogate,
 * none past U+10FFFF). */
static size_t wide_utf8(const unsigned char *s, size_t len)
{
    size_t need = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (len < need || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    return need;
}

size_t text_utf8(struct str s)
{
    const unsigned char *bytes = (const unsigned char *)s.p;
    if (!s.len)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4)
        return 0;
    return wide_utf8(bytes, s.len);
}

static uint64_t repeat(unsigned char byte)
{
    return 0x0101010101010101u * byte;
}

/* Not zero when one of the eight bytes needs more than a copy: a control, '"', '\\' or a byte above
 * 0x7f. */
static uint64_t is_special(uint64_t eight)
{
    uint64_t quote = eight ^ repeat('"');
    uint64_t backslash = eight ^ repeat('\\');
    uint64_t found = (eight - repeat(0x20)) | (quote - repeat(1)) | (backslash - repeat(1)) | eight;
    return found & repeat(0x80);
}

static char *put_control(char *out, unsigned char c)
{
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (shorts[c]) {
        *out++ = '\\';
        *out++ = shorts[c];
        return out;
    }
    out = text_put(out, STR("\\u00"));
    *out++ = digits[c >> 4];
    *out++ = digits[c & 15];
    return out;
}

/* One character that begins at s.p; moves *s past it. */
static char *put_char(char *out, struct str *s)
{
    unsigned char c = (unsigned char)*s->p;
    size_t used = c < 0x80 ? 1 : text_utf8(*s);
    if (!used) {
        out = text_put(out, STR("\\ufffd"));
        used = 1;
    } else if (c < 0x20) {
        out = put_control(out, c);
    } else {
        if (c == '"' || c == '\\')
            *out++ = '\\';
        for (size_t i = 0; i < used; i++)
            *out++ = s->p[i];
    }
    s->p += used;
    s->len -= used;
    return out;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* Fewer than eight bytes that have no eight before them, or not plain ones. */
static char *put_short(char *out, struct str s)
{
    while (s.len) {
        if (!is_plain((unsigned char)*s.p)) {
            out = put_char(out, &s);
            continue;
        }
        *out++ = *s.p++;
        s.len--;
    }
    return out;
}

char *text_json(char *out, struct str s)
{
    uint64_t eight;
    bool has_eight = s.len >= 8;
    while (s.len >= 8) {
        memcpy(&eight, s.p, 8);
        if (is_special(eight)) {
            out = put_char(out, &s);
            continue;
        }
        memcpy(out, &eight, 8);
        out += 8;
        s.p += 8;
        s.len -= 8;
    }
    if (!has_eight || !s.len)
        return put_short(out, s);
    // The last eight bytes again: where all are plain, those before the rest stand at the end of
    // `out` as they are.
    size_t back = 8 - s.len;
    memcpy(&eight, s.p - back, 8);
    if (is_special(eight))
        return put_short(out, s);
    memcpy(out - back, &eight, 8);
    return out + s.len;
}

/* The beginning of a character that goes on beyond the end. The bytes that may follow are within
 * the two that are tried, whatever came before. */
static bool is_cut(struct str s)
{
    static const char fills[] = {'\x80', '\xbf'};
    char whole[4];

    for (size_t i = 0; s.len < sizeof(whole) && i < sizeof(fills); i++) {
        memset(whole, fills[i], sizeof(whole));
        memcpy(whole, s.p, s.len);
        if (text_utf8((struct str){whole, sizeof(whole)}) > s.len)
            return true;
    }
    return false;
}

static bool is_odd_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

size_t text_clean(char *out, size_t size, struct str s)
{
    size_t len = 0;

    while (s.len) {
        size_t used = text_utf8(s);
        struct str part = {s.p, used};

        if (!used && is_cut(s))
            break;
        if (!used)
            part = STR("\xef\xbf\xbd");
        else if (is_odd_control(*s.p))
            part = STR("?");
        if (part.len >= size - len)
            break;
        text_put(out + len, part);
        len += part.len;
        s.p += used ? used : 1;
        s.len -= used ? used : 1;
    }
    out[len] = '\0';
    return len;
}

bool text_is_token(struct str s)
{
    static const char more[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && !memchr(more, c, sizeof(more) - 1))
            return false;
    }
    return s.len > 0;
}
