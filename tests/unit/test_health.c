/* SPDX-License-Identifier: Apache-2.0
 *
 * Active checks: every way of up to ten results against a slow account of the rules, and delays.
 */
#include "edge/upstream/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

enum { RESULTS = 10 };

static const struct health_rule usual = {.rise = 2,
                                         .fall = 3,
                                         .interval_ms = 10000,
                                         .fast_ms = 1000};

/* The state after the first `n` of the results, told from all of them: the last run that was long
 * enough decides. */
static enum health_state account(const struct health_rule *rule, unsigned results, unsigned n)
{
    enum health_state was = rule->assume_up ? HEALTH_UP : HEALTH_UNKNOWN;
    uint32_t rise = rule->rise ? rule->rise : 1, fall = rule->fall ? rule->fall : 1;
    uint32_t run = 0;

    for (unsigned i = 0; i < n; i++) {
        bool passed = results >> i & 1;
        bool is_same = i && (results >> (i - 1) & 1) == passed;

        run = is_same ? run + 1 : 1;
        if (passed && (was == HEALTH_UNKNOWN || run >= rise))
            was = HEALTH_UP;
        if (!passed && run >= fall)
            was = HEALTH_DOWN;
    }
    return was;
}

static void check_results(const struct health_rule *rule, unsigned results)
{
    struct health health;
    uint64_t since = 100;

    health_init(&health, rule, since);
    for (unsigned i = 0; i < RESULTS; i++) {
        enum health_state was = health.state;
        bool passed = results >> i & 1, changed;

        changed = health_note(&health, rule, passed, 200 + i);
        if (changed)
            since = 200 + i;
        assert_int_equal(health.state, account(rule, results, i + 1));
        assert_int_equal(changed, health.state != was);
        assert_int_equal(health.since_ms, since);
        assert_int_equal(health.last_passed, passed);
        // Nothing is counted beyond what would have changed the state.
        assert_true(health.in_row == 0 || health.in_row < (passed ? rule->rise : rule->fall));
    }
}

static void every_way(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 50; kind++) {
        struct health_rule rule = {.rise = kind / 2 % 5, .fall = kind / 10, .assume_up = kind % 2};

        for (unsigned results = 0; results < 1u << RESULTS; results++)
            check_results(&rule, results);
    }
}

static void first_result(void **state)
{
    struct health_rule slow = {.rise = 1000, .fall = 3};
    struct health health;

    (void)state;
    health_init(&health, &slow, 7);
    assert_int_equal(health.state, HEALTH_UNKNOWN);
    assert_false(health.last_passed);
    assert_false(health_note(&health, &slow, false, 8));
    assert_false(health_note(&health, &slow, false, 9));
    assert_int_equal(health.in_row, 2);
    assert_true(health_note(&health, &slow, true, 10));
    assert_int_equal(health.state, HEALTH_UP);
    slow.assume_up = true;
    health_init(&health, &slow, 7);
    assert_int_equal(health.state, HEALTH_UP);
    assert_true(health.last_passed);
    assert_int_equal(health.since_ms, 7);
}

/* The shortest and the longest delay there is. */
static void check_delay(const struct health *health, const struct health_rule *rule, uint64_t now,
                        uint32_t base)
{
    assert_int_equal(health_delay_ms(health, rule, now, 0), base - base / 10);
    assert_int_equal(health_delay_ms(health, rule, now, UINT64_MAX), base + base / 10);
}

static void delays_by_state(void **state)
{
    struct health health = {.state = HEALTH_UNKNOWN};

    (void)state;
    check_delay(&health, &usual, 1000000, 1000);
    health.state = HEALTH_UP;
    check_delay(&health, &usual, 0, 10000);
    health.in_row = 1;
    check_delay(&health, &usual, 0, 1000);
    health = (struct health){.state = HEALTH_DOWN, .since_ms = 500};
    check_delay(&health, &usual, 0, 1000); // before it began: no great age
    check_delay(&health, &usual, 500, 1000);
    check_delay(&health, &usual, 500 + HEALTH_DEAD_MS, 1000);
    check_delay(&health, &usual, 500 + HEALTH_DEAD_MS + 1, 10000);
    health.in_row = 1; // it may be coming back
    check_delay(&health, &usual, 500 + HEALTH_DEAD_MS + 1, 1000);
}

static void delays_at_the_edges(void **state)
{
    struct health up = {.state = HEALTH_UP}, unknown = {.state = HEALTH_UNKNOWN};
    struct health_rule rule = {.interval_ms = 500, .fast_ms = 9000};

    (void)state;
    check_delay(&unknown, &rule, 0, 500); // fast is never slower
    rule = (struct health_rule){.interval_ms = 0, .fast_ms = 0};
    assert_int_equal(health_delay_ms(&up, &rule, 0, UINT64_MAX), 1);
    assert_int_equal(health_delay_ms(&unknown, &rule, 0, 0), 1);
    rule.interval_ms = 9;
    assert_int_equal(health_delay_ms(&up, &rule, 0, 0), 9);
    rule.interval_ms = UINT32_MAX;
    assert_int_equal(health_delay_ms(&up, &rule, 0, UINT64_MAX), UINT32_MAX);
}

static void jitter_is_even(void **state)
{
    struct health up = {.state = HEALTH_UP};
    uint32_t counts[20] = {0};
    uint64_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 40000; i++) {
        uint32_t delay = health_delay_ms(&up, &usual, 0, random_next(&seed));

        assert_in_range(delay, 9000, 11000);
        counts[delay == 11000 ? 19 : (delay - 9000) / 100]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        assert_in_range(counts[i], 1800, 2200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way),       cmocka_unit_test(first_result),
        cmocka_unit_test(delays_by_state), cmocka_unit_test(delays_at_the_edges),
        cmocka_unit_test(jitter_is_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
