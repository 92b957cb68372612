/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a service is awake, asleep, waking or broken, and what it has cost.
 */
#include "control/scale/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/scale/purse.h"

enum { HEALTHY_MS = 60 * 1000, MINUTE_MS = 60 * 1000 };

static struct life step(const struct life *life, struct life_seen seen)
{
    if (!seen.healthy_ms)
        seen.healthy_ms = HEALTHY_MS;
    return life_next(life, &seen);
}

#define STEP(life, ...) step(&(life), (struct life_seen){__VA_ARGS__})

static void test_a_night(void **state)
{
    struct life life = {.mode = LIFE_AWAKE, .since_ms = 1};

    (void)state;
    life = STEP(life, .now_ms = 10, .is_up = true);
    assert_int_equal(life.mode, LIFE_AWAKE);
    life = STEP(life, .now_ms = 20, .is_idle = true);
    assert_int_equal(life.mode, LIFE_ASLEEP);
    assert_int_equal(life.since_ms, 20);
    life = STEP(life, .now_ms = 30);
    assert_int_equal(life.mode, LIFE_ASLEEP);
    life = STEP(life, .now_ms = 40, .is_asked = true);
    assert_int_equal(life.mode, LIFE_WAKING);
    life = STEP(life, .now_ms = 50);
    assert_int_equal(life.mode, LIFE_WAKING);
    life = STEP(life, .now_ms = 740, .is_up = true);
    assert_int_equal(life.mode, LIFE_AWAKE);
    assert_int_equal(life_eta_ms(&life), 700);
}

static void test_what_wakes(void **state)
{
    const struct life asleep = {.mode = LIFE_ASLEEP, .since_ms = 1};
    const struct life told = life_sleep(&(struct life){.mode = LIFE_AWAKE}, 1);

    (void)state;
    assert_int_equal(STEP(asleep, .now_ms = 2, .is_used = true).mode, LIFE_WAKING);
    assert_int_equal(STEP(asleep, .now_ms = 2, .is_deploying = true).mode, LIFE_WAKING);
    // Who says so lets what is in flight come to its end; a request that waits is another matter.
    assert_int_equal(STEP(told, .now_ms = 2, .is_used = true).mode, LIFE_ASLEEP);
    assert_int_equal(STEP(told, .now_ms = 2, .is_asked = true).mode, LIFE_WAKING);
}

static void test_no_sleep_beside_a_deploy(void **state)
{
    const struct life awake = {.mode = LIFE_AWAKE};

    (void)state;
    assert_int_equal(STEP(awake, .now_ms = 2, .is_idle = true, .is_deploying = true).mode,
                     LIFE_AWAKE);
}

/* One whose unit ran still says nothing of how long a boot takes. */
static void test_boots_are_measured(void **state)
{
    struct life life = {.mode = LIFE_ASLEEP};

    (void)state;
    life = STEP(life, .now_ms = 100, .is_asked = true, .is_running = true);
    life = STEP(life, .now_ms = 101, .is_up = true);
    assert_int_equal(life_eta_ms(&life), 0);
    for (int64_t i = 1; i <= 5; i++) {
        int64_t at_ms = i * 10000;

        life = STEP(life, .now_ms = at_ms, .is_idle = true);
        life = STEP(life, .now_ms = at_ms, .is_asked = true);
        life = STEP(life, .now_ms = at_ms + (i == 1 ? 9000 : i * 100), .is_up = true);
        assert_int_equal(life.mode, LIFE_AWAKE);
        // The longest of the last three.
        assert_int_equal(life_eta_ms(&life), i <= 3 ? 9000 : i * 100);
    }
}

static struct life break_it(struct life life, int64_t now_ms)
{
    life = STEP(life, .now_ms = now_ms, .is_asked = true);
    return STEP(life, .now_ms = now_ms, .failures = LIFE_FAILURES, .failure = "it exited with 1");
}

