/* SPDX-License-Identifier: Apache-2.0
 *
 * See units.h. Used by the field decoder, for values and for defaults alike.
 */
#include "config/units.h"

#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit sizes[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

static bool is_equal(struct str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

/* Reads leading digits; false when there are none or too many. What follows is left in `s`. */
static bool take_digits(struct str *s, uint64_t *out)
{
    size_t i = 0;

    *out = 0;
    for (; i < s->len && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(s->p[i] - '0'), out))
            return false;
    s->p += i;
    s->len -= i;
    return i > 0;
}

const char *units_bool(struct str s, uint64_t *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (unsigned i = 0; i < ARRAY_LEN(words); i++) {
        if (is_equal(s, words[i])) {
            *out = i % 2;
            return NULL;
        }
    }
    return "is neither true nor false";
}

const char *units_int(struct str s, uint64_t *out)
{
    return take_digits(&s, out) && !s.len ? NULL : "is not a whole number";
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (is_equal(name, units[i].name))
            return &units[i];
    return NULL;
}

const char *units_duration(struct str s, uint64_t *out)
{
    const struct unit *unit;

    if (!take_digits(&s, out))
        return "is not a duration, such as 5s";
    if (!s.len)
        return "has no unit: write 5s, 250ms, 2m or 1h";
    unit = find_unit(durations, ARRAY_LEN(durations), s);
    if (!unit || __builtin_mul_overflow(*out, unit->factor, out))
        return "is not a duration, such as 250ms, 5s, 2m or 1h";
    return NULL;
}

const char *units_size(struct str s, uint64_t *out)
{
    const struct unit *unit;

    if (!take_digits(&s, out))
        return "is not a size, such as 16KiB";
    unit = find_unit(sizes, ARRAY_LEN(sizes), s);
    if (!unit || __builtin_mul_overflow(*out, unit->factor, out))
        return "is not a size: units are KiB, MiB and GiB";
    return NULL;
}

const char *units_rate(struct str s, uint64_t *out)
{
    if (s.len < 3 || memcmp(s.p + s.len - 2, "/s", 2) != 0)
        return "is not a rate, such as 1KiB/s";
    s.len -= 2;
    return units_size(s, out) ? "is not a rate, such as 1KiB/s" : NULL;
}

const char *units_frequency(struct str s, uint64_t *count, uint64_t *period_ms)
{
    static const struct unit periods[] = {
        {"s", 1000}, {"m", 60000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    static const char *const wrong = "is not a rate, such as 10/s, 100/min, 1000/h or 5/10s";
    const struct unit *unit;

    if (!take_digits(&s, count) || !*count || !s.len || *s.p != '/')
        return wrong;
    s.p++;
    s.len--;
    *period_ms = 1;
    if (s.len && *s.p >= '0' && *s.p <= '9' && !take_digits(&s, period_ms))
        return wrong;
    unit = find_unit(periods, ARRAY_LEN(periods), s);
    if (!unit || !*period_ms || __builtin_mul_overflow(*period_ms, unit->factor, period_ms))
        return wrong;
    return NULL;
}

/* Takes one digit; 0 where none stands. */
static uint64_t take_digit(struct str *s)
{
    if (!s->len || s->p[0] < '0' || s->p[0] > '9')
        return 0;
    s->len--;
    return (uint64_t)(*s->p++ - '0');
}

/* Digits, and up to `places` more after a point, as one whole number of the smallest place. */
static bool take_decimal(struct str *s, unsigned places, uint64_t *out)
{
    bool has_point;

    if (!take_digits(s, out))
        return false;
    has_point = s->len > 1 && s->p[0] == '.' && s->p[1] >= '0' && s->p[1] <= '9';
    if (has_point) {
        s->p++;
        s->len--;
    }
    for (; places; places--)
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, has_point ? take_digit(s) : 0, out))
            return false;
    return true;
}

const char *units_share(struct str s, uint64_t *out)
{
    if (!take_decimal(&s, 4, out) || !is_equal(s, "%"))
        return "is not a share, such as 20%";
    return *out <= 1000000 ? NULL : "is more than 100%";
}

const char *units_ratio(struct str s, uint64_t *out)
{
    if (!take_decimal(&s, 3, out) || !is_equal(s, "x"))
        return "is not a ratio, such as 1.5x";
    return NULL;
}
