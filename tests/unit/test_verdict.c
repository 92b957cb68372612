/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict: that each block's e-values have the expectation they must have, by adding up all that
 * can happen in it, and what becomes of canaries that are healthy, worse, slower or hardly asked.
 * How often and how soon is for the simulation in bench/verdict.c.
 */
#include "control/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static const struct verdict_rule rule = {
    .error_ratio = 2, .error_margin = 0.005, .latency_ratio = 1.5, .minimum = 50};

static double choose(unsigned n, unsigned k)
{
    double ways = 1;

    for (unsigned i = 0; i < k; i++)
        ways = ways * (n - i) / (i + 1);
    return ways;
}

static double chance(unsigned n, unsigned k, double rate)
{
    return choose(n, k) * pow(rate, k) * pow(1 - rate, n - k);
}

/* So many requests of 40 ms, of which some fail. */
static struct verdict_side side_of(uint64_t requests, uint64_t failures)
{
    struct verdict_side side = {.requests = requests, .failures = failures};

    side.latency[latency_bucket(40000)] = requests - failures;
    return side;
}

/* --- expectations */

struct expected {
    double worse[VERDICT_EFFECTS], sound;
};

/* Of one block of so many requests each, under true rates of failure. */
static struct expected expect(const struct verdict *past, unsigned stable, unsigned canary,
                              double stable_rate, double canary_rate)
{
    struct expected sum = {.sound = 0};

    for (unsigned a = 0; a <= stable; a++) {
        for (unsigned b = 0; b <= canary; b++) {
            double p = chance(stable, a, stable_rate) * chance(canary, b, canary_rate);
            struct verdict_side left = side_of(stable, a), right = side_of(canary, b);
            struct verdict next = *past;

            verdict_add(&next, &rule, &left, &right, 1);
            for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
                sum.worse[i] += p * exp(next.worse.logs[i] - past->worse.logs[i]);
            sum.sound += p * exp(next.sound - past->sound);
        }
    }
    return sum;
}

static const double rates[] = {0.0001, 0.001, 0.01, 0.05, 0.2, 0.45};

/* A healthy canary cannot be made to look worse by any common rate, whatever was seen before. */
static void test_worse_is_fair(void **state)
{
    static const uint64_t pasts[][2] = {{0, 0}, {1000, 0}, {1000, 10}, {1000, 400}};

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(pasts); p++) {
        for (size_t r = 0; r < ARRAY_LEN(rates); r++) {
            struct verdict past;
            struct expected same, better;

            verdict_init(&past, pasts[p][0], pasts[p][1]);
            same = expect(&past, 6, 2, rates[r], rates[r]);
            better = expect(&past, 6, 2, rates[r], rates[r] / 2);
            for (unsigned i = 0; i < VERDICT_EFFECTS; i++) {
                assert_true(same.worse[i] <= 1 + 1e-9);
                assert_true(better.worse[i] <= 1 + 1e-9);
            }
        }
    }
}

/* What is not tolerable cannot be made to look sound. */
static void test_sound_is_fair(void **state)
{
    static const uint64_t pasts[][2] = {{0, 0}, {1000, 0}, {1000, 10}, {1000, 100}};

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(pasts); p++) {
        for (size_t r = 0; r < ARRAY_LEN(rates); r++) {
            double least = fmax(rates[r] * rule.error_ratio, rates[r] + rule.error_margin);
            struct verdict past;

            verdict_init(&past, pasts[p][0], pasts[p][1]);
            assert_true(expect(&past, 6, 2, rates[r], least).sound <= 1 + 1e-6);
            assert_true(expect(&past, 6, 2, rates[r], fmin(least * 1.1, 1)).sound <= 1 + 1e-6);
        }
    }
}

/* And both do grow where they should. */
static void test_they_grow(void **state)
{
    struct verdict past;
    double most = 0;

    (void)state;
    verdict_init(&past, 100000, 1000);
    for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
        most = fmax(most, expect(&past, 6, 2, 0.01, 0.05).worse[i]);
    assert_true(most > 1.01);
    assert_true(expect(&past, 6, 2, 0.01, 0.01).sound > 1.00001);
}

/* --- canaries */