static void test_the_circuit(void **state)
{
    static const int64_t pauses_s[] = {10, 20, 40, 80, 160, 300, 300};
    struct life life = {.mode = LIFE_ASLEEP};
    int64_t now_ms = 1000;

    (void)state;
    life = STEP(life, .now_ms = now_ms, .is_asked = true);
    life = STEP(life, .now_ms = now_ms, .failures = LIFE_FAILURES - 1, .failure = "it exited");
    assert_int_equal(life.mode, LIFE_WAKING);
    life.mode = LIFE_ASLEEP;
    for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
        int64_t pause_ms = pauses_s[i] * 1000;

        life = break_it(life, now_ms);
        assert_int_equal(life.mode, LIFE_BROKEN);
        assert_string_equal(life.why, "3 starts in a row have failed: it exited with 1");
        assert_int_equal(life_retry_ms(&life, now_ms), pause_ms);
        assert_int_equal(STEP(life, .now_ms = now_ms + pause_ms - 1).mode, LIFE_BROKEN);
        now_ms += pause_ms;
        life = STEP(life, .now_ms = now_ms);
        assert_int_equal(life.mode, LIFE_ASLEEP);
        assert_int_equal(life_retry_ms(&life, now_ms), 0);
    }
    life = STEP(life, .now_ms = now_ms, .is_asked = true);
    life = STEP(life, .now_ms = now_ms, .is_up = true);
    assert_int_equal(life.mode, LIFE_AWAKE);
    life = STEP(life, .now_ms = now_ms, .is_idle = true);
    life = break_it(life, now_ms);
    assert_int_equal(life_retry_ms(&life, now_ms), 10 * 1000);
}

static void test_out_of_the_circuit(void **state)
{
    struct life broken = break_it((struct life){.mode = LIFE_ASLEEP}, 1000);

    (void)state;
    assert_int_equal(STEP(broken, .now_ms = 1001, .is_asked = true).mode, LIFE_WAKING);
    assert_int_equal(STEP(broken, .now_ms = 1001, .is_up = true).mode, LIFE_AWAKE);
    assert_int_equal(STEP(broken, .now_ms = MINUTE_MS, .is_deploying = true).mode, LIFE_BROKEN);
    // A clock that was set back does not hold it for longer.
    assert_int_equal(life_retry_ms(&broken, 0), 10 * 1000);
}

static void test_one_that_never_answers(void **state)
{
    struct life life = {.mode = LIFE_ASLEEP};

    (void)state;
    life = STEP(life, .now_ms = 0, .is_asked = true);
    life = STEP(life, .now_ms = HEALTHY_MS - 1);
    assert_int_equal(life.mode, LIFE_WAKING);
    life = STEP(life, .now_ms = HEALTHY_MS);
    assert_int_equal(life.mode, LIFE_BROKEN);
    assert_string_equal(life.why, "nothing of it became healthy in 60 s");
}

static void test_names(void **state)
{
    enum life_mode mode;

    (void)state;
    for (unsigned i = 0; i < LIFE_MODES; i++) {
        assert_true(life_of_name(life_name((enum life_mode)i), &mode));
        assert_int_equal(mode, i);
    }
    assert_false(life_of_name("tired", &mode));
}

static void test_money(void **state)
{
    const int64_t noon_ms = INT64_C(1704110400000), hour_ms = 3600 * 1000;
    struct purse purse = {0};

    (void)state;
    purse_pay(&purse, noon_ms, 5);
    assert_float_equal(purse.spent, 0, 1e-9); // nobody knows what was before
    purse_pay(&purse, noon_ms + hour_ms, 3);
    assert_float_equal(purse.spent, 3, 1e-9);
    purse_pay(&purse, noon_ms + hour_ms / 2, 3); // the clock was set back
    assert_float_equal(purse.spent, 3, 1e-9);
    purse_pay(&purse, noon_ms + 14 * hour_ms, 1.5); // two hours into the next day
    assert_float_equal(purse.spent, 3, 1e-9);
    purse_pay(&purse, noon_ms + 15 * hour_ms, 1.5);
    assert_float_equal(purse.spent, 4.5, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_night),
        cmocka_unit_test(test_what_wakes),
        cmocka_unit_test(test_no_sleep_beside_a_deploy),
        cmocka_unit_test(test_boots_are_measured),
        cmocka_unit_test(test_the_circuit),
        cmocka_unit_test(test_out_of_the_circuit),
        cmocka_unit_test(test_one_that_never_answers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_money),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
