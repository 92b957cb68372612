/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers with units: what is taken, to the last digit, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/units.h"

struct sample {
    const char *(*parse)(struct str s, uint64_t *out);
    const char *text;
    uint64_t value;
};

static const struct sample good[] = {
    {units_bool, "true", 1},
    {units_bool, "yes", 1},
    {units_bool, "on", 1},
    {units_bool, "false", 0},
    {units_bool, "no", 0},
    {units_bool, "off", 0},
    {units_int, "0", 0},
    {units_int, "18446744073709551615", UINT64_MAX},
    {units_duration, "250ms", 250},
    {units_duration, "5s", 5000},
    {units_duration, "2m", 120000},
    {units_duration, "1h", 3600000},
    {units_duration, "30d", 2592000000},
    {units_duration, "0s", 0},
    {units_size, "512", 512},
    {units_size, "16KiB", 16384},
    {units_size, "10MiB", 10485760},
    {units_size, "1GiB", 1073741824},
    {units_rate, "1KiB/s", 1024},
    {units_rate, "7/s", 7},
    {units_share, "20%", 200000},
    {units_share, "0.5%", 5000},
    {units_share, "12.3456%", 123456},
    {units_share, "100%", 1000000},
    {units_ratio, "2x", 2000},
    {units_ratio, "1.5x", 1500},
    {units_ratio, "0.001x", 1},
};

static const struct sample bad[] = {
    {units_bool, "True", 0},      {units_bool, "", 0},
    {units_bool, "1", 0},         {units_int, "", 0},
    {units_int, "-1", 0},         {units_int, "+1", 0},
    {units_int, "1 ", 0},         {units_int, "0x10", 0},
    {units_int, "1e3", 0},        {units_int, "18446744073709551616", 0},
    {units_duration, "5", 0},     {units_duration, "s", 0},
    {units_duration, "5 s", 0},   {units_duration, "5S", 0},
    {units_duration, "1.5s", 0},  {units_duration, "-5s", 0},
    {units_duration, "1h30m", 0}, {units_duration, "9999999999999999999h", 0},
    {units_size, "16KB", 0},      {units_size, "16K", 0},
    {units_size, "KiB", 0},       {units_size, "99999999999999999GiB", 0},
    {units_rate, "1KiB", 0},      {units_rate, "/s", 0},
    {units_rate, "1KiB/m", 0},    {units_share, "20", 0},
    {units_share, "101%", 0},     {units_share, "100.0001%", 0},
    {units_share, ".5%", 0},      {units_share, "5.%", 0},
    {units_share, "0.00001%", 0}, {units_share, "%", 0},
    {units_ratio, "2", 0},        {units_ratio, "x", 0},
    {units_ratio, "1.2345x", 0},  {units_ratio, "99999999999999999999x", 0},
};

static void takes_what_is_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct str s = {good[i].text, strlen(good[i].text)};
        uint64_t value = 42;
        if (good[i].parse(s, &value) || value != good[i].value)
            fail_msg("%s is %llu", good[i].text, (unsigned long long)value);
    }
}

static void refuses_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct str s = {bad[i].text, strlen(bad[i].text)};
        uint64_t value;
        if (!bad[i].parse(s, &value))
            fail_msg("%s was taken", bad[i].text);
    }
}

static void says_what_is_missing(void **state)
{
    uint64_t value;

    (void)state;
    assert_string_equal(units_duration(STR("5"), &value), "has no unit: write 5s, 250ms, 2m or 1h");
    assert_string_equal(units_share(STR("150%"), &value), "is more than 100%");
}

static void frequencies(void **state)
{
    static const struct {
        const char *text;
        uint64_t count, period_ms;
    } right[] = {
        {"10/s", 10, 1000},        {"100/min", 100, 60000}, {"1/m", 1, 60000},
        {"5000/h", 5000, 3600000}, {"20/d", 20, 86400000},  {"5/10s", 5, 10000},
    };
    static const char *const wrong[] = {
        "",
        "10",
        "/s",
        "10/",
        "0/s",
        "-1/s",
        "10 /s",
        "10/ s",
        "10/sec",
        "1.5/s",
        "10/0s",
        "10/s/s",
        "10/s ",
        "10/ms",
        "x/s",
        "10/5",
        "99999999999999999999/s",
        "1/99999999999999999999s",
        "1/18446744073709551615d",
    };
    uint64_t count, period_ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        struct str text = {right[i].text, strlen(right[i].text)};

        assert_null(units_frequency(text, &count, &period_ms));
        assert_int_equal(count, right[i].count);
        assert_int_equal(period_ms, right[i].period_ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_non_null(
            units_frequency((struct str){wrong[i], strlen(wrong[i])}, &count, &period_ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies),
        cmocka_unit_test(takes_what_is_right),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(says_what_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
