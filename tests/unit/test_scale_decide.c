/* SPDX-License-Identifier: Apache-2.0
 *
 * How many replicas a service shall have: cases one by one, and some that take their time.
 */
#include "control/scale/decide.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MONDAY_NOON_S (1704110400.0) /* 2024-01-01 12:00 UTC */

enum { SECONDS = 400 };

static const struct scale_policy policy = {
    .limits = {.min = 1, .max = 20},
    .concurrency = 10,
    .idle_s = 300,
    .stable_s = 60,
    .panic_s = 6,
    .panic_ratio = 2,
    .up_cooldown_s = 10,
    .down_cooldown_s = 60,
};

/* --- cases: the last seconds alike, up to now */

struct sample_run {
    unsigned seconds; /* 0: no more runs */
    double in_flight, held, arrivals;
    bool is_missing, is_partial;
};

struct scale_case {
    const char *name;
    struct sample_run runs[4]; /* from the oldest to now */
    uint32_t wanted, ready;
    uint32_t min;
    bool is_starting;
    double boot_s, service_s, since_change_s, since_wake_s;
    double rate;
    uint32_t expected;
    enum scale_reason reason;
};

static const struct scale_case cases[] = {
    {"as needed",
     {{60, 25, 0, 100, 0, 0}},
     3,
     3,
     1,
     .since_change_s = 999,
     .expected = 3,
     .reason = SCALE_STEADY},
    {"more",
     {{60, 45, 0, 100, 0, 0}},
     3,
     3,
     1,
     .since_change_s = 999,
     .expected = 5,
     .reason = SCALE_GROWS},
    {"more, too soon",
     {{60, 45, 0, 100, 0, 0}},
     3,
     3,
     1,
     .since_change_s = 5,
     .expected = 3,
     .reason = SCALE_COOLS},
    {"fewer",
     {{60, 25, 0, 100, 0, 0}},
     4,
     4,
     1,
     .since_change_s = 999,
     .expected = 3,
     .reason = SCALE_SHRINKS},
    {"fewer, half at most",
     {{60, 5, 0, 100, 0, 0}},
     9,
     9,
     1,
     .since_change_s = 999,
     .expected = 5,
     .reason = SCALE_SHRINKS},
    {"fewer, too soon",
     {{60, 25, 0, 100, 0, 0}},
     4,
     4,
     1,
     .since_change_s = 59,
     .expected = 4,
     .reason = SCALE_COOLS},
    {"a burst",
     {{54, 10, 0, 100, 0, 0}, {6, 60, 0, 600, 0, 0}},
     2,
     2,
     1,
     .since_change_s = 999,
     .expected = 6,
     .reason = SCALE_PANIC},
    {"a burst, too soon for calm growth",
     {{54, 10, 0, 100, 0, 0}, {6, 60, 0, 600, 0, 0}},
     2,
     2,
     1,
     .since_change_s = 1,
     .expected = 6,
     .reason = SCALE_PANIC},
    {"by rate",
     {{60, 1, 0, 100, 0, 0}},
     3,
     3,
     1,
     .since_change_s = 999,
     .rate = 25,
     .expected = 4,
     .reason = SCALE_GROWS},
    {"no data at all",
     {{60, 0, 0, 0, true, 0}},
     5,
     5,
     1,
     .since_change_s = 999,
     .expected = 5,
     .reason = SCALE_UNKNOWN},
    {"half of it is missing",
     {{30, 0, 0, 0, true, 0}, {30, 10, 0, 10, 0, 0}},
     5,
     5,
     1,
     .since_change_s = 999,
     .expected = 5,
     .reason = SCALE_UNKNOWN},
    {"an edge is silent",
     {{60, 5, 0, 10, 0, true}},
     5,
     5,
     1,
     .since_change_s = 999,
     .expected = 5,
     .reason = SCALE_UNKNOWN},
    {"an edge is silent, the other is full",
     {{60, 80, 0, 10, 0, true}},
     5,
     5,
     1,
     .since_change_s = 999,
     .expected = 8,
     .reason = SCALE_GROWS},
    {"one sample is late",
     {{58, 15, 0, 10, 0, 0}, {2, 0, 0, 0, true, 0}},
     4,
     4,
     1,
     .since_change_s = 999,
     .expected = 2,
     .reason = SCALE_SHRINKS},
    {"numbers that are none",
     {{60, NAN, 0, 10, 0, 0}},
     4,
     4,
     1,
     .since_change_s = 999,
     .expected = 4,
     .reason = SCALE_UNKNOWN},
    {"negative numbers",
     {{60, -5, 0, 10, 0, 0}},
     4,
     4,
     1,
     .since_change_s = 999,
     .expected = 4,
     .reason = SCALE_UNKNOWN},
    {"idle, but one must stay",
     {{310, 0, 0, 0, 0, 0}},
     1,
     1,
     1,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"idle",
     {{310, 0, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 999,
     .expected = 0,
     .reason = SCALE_IDLE},
    {"idle, not for long",
     {{99, 0, 0, 1, 0, 0}, {201, 0, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"idle, as far as is known",
     {{100, 0, 0, 0, 0, 0}, {10, 0, 0, 0, true, 0}, {200, 0, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"idle, an edge was silent",
     {{299, 0, 0, 0, 0, 0}, {5, 0, 0, 0, 0, true}, {6, 0, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"idle, just woken",
     {{310, 0, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 20,
     .expected = 1,
     .reason = SCALE_COOLS},
    {"a long stream is no idle time",
     {{310, 1, 0, 0, 0, 0}},
     1,
     1,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"asleep",
     {{310, 0, 0, 0, 0, 0}},
     0,
     0,
     0,
     .since_change_s = 999,
     .expected = 0,
     .reason = SCALE_ASLEEP},
    {"asleep, nothing known",
     {{60, 0, 0, 0, true, 0}},
     0,
     0,
     0,
     .since_change_s = 999,
     .expected = 0,
     .reason = SCALE_ASLEEP},
    {"asleep, what passes without waiting does not wake",
     {{60, 0, 0, 50, 0, 0}},
     0,
     0,
     0,
     .since_change_s = 999,
     .expected = 0,
     .reason = SCALE_ASLEEP},
    {"wakes",
     {{60, 0, 0, 0, 0, 0}, {1, 0, 1, 1, 0, 0}},
     0,
     0,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_WAKES},
    {"wakes one for a thousand at once",
     {{60, 0, 0, 0, 0, 0}, {1, 0, 1000, 1000, 0, 0}},
     0,
     0,
     0,
     .boot_s = 2,
     .service_s = 0.05,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_WAKES},
    {"wakes one for a thousand, nothing measured",
     {{1, 0, 1000, 1000, 0, 0}},
     0,
     0,
     0,
     .since_change_s = 999,
     .expected = 1,
     .reason = SCALE_WAKES},
    {"wakes as many as the rate needs",
     {{60, 0, 300, 600, 0, 0}},
     0,
     0,
     0,
     .boot_s = 2,
     .service_s = 0.05,
     .since_change_s = 999,
     .expected = 3,
     .reason = SCALE_WAKES},
    {"held while the first boots",
     {{57, 0, 0, 0, 0, 0}, {3, 0, 900, 300, 0, 0}},
     1,
     0,
     0,
     .is_starting = true,
     .boot_s = 5,
     .service_s = 0.05,
     .since_change_s = 3,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"the backlog of a wake",
     {{54, 0, 0, 0, 0, 0}, {3, 0, 900, 300, 0, 0}, {3, 700, 0, 100, 0, 0}},
     1,
     1,
     0,
     .boot_s = 3,
     .service_s = 0.05,
     .since_change_s = 6,
     .since_wake_s = 3,
     .expected = 1,
     .reason = SCALE_STEADY},
    {"held while more boot",
     {{60, 20, 50, 25, 0, 0}},
     2,
     2,
     1,
     .is_starting = true,
     .boot_s = 2,
     .since_change_s = 999,
     .expected = 2,
     .reason = SCALE_STEADY},
    {"held for want of room",
     {{60, 20, 15, 25, 0, 0}},
     2,
     2,
     1,
     .boot_s = 2,
     .since_change_s = 999,
     .expected = 4,
     .reason = SCALE_PANIC},
    {"as many as max",
     {{60, 500, 0, 100, 0, 0}},
     18,
     18,
     1,
     .since_change_s = 999,
     .expected = 20,
     .reason = SCALE_CAPPED},
    {"fewer than min",
     {{60, 0, 0, 1, 0, 0}},
     2,
     2,
     3,
     .since_change_s = 999,
     .expected = 3,
     .reason = SCALE_FLOOR},
};

static size_t fill(const struct sample_run *runs, double now_s, struct scale_sample *samples)
{
    unsigned seconds = 0;
    size_t count = 0;
    double at_s;

    for (unsigned i = 0; i < 4; i++)
        seconds += runs[i].seconds;
    at_s = now_s - seconds;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned n = 0; n < runs[i].seconds; n++) {
            at_s++;
            if (!runs[i].is_missing)
                samples[count++] = (struct scale_sample){
                    at_s, 1, runs[i].in_flight, runs[i].held, runs[i].arrivals, runs[i].is_partial};
        }
    }
    return count;
}

static struct scale_decision decide_case(const struct scale_case *one)
{
    static struct scale_sample samples[SECONDS];
    struct scale_policy ours = policy;
    struct scale_now now = {
        .now_s = MONDAY_NOON_S,
        .ready = one->ready,
        .boot_s = one->boot_s,
        .service_s = one->service_s,
        .woken_s = one->since_wake_s > 0 ? MONDAY_NOON_S - one->since_wake_s : 0,
        .is_starting = one->is_starting,
    };
    struct scale_state state = {one->wanted, MONDAY_NOON_S - one->since_change_s,
                                MONDAY_NOON_S - one->since_change_s, 0};

    ours.limits.min = one->min;
    ours.rate = one->rate;
    now.samples = (struct scale_samples){samples, fill(one->runs, now.now_s, samples)};
    return scale_decide(&ours, &now, &state);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scale_decision got = decide_case(&cases[i]);

        if (got.wanted != cases[i].expected || got.reason != cases[i].reason)
            fail_msg("%s: %u by %d, not %u by %d: %s", cases[i].name, got.wanted, (int)got.reason,
                     cases[i].expected, (int)cases[i].reason, got.why);
        assert_true(strlen(got.why) > 20 && strlen(got.why) < SCALE_WHY_LEN - 1);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(decide_case(&cases[1]).why,
                        "45 in flight, 0 held, 100 a second over 60 s: 5 needed, from 3 to 5: more "
                        "are started");
    assert_string_equal(decide_case(&cases[2]).why,
                        "45 in flight, 0 held, 100 a second over 60 s: 5 needed, from 3 to 3: "
                        "changed 5 s ago, again after 10");
    assert_string_equal(decide_case(&cases[10]).why,
                        "10 in flight, 0 held, 10 a second over 60 s: 1 needed, from 5 to 5: only "
                        "30 of 60 s are known, so none goes");
}

/* --- over time */

/* A controller that starts anew and knows nothing keeps what there is, and is in no hurry after. */
static void test_a_restart(void **state)
{
    static struct scale_sample samples[SECONDS];
    struct scale_state ours = scale_begin(7, MONDAY_NOON_S);

    (void)state;
    for (unsigned s = 0; s <= 59; s++) {
        struct scale_now now = {.now_s = MONDAY_NOON_S + s, .ready = 7, .samples = {samples, s}};
        struct scale_decision got = scale_decide(&policy, &now, &ours);

        assert_int_equal(got.wanted, 7);
        ours = got.next;
        samples[s] = (struct scale_sample){MONDAY_NOON_S + s + 1, 1, 5, 0, 5, false};
    }
}

/* A panic lasts until a whole stable window was quiet; then half goes at a time. */
static void test_a_panic_ends(void **state)
{
    static struct scale_sample samples[SECONDS];
    struct scale_state ours = {.wanted = 1};
    unsigned shrunk = 0;

    (void)state;
    for (unsigned s = 0; s < SECONDS; s++) {
        struct scale_now now = {.now_s = MONDAY_NOON_S + s + 1, .samples = {samples, s + 1}};
        struct scale_decision got;

        samples[s] =
            (struct scale_sample){now.now_s, 1, s >= 70 && s < 80 ? 100 : 10, 0, 10, false};
        now.ready = ours.wanted;
        got = scale_decide(&policy, &now, &ours);
        if (got.wanted < ours.wanted && !shrunk)
            shrunk = s;
        assert_true(s >= 70 || got.wanted == 1);
        assert_true(s < 75 || s > 130 || got.wanted >= 8);
        ours = got.next;
    }
    assert_in_range(shrunk, 135, 160);
    assert_int_equal(ours.wanted, 1);
}

/* The day's budget brings down what is there, also in a panic, and says so. */
static void test_a_budget_acts(void **state)
{
    static struct scale_sample samples[SECONDS];
    static const struct sample_run runs[4] = {{60, 200, 0, 100, 0, 0}};
    struct scale_policy ours = policy;
    struct scale_state begun = {15, MONDAY_NOON_S - 999, MONDAY_NOON_S - 999, MONDAY_NOON_S + 30};
    struct scale_now now = {.now_s = MONDAY_NOON_S, .ready = 15, .spent_day = 4};
    struct scale_decision got;

    (void)state;
    ours.limits.price_hour = 0.05;
    ours.limits.budget_day = 7;
    now.samples = (struct scale_samples){samples, fill(runs, now.now_s, samples)};
    got = scale_decide(&ours, &now, &begun);
    assert_int_equal(got.wanted, 5);
    assert_int_equal(got.reason, SCALE_CAPPED);
    assert_non_null(
        strstr(got.why, "the budget of the day allows no more (4.00 of 7.00 are spent)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_words),
        cmocka_unit_test(test_a_restart),     cmocka_unit_test(test_a_panic_ends),
        cmocka_unit_test(test_a_budget_acts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
