/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/validate/format.h"

#include <string.h>

#include "base/ip.h"
#include "edge/validate/decimal.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    char lower = (char)(c | 0x20);

    return is_digit(c) || (lower >= 'a' && lower <= 'f');
}

static bool is_alpha(char c)
{
    char lower = (char)(c | 0x20);

    return lower >= 'a' && lower <= 'z';
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Takes exactly `count` digits off. */
static bool take_digits(struct str *s, unsigned count, unsigned *value)
{
    *value = 0;
    if (s->len < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!is_digit(s->p[i]))
            return false;
        *value = *value * 10 + (unsigned)(s->p[i] - '0');
    }
    s->p += count;
    s->len -= count;
    return true;
}

static bool take(struct str *s, const char *one_of)
{
    if (!s->len || !is_one_of(s->p[0], one_of))
        return false;
    s->p++;
    s->len--;
    return true;
}

/* --- RFC 3339 5.6 */

static bool take_date(struct str *s)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    bool is_leap;

    if (!take_digits(s, 4, &year) || !take(s, "-") || !take_digits(s, 2, &month) || !take(s, "-") ||
        !take_digits(s, 2, &day))
        return false;
    is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] + (unsigned)(month == 2 && is_leap);
}

/* A zone behind Z or a sign, in minutes east. */
static bool take_zone(struct str *s, int *minutes)
{
    unsigned hour, minute;
    bool is_west = s->len && s->p[0] == '-';

    *minutes = 0;
    if (take(s, "Zz"))
        return true;
    if (!take(s, "+-") || !take_digits(s, 2, &hour) || !take(s, ":") || !take_digits(s, 2, &minute))
        return false;
    *minutes = (int)(hour * 60 + minute) * (is_west ? -1 : 1);
    return hour <= 23 && minute <= 59;
}

/* A leap second is the last of a day in UTC. */
static bool take_time(struct str *s)
{
    unsigned hour, minute, second, digit;
    int zone, utc;

    if (!take_digits(s, 2, &hour) || !take(s, ":") || !take_digits(s, 2, &minute) ||
        !take(s, ":") || !take_digits(s, 2, &second))
        return false;
    if (take(s, ".")) {
        if (!take_digits(s, 1, &digit))
            return false;
        while (take_digits(s, 1, &digit))
            ;
    }
    if (!take_zone(s, &zone) || hour > 23 || minute > 59 || second > 60)
        return false;
    utc = ((int)(hour * 60 + minute) - zone + 2 * 24 * 60) % (24 * 60);
    return second < 60 || utc == 24 * 60 - 1;
}

static bool is_date(struct str s)
{
    return take_date(&s) && !s.len;
}

static bool is_time(struct str s)
{
    return take_time(&s) && !s.len;
}

static bool is_date_time(struct str s)
{
    return take_date(&s) && take(&s, "Tt") && take_time(&s) && !s.len;
}

/* --- the rest */

/* RFC 9562 4. */
static bool is_uuid(struct str s)
{
    if (s.len != 36)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? s.p[i] != '-' : !is_hex(s.p[i]))
            return false;
    }
    return true;
}

static bool is_ipv4(struct str s)
{
    unsigned parts = 0, digits = 0, value = 0;

    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && is_digit(s.p[i]) && digits < 3 && (value || !digits)) {
            value = value * 10 + (unsigned)(s.p[i] - '0');
            digits++;
            continue;
        }
        if (!digits || value > 255 || (i < s.len && s.p[i] != '.'))
            return false;
        parts++;
        digits = value = 0;
    }
    return parts == 4;
}

static bool is_ipv6(struct str s)
{
    uint8_t ip[IP_LEN];

    return s.len && memchr(s.p, ':', s.len) && !memchr(s.p, '%', s.len) && ip_parse(s, ip);
}

