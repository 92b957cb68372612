/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/validate/decimal.h"

#include "base/random.h"

enum { BASE = 10 };

#define EXPONENT_MAX INT64_C(1000000000000000)

static size_t count_digits(struct str s, size_t at)
{
    size_t from = at;

    while (at < s.len && s.p[at] >= '0' && s.p[at] <= '9')
        at++;
    return at - from;
}

/* Where the exponent that may stand at `at` ends; 0: it has no digits. */
static size_t scan_exponent(struct str s, size_t at)
{
    size_t digits;

    if (at >= s.len || (s.p[at] | 0x20) != 'e')
        return at;
    at++;
    at += at < s.len && (s.p[at] == '+' || s.p[at] == '-');
    digits = count_digits(s, at);
    return digits ? at + digits : 0;
}

size_t decimal_scan(struct str s)
{
    size_t at = s.len && s.p[0] == '-', digits = count_digits(s, at);

    if (!digits || (digits > 1 && s.p[at] == '0'))
        return 0;
    at += digits;
    if (at < s.len && s.p[at] == '.') {
        digits = count_digits(s, at + 1);
        if (!digits)
            return 0;
        at += 1 + digits;
    }
    return scan_exponent(s, at);
}

static size_t size(const struct decimal *a)
{
    return a->whole.len + a->fraction.len;
}

static unsigned digit(const struct decimal *a, size_t i)
{
    char c = i < a->whole.len ? a->whole.p[i] : a->fraction.p[i - a->whole.len];

    return (unsigned)(c - '0');
}

static void drop_leading(struct str *digits)
{
    while (digits->len && digits->p[0] == '0') {
        digits->p++;
        digits->len--;
    }
}

static int64_t drop_trailing(struct str *digits)
{
    int64_t count = 0;

    for (; digits->len && digits->p[digits->len - 1] == '0'; count++)
        digits->len--;
    return count;
}

/* Of the text behind the digits: "", "e5", "E-12". */
static int64_t read_exponent(struct str s)
{
    int64_t value = 0;
    bool is_negative;
    size_t at = 1;

    if (s.len < 2)
        return 0;
    is_negative = s.p[at] == '-';
    at += is_negative || s.p[at] == '+';
    for (; at < s.len && value < EXPONENT_MAX; at++)
        value = value * BASE + (s.p[at] - '0');
    if (value > EXPONENT_MAX)
        value = EXPONENT_MAX;
    return is_negative ? -value : value;
}

struct decimal decimal_read(struct str text)
{
    struct decimal a = {.is_negative = text.len && text.p[0] == '-'};
    size_t at = a.is_negative;

    a.whole = (struct str){text.p + at, count_digits(text, at)};
    at += a.whole.len;
    a.fraction = (struct str){text.p + at, 0};
    if (at < text.len && text.p[at] == '.') {
        a.fraction = (struct str){text.p + at + 1, count_digits(text, at + 1)};
        at += 1 + a.fraction.len;
    }
    a.exponent = read_exponent((struct str){text.p + at, text.len - at}) - (int64_t)a.fraction.len;
    drop_leading(&a.whole);
    if (!a.whole.len)
        drop_leading(&a.fraction);
    a.exponent += drop_trailing(&a.fraction);
    if (!a.fraction.len)
        a.exponent += drop_trailing(&a.whole);
    if (!size(&a))
        a = (struct decimal){.whole = {text.p, 0}, .fraction = {text.p, 0}};
    return a;
}

/* Both have digits; signs aside. */
static int compare_sizes(const struct decimal *a, const struct decimal *b)
{
    int64_t top_a = a->exponent + (int64_t)size(a), top_b = b->exponent + (int64_t)size(b);
    size_t shorter = size(a) < size(b) ? size(a) : size(b);

    if (top_a != top_b)
        return top_a < top_b ? -1 : 1;
    for (size_t i = 0; i < shorter; i++)
        if (digit(a, i) != digit(b, i))
            return digit(a, i) < digit(b, i) ? -1 : 1;
    return (size(a) > size(b)) - (size(a) < size(b));
}

static int sign(const struct decimal *a)
{
    return !size(a) ? 0 : a->is_negative ? -1 : 1;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int by_sign = (sign(a) > sign(b)) - (sign(a) < sign(b));

    if (by_sign || !sign(a))
        return by_sign;
    return sign(a) * compare_sizes(a, b);
}

bool decimal_is_integer(const struct decimal *a)
{
    return !size(a) || a->exponent >= 0;
}

bool decimal_is_divisor(const struct decimal *b)
{
    return sign(b) > 0 && size(b) <= DECIMAL_DIVISOR_DIGITS;
}

/* 10^n mod m, with m below 2^32. */
static uint64_t power(uint64_t n, uint64_t m)
{
    uint64_t result = 1 % m, base = BASE % m;

    for (; n; n >>= 1) {
        if (n & 1)
            result = result * base % m;
        base = base * base % m;
    }
    return result;
}

bool decimal_divides(const struct decimal *b, const struct decimal *a)
{
    uint64_t divisor = 0, rest = 0;

    if (!size(a))
        return true;
    if (a->exponent < b->exponent) // the digits of `a` do not end in 0, so 10 does not divide them
        return false;
    for (size_t i = 0; i < size(b); i++)
        divisor = divisor * BASE + digit(b, i);
    for (size_t i = 0; i < size(a); i++)
        rest = (rest * BASE + digit(a, i)) % divisor;
    return rest * power((uint64_t)(a->exponent - b->exponent), divisor) % divisor == 0;
}

uint64_t decimal_hash(const struct decimal *a)
{
    uint64_t hash = random_mix((uint64_t)a->exponent ^ (a->is_negative ? UINT64_MAX : 0));

    for (size_t i = 0; i < size(a); i++)
        hash = (hash ^ digit(a, i)) * UINT64_C(0x100000001b3);
    return hash;
}
