/* SPDX-License-Identifier: Apache-2.0
 *
 * See surrogate.h. The stand-in for U+D800..DFFF is U+E000..E7FF: the hex digit d becomes e,
 * and 8..f becomes 0..7.
 */
#include "config/surrogate.h"

#include <string.h>

enum { PAIR_LEN = 12, ESCAPE_LEN = 6 };

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of the escape \uXXXX at p, -1 when there is none. */
static int escape_value(const char *p)
{
    int value = 0;

    if (p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < ESCAPE_LEN; i++) {
        int digit = hex(p[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* A high and a low escape from `base` on: 0xd800 for the real, 0xe000 for the stand-in. */
static bool is_pair(struct str s, size_t at, int base)
{
    int high, low;

    if (s.len < PAIR_LEN || at > s.len - PAIR_LEN)
        return false;
    high = escape_value(s.p + at);
    low = escape_value(s.p + at + ESCAPE_LEN);
    return high >= base && high < base + 0x400 && low >= base + 0x400 && low < base + 0x800;
}

/* After an odd run of backslashes this one is itself escaped. */
static bool is_escaped(struct str s, size_t at)
{
    size_t n = 0;

    while (n < at && s.p[at - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

static size_t find_pair(struct str s, size_t from)
{
    while (from < s.len) {
        const char *p = memchr(s.p + from, '\\', s.len - from);
        if (!p)
            break;
        from = (size_t)(p - s.p);
        if (is_pair(s, from, 0xd800) && !is_escaped(s, from))
            return from;
        from++;
    }
    return s.len;
}

struct str surrogate_hide(struct surrogates *all, struct str original, struct arena *arena)
{
    struct str copy;
    size_t count = 0;

    *all = (struct surrogates){.original = original};
    for (size_t at = find_pair(original, 0); at < original.len; count++)
        at = find_pair(original, at + PAIR_LEN);
    if (!count)
        return original;
    copy = arena_copy(arena, original);
    all->at = arena_zero(arena, count, sizeof(*all->at));
    if (!copy.p || !all->at)
        return STR_NONE;
    for (size_t at = find_pair(original, 0); at < original.len;
         at = find_pair(original, at + PAIR_LEN)) {
        char *p = (char *)copy.p + at;
        all->at[all->count++] = (uint32_t)at;
        for (int i = 0; i < PAIR_LEN; i += ESCAPE_LEN) {
            p[i + 2] = 'e';
            p[i + 3] = (char)('0' + hex(p[i + 3]) - 8);
        }
    }
    return copy;
}

static size_t put_character(char *out, const char *pair)
{
    uint32_t high = (uint32_t)escape_value(pair) - 0xd800;
    uint32_t low = (uint32_t)escape_value(pair + ESCAPE_LEN) - 0xdc00;
    uint32_t c = 0x10000 + (high << 10 | low);

    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* U+E000..E3FF and then U+E400..E7FF in UTF-8: EE 80..8F xx EE 90..9F xx. */
static bool is_stand_in(const char *p, size_t len)
{
    return len >= 6 && (p[0] & 0xff) == 0xee && (p[1] & 0xf0) == 0x80 && (p[3] & 0xff) == 0xee &&
           (p[4] & 0xf0) == 0x90;
}

/* Bytes that the stand-in at `at` takes; 0 when none is there. */
static size_t stand_in_len(const struct surrogate_scalar *scalar, size_t at)
{
    if (scalar->is_double)
        return is_stand_in(scalar->text.p + at, scalar->text.len - at) ? 6 : 0;
    return is_pair(scalar->text, at, 0xe000) ? PAIR_LEN : 0;
}

struct str surrogate_restore(struct surrogates *all, const struct surrogate_scalar *scalar,
                             struct arena *arena)
{
    size_t first, len = 0;
    char *out;

    while (all->next < all->count && all->at[all->next] < scalar->begin)
        all->next++;
    first = all->next;
    while (all->next < all->count && all->at[all->next] < scalar->end)
        all->next++;
    if (first == all->next)
        return scalar->text;
    out = arena_text(arena, scalar->text.len + 1);
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < scalar->text.len;) {
        size_t n = stand_in_len(scalar, i);
        const char *pair;
        if (!n) {
            out[len++] = scalar->text.p[i++];
            continue;
        }
        if (first == all->next)
            return STR_NONE;
        pair = all->original.p + all->at[first++];
        if (scalar->is_double)
            len += put_character(out + len, pair);
        else
            len += PAIR_LEN, memcpy(out + len - PAIR_LEN, pair, PAIR_LEN);
        i += n;
    }
    out[len] = '\0';
    return first == all->next ? (struct str){out, len} : STR_NONE;
}
