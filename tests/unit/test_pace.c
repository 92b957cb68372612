/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks as often as it may never asks more often than it may, in any hour and any second.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "control/pace.h"

enum { HOUR = 3600 * 1000, CALLS_MAX = 32000 };

/* When calls were made by one that always wants to, for some hours. */
static uint32_t make(struct pace *pace, int64_t *at, int64_t until_ms)
{
    uint32_t count = 0;
    int64_t now_ms = 12345;

    while (now_ms < until_ms) {
        int64_t wait_ms = pace_take(pace, now_ms);

        if (!wait_ms) {
            assert_true(count < CALLS_MAX);
            at[count++] = now_ms;
        }
        now_ms += wait_ms;
    }
    return count;
}

static uint32_t most(const int64_t *at, uint32_t count, int64_t span_ms)
{
    uint32_t best = 0, first = 0;

    for (uint32_t i = 0; i < count; i++) {
        while (at[i] - at[first] >= span_ms)
            first++;
        if (i - first + 1 > best)
            best = i - first + 1;
    }
    return best;
}

static void limits_hold(void **state)
{
    static const struct pace plans[] = {
        {.per_hour = 100, .per_second = 5},
        {.per_hour = 1000, .per_second = 10},
        {.per_hour = 10000, .per_second = 50},
    };
    static int64_t at[CALLS_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
        struct pace pace = plans[i];
        uint32_t count = make(&pace, at, 3 * HOUR);

        assert_in_range(most(at, count, HOUR), pace.per_hour * 9 / 10, pace.per_hour);
        assert_in_range(most(at, count, 1000), pace.per_second * 9 / 10, pace.per_second);
    }
}

static void a_rest_gives_back(void **state)
{
    struct pace pace = {.per_hour = 1000, .per_second = 1000};
    int64_t now_ms = 1;
    uint32_t made = 0;

    (void)state;
    while (pace_take(&pace, now_ms) < 1000)
        made++, now_ms++;
    assert_in_range(made, 490, 1010);
    now_ms += HOUR;
    assert_int_equal(pace_take(&pace, now_ms), 0);
}

static void a_pause_is_kept(void **state)
{
    struct pace pace = {.per_hour = 1000, .per_second = 10};

    (void)state;
    pace_pause(&pace, 5000);
    pace_pause(&pace, 3000);
    assert_int_equal(pace_take(&pace, 1000), 4000);
    assert_int_equal(pace_take(&pace, 5000), 0);
    assert_in_range(pace_take(&pace, 5000), 100, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_rest_gives_back),
        cmocka_unit_test(a_pause_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
