/* SPDX-License-Identifier: Apache-2.0
 *
 * Clocks and dates. Calendar arithmetic is done here because gmtime_r() takes libc's time zone
 * lock.
 */
#include "base/clock.h"

#include <string.h>
#include <time.h>

enum { DAY_S = 86400 };
static const uint64_t LAST_MS = 253402300799999; /* 9999-12-31T23:59:59.999Z */

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct civil {
    unsigned year, month, day; /* month and day from 1 */
    unsigned weekday;          /* 0: Sunday */
    unsigned hour, minute, second;
};

static uint64_t read_clock(clockid_t id, uint64_t per_second)
{
    struct timespec now;
    clock_gettime(id, &now);
    uint64_t nanos_per_unit = 1000000000 / per_second;
    return (uint64_t)now.tv_sec * per_second + (uint64_t)now.tv_nsec / nanos_per_unit;
}

uint64_t clock_cpu_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID, 1000000);
}

uint64_t clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

uint64_t clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

/* Days of the 400-year cycle of the Gregorian calendar, with years that begin in March, so that the
 * leap day is last. */
static void split_days(uint64_t days_since_1970, struct civil *civil)
{
    uint64_t from_march_0 = days_since_1970 + 719468;
    unsigned era = (unsigned)(from_march_0 / 146097);
    unsigned of_era = (unsigned)(from_march_0 % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0: March */
    civil->day = of_year - (153 * month + 2) / 5 + 1;
    civil->month = month < 10 ? month + 3 : month - 9;
    civil->year = year + era * 400 + (civil->month <= 2);
    civil->weekday = (unsigned)((days_since_1970 + 4) % 7); /* 1970-01-01 was a Thursday */
}

static struct civil split(uint64_t second)
{
    struct civil civil;
    unsigned of_day = (unsigned)(second % DAY_S);
    split_days(second / DAY_S, &civil);
    civil.hour = of_day / 3600;
    civil.minute = of_day / 60 % 60;
    civil.second = of_day % 60;
    return civil;
}

static char *put2(char *out, unsigned n)
{
    out[0] = (char)('0' + n / 10);
    out[1] = (char)('0' + n % 10);
    return out + 2;
}

static char *put_name(char *out, const char *names, unsigned index)
{
    memcpy(out, names + 3 * (size_t)index, 3);
    return out + 3;
}

static char *put_text(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static char *put_year(char *out, unsigned year)
{
    return put2(put2(out, year / 100), year % 100);
}

static char *put_time(char *out, const struct civil *civil)
{
    out = put2(out, civil->hour);
    *out++ = ':';
    out = put2(out, civil->minute);
    *out++ = ':';
    return put2(out, civil->second);
}

/* True when the cache shows another second; it is then marked for this one. */
static bool is_stale(struct clock_date *cache, uint64_t *wall_ms)
{
    if (*wall_ms > LAST_MS)
        *wall_ms = LAST_MS;
    uint64_t key = *wall_ms / 1000 + 1;
    if (cache->key == key)
        return false;
    cache->key = key;
    return true;
}

// RFC 9110 5.6.7: IMF-fixdate
struct str clock_http_date(struct clock_date *cache, uint64_t wall_ms)
{
    if (is_stale(cache, &wall_ms)) {
        struct civil civil = split(wall_ms / 1000);
        char *out = put_name(cache->text, days, civil.weekday);
        out = put_text(out, ", ", 2);
        out = put2(out, civil.day);
        *out++ = ' ';
        out = put_name(out, months, civil.month - 1);
        *out++ = ' ';
        out = put_year(out, civil.year);
        *out++ = ' ';
        out = put_time(out, &civil);
        put_text(out, " GMT", 4);
    }
    return (struct str){cache->text, 29};
}

// RFC 3339 5.6
struct str clock_rfc3339(struct clock_date *cache, uint64_t wall_ms)
{
    if (is_stale(cache, &wall_ms)) {
        struct civil civil = split(wall_ms / 1000);
        char *out = put_year(cache->text, civil.year);
        *out++ = '-';
        out = put2(out, civil.month);
        *out++ = '-';
        out = put2(out, civil.day);
        *out++ = 'T';
        out = put_time(out, &civil);
        put_text(out, ".000Z", 5);
    }
    unsigned ms = (unsigned)(wall_ms % 1000);
    cache->text[20] = (char)('0' + ms / 100);
    put2(cache->text + 21, ms % 100);
    return (struct str){cache->text, 24};
}

struct str clock_ncsa_date(struct clock_date *cache, uint64_t wall_ms)
{
    if (is_stale(cache, &wall_ms)) {
        struct civil civil = split(wall_ms / 1000);
        char *out = put2(cache->text, civil.day);
        *out++ = '/';
        out = put_name(out, months, civil.month - 1);
        *out++ = '/';
        out = put_year(out, civil.year);
        *out++ = ':';
        out = put_time(out, &civil);
        put_text(out, " +0000", 6);
    }
    return (struct str){cache->text, 26};
}