/* RFC 1123 2.1, RFC 5890: labels of letters, digits and dashes. */
static bool is_host(struct str s)
{
    size_t from = 0;

    if (!s.len || s.len > 253)
        return false;
    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && (is_digit(s.p[i]) || is_alpha(s.p[i]) || (s.p[i] == '-' && i > from)))
            continue;
        if (i == from || i - from > 63 || s.p[i - 1] == '-' || (i < s.len && s.p[i] != '.'))
            return false;
        from = i + 1;
    }
    return true;
}

/* RFC 5321 4.1.2 with RFC 6531 3.3: texts between dots, none quoted. */
static bool is_local(struct str local)
{
    if (!local.len || local.len > 64 || local.p[0] == '.' || local.p[local.len - 1] == '.')
        return false;
    for (size_t i = 0; i < local.len; i++) {
        char c = local.p[i];
        bool is_text = is_digit(c) || is_alpha(c) || is_one_of(c, "!#$%&'*+-/=?^_`{|}~.");

        if ((!is_text && (unsigned char)c < 0x80) || (c == '.' && local.p[i + 1] == '.'))
            return false;
    }
    return true;
}

static bool is_email(struct str s)
{
    const char *at = s.len ? memrchr(s.p, '@', s.len) : NULL;
    struct str domain;

    if (!at || !is_local((struct str){s.p, (size_t)(at - s.p)}))
        return false;
    domain = (struct str){at + 1, (size_t)(s.p + s.len - at) - 1};
    if (domain.len > 2 && domain.p[0] == '[' && domain.p[domain.len - 1] == ']') {
        domain = (struct str){domain.p + 1, domain.len - 2};
        return is_ipv4(domain) || (domain.len > 5 && !memcmp(domain.p, "IPv6:", 5) &&
                                   is_ipv6((struct str){domain.p + 5, domain.len - 5}));
    }
    return is_host(domain);
}

/* RFC 3986 3.1: length of the scheme, 0 when there is none. */
static size_t scan_scheme(struct str s)
{
    size_t at = 0;

    while (at < s.len &&
           (is_alpha(s.p[at]) || (at && (is_digit(s.p[at]) || is_one_of(s.p[at], "+-.")))))
        at++;
    return at < s.len && s.p[at] == ':' ? at : 0;
}

/* RFC 3986: a scheme, and only characters that may stand in one. */
static bool is_uri(struct str s)
{
    size_t at = scan_scheme(s);
    unsigned fragments = 0;

    if (!at)
        return false;
    for (at++; at < s.len; at++) {
        char c = s.p[at];

        if (c == '%' && (s.len - at < 3 || !is_hex(s.p[at + 1]) || !is_hex(s.p[at + 2])))
            return false;
        if (!is_digit(c) && !is_alpha(c) && !is_one_of(c, "%-._~:/?#[]@!$&'()*+,;="))
            return false;
        fragments += c == '#';
    }
    return fragments <= 1;
}

static bool is_within(struct str s, struct str least, struct str most)
{
    struct decimal value = decimal_read(s), low = decimal_read(least), high = decimal_read(most);

    return decimal_is_integer(&value) && decimal_compare(&value, &low) >= 0 &&
           decimal_compare(&value, &high) <= 0;
}

static bool is_int32(struct str s)
{
    return is_within(s, STR("-2147483648"), STR("2147483647"));
}

static bool is_int64(struct str s)
{
    return is_within(s, STR("-9223372036854775808"), STR("9223372036854775807"));
}

const struct format *format_find(struct str name)
{
    static const struct format formats[] = {
        {"date-time", is_date_time, DOC_TEXT},
        {"date", is_date, DOC_TEXT},
        {"time", is_time, DOC_TEXT},
        {"email", is_email, DOC_TEXT},
        {"uuid", is_uuid, DOC_TEXT},
        {"ipv4", is_ipv4, DOC_TEXT},
        {"ipv6", is_ipv6, DOC_TEXT},
        {"hostname", is_host, DOC_TEXT},
        {"uri", is_uri, DOC_TEXT},
        {"int32", is_int32, DOC_NUMBER},
        {"int64", is_int64, DOC_NUMBER},
    };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_same(name, (struct str){formats[i].name, strlen(formats[i].name)}))
            return &formats[i];
    return NULL;
}
