/* SPDX-License-Identifier: Apache-2.0
 *
 * Character classes and the small scanners of HTTP/1.1 text. Pure.
 */
#include <endian.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "http/h1_impl.h"

enum {
    T = H1_TOKEN,
    V = H1_VALUE,
    U = H1_TARGET,
    H = H1_HOST,
    ALNUM = T | V | U | H,
    PERCENT = T | V | U,
    HEX = ALNUM | H1_HEX,
    DIGIT = HEX | H1_DIGIT,
};

const uint8_t h1_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = ALNUM,
    ['"'] = V,
    ['#'] = T | V,
    ['$'] = ALNUM,
    ['%'] = PERCENT,
    ['&' ... '\''] = ALNUM,
    ['('] = V | U | H,
    [')'] = V | U | H,
    ['*'] = ALNUM,
    ['+'] = ALNUM,
    [','] = V | U,
    ['-'] = ALNUM,
    ['.'] = ALNUM,
    ['/'] = V | U,
    ['0' ... '9'] = DIGIT,
    [':'] = V | U,
    [';'] = V | U | H,
    ['<'] = V,
    ['='] = V | U | H,
    ['>'] = V,
    ['?'] = V | U,
    ['@'] = V | U,
    ['A' ... 'F'] = HEX,
    ['G' ... 'Z'] = ALNUM,
    ['['] = V | U,
    ['\\'] = V,
    [']'] = V | U,
    ['^'] = T | V | U,
    ['_'] = ALNUM,
    ['`'] = T | V | U,
    ['a' ... 'f'] = HEX,
    ['g' ... 'z'] = ALNUM,
    ['{'] = V | U,
    ['|'] = T | V | U,
    ['}'] = V | U,
    ['~'] = ALNUM,
    [0x80 ... 0xff] = V,
};

#ifdef __SSE2__
/* First byte below 0x20 or equal to 0x7f in whole vectors; `end` less than 16 away otherwise. */
static const char *find_wide(const char *p, const char *end)
{
    const __m128i limit = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);

    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit =
            _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(x, limit), x), _mm_cmpeq_epi8(x, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);

        if (mask)
            return p + __builtin_ctz(mask);
    }
    return p;
}
#else
/* The same in words: a borrow can only make a byte above the first hit look like one, and the first
 * is what is asked for. */
static const char *find_wide(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;

    for (; end - p >= 8; p += 8) {
        uint64_t x, del, hit;

        memcpy(&x, p, sizeof(x));
        x = le64toh(x);
        del = x ^ (ones * 0x7f);
        hit = (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & high;
        if (hit)
            return p + __builtin_ctzll(hit) / 8;
    }
    return p;
}
#endif

static inline const char *find_control(const char *p, const char *end)
{
    p = find_wide(p, end);
    while (p < end && (unsigned char)*p >= 0x20 && *p != 0x7f)
        p++;
    return p;
}

const char *h1_value_end(const char *p, const char *end)
{
    p = find_control(p, end);
    while (p < end && *p == '\t')
        p = find_control(p + 1, end);
    return p;
}

bool h1_is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!h1_is(s.p[i], H1_TOKEN))
            return false;
    return s.len > 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool h1_equal_fold(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static struct str trim(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (p < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct str){p, (size_t)(end - p)};
}

bool h1_list_next(struct str *list, struct str *item)
{
    while (list->len) {
        const char *comma = memchr(list->p, ',', list->len);
        const char *end = list->p + list->len;

        *item = trim(list->p, comma ? comma : end);
        list->p = comma ? comma + 1 : end;
        list->len = (size_t)(end - list->p);
        if (item->len)
            return true;
    }
    return false;
}

int64_t h1_decimal(struct str s)
{
    int64_t n = 0;

    if (!s.len)
        return -1;
    for (size_t i = 0; i < s.len; i++)
        if (!h1_is(s.p[i], H1_DIGIT) || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, s.p[i] - '0', &n))
            return -1;
    return n;
}