/* Some thousand requests with so many failures each, spread evenly over blocks of 20 and 1. */
static struct verdict_answer ask(uint64_t blocks, double stable_rate, double canary_rate,
                                 uint64_t canary_us)
{
    struct verdict verdict;
    double stable_due = 0, canary_due = 0;
    uint64_t random = 1;

    verdict_init(&verdict, 0, 0);
    for (uint64_t i = 0; i < blocks; i++) {
        struct verdict_side stable, canary;
        uint64_t a = (uint64_t)(stable_due += 20 * stable_rate), b = (uint64_t)(canary_due += canary_rate);

        stable_due -= (double)a;
        canary_due -= (double)b;
        stable = side_of(20, a);
        canary = side_of(1, b);
        memset(stable.latency, 0, sizeof(stable.latency));
        memset(canary.latency, 0, sizeof(canary.latency));
        for (uint64_t n = a; n < 20; n++)
            stable.latency[latency_bucket(20000 + random_below(&random, 40000))]++;
        if (!b)
            canary.latency[latency_bucket(canary_us / 2 + random_below(&random, (uint32_t)canary_us))]++;
        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    return verdict_look(&verdict, &rule);
}

static void test_a_healthy_one(void **state)
{
    struct verdict_answer answer = ask(1500, 0.001, 0.001, 40000);

    (void)state;
    assert_int_equal(answer.outcome, VERDICT_GOOD);
    assert_true(answer.wanting == 0);
    answer = ask(40, 0.001, 0, 40000);
    assert_int_equal(answer.outcome, VERDICT_UNSURE);
    assert_true(answer.wanting >= 10);
}

static void test_one_that_fails_more(void **state)
{
    struct verdict_answer answer = ask(3000, 0.01, 0.02, 40000);

    (void)state;
    assert_int_equal(answer.outcome, VERDICT_BAD);
    assert_true(answer.by_errors && !answer.is_hard);
    assert_float_equal(answer.errors.stable, 0.01, 0.0001);
    assert_float_equal(answer.errors.canary, 0.02, 0.0001);
}

/* More, but by less than is tolerated: three times next to nothing. */
static void test_one_that_fails_hardly_more(void **state)
{
    struct verdict_answer answer = ask(20000, 0.0005, 0.0015, 40000);

    (void)state;
    assert_true(answer.errors.evidence > 100);
    assert_int_equal(answer.outcome, VERDICT_GOOD);
}

static void test_one_that_always_fails(void **state)
{
    struct verdict_answer answer = ask(8, 0.01, 1, 40000);

    (void)state;
    assert_int_equal(answer.outcome, VERDICT_BAD);
    assert_true(answer.by_errors && answer.is_hard);
}

static void test_one_that_is_slower(void **state)
{
    struct verdict_answer answer = ask(400, 0, 0, 60000);

    (void)state;
    assert_int_equal(answer.outcome, VERDICT_BAD);
    assert_false(answer.by_errors);
    assert_true(answer.latency[answer.quantile].ratio > 1.3);
    assert_int_equal(ask(1500, 0, 0, 42000).outcome, VERDICT_GOOD);
}

/* One side alone shows nothing, and is not kept for ever until the other comes. */
static void test_nobody_to_compare_with(void **state)
{
    struct verdict_side some = side_of(10, 10), none = {0};
    struct verdict verdict;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (unsigned i = 0; i < VERDICT_SPAN_S * 3 + 5; i++)
        verdict_add(&verdict, &rule, &none, &some, 1);
    assert_true(verdict.worse.top == 0 && verdict.sound == 0);
    assert_int_equal(verdict.canary.requests, VERDICT_SPAN_S * 30);
    assert_int_equal(verdict.open_canary.requests, 50);
    assert_int_equal(verdict_look(&verdict, &rule).outcome, VERDICT_UNSURE);
}

static void test_what_could_be_seen(void **state)
{
    (void)state;
    assert_true(verdict_detectable(0.01, 19000, 1000) > 1.5);
    assert_true(verdict_detectable(0.01, 19000, 1000) < 4);
    assert_true(verdict_detectable(0.01, 190000, 10000) < verdict_detectable(0.01, 19000, 1000));
    assert_true(isinf(verdict_detectable(0.01, 19, 1)));
}

static void test_buckets(void **state)
{
    uint64_t before = 0;

    (void)state;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        uint64_t least = latency_least_us(i);

        assert_true(!i || least > before);
        assert_int_equal(latency_bucket(least), i);
        assert_true(!i || latency_bucket(least - 1) == i - 1);
        assert_true(i < 16 || (double)least <= (double)before * 1.126);
        before = least;
    }
    assert_int_equal(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worse_is_fair),
        cmocka_unit_test(test_sound_is_fair),
        cmocka_unit_test(test_they_grow),
        cmocka_unit_test(test_a_healthy_one),
        cmocka_unit_test(test_one_that_fails_more),
        cmocka_unit_test(test_one_that_fails_hardly_more),
        cmocka_unit_test(test_one_that_always_fails),
        cmocka_unit_test(test_one_that_is_slower),
        cmocka_unit_test(test_nobody_to_compare_with),
        cmocka_unit_test(test_what_could_be_seen),
        cmocka_unit_test(test_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
