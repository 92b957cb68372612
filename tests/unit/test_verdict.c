/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict: that each block's e-values have the expectation they must have, by adding up all
 * that can happen in it, and what becomes of canaries that are healthy, worse, slower or hardly
 * asked. How often and how soon is for the simulation in bench/verdict.c.
 */
#include "control/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static const struct verdict_rule rule = {.error_ratio = 2,
                                         .error_margin = 0.005,
                                         .latency_ratio = 1.5,
                                         .latency_margin = 0.005,
                                         .minimum = 50};

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
    struct expected sum = {0};

    for (unsigned a = 0; a <= stable; a++) {
        for (unsigned b = 0; b <= canary; b++) {
            double p = chance(stable, a, stable_rate) * chance(canary, b, canary_rate);
            struct verdict_side left = side_of(stable, a), right = side_of(canary, b);
            struct verdict next = *past;

            verdict_add(&next, &rule, &left, &right, 1);
            for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
                sum.worse[i] += p * exp(next.whole.worse.logs[i] - past->whole.worse.logs[i]);
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

/* What is not tolerable cannot be made to look sound, not even where hardly anything succeeds. */
static void test_sound_is_fair(void **state)
{
    static const uint64_t pasts[][2] = {{0, 0},      {1000, 0},   {1000, 10},   {1000, 100},
                                        {1000, 600}, {1000, 900}, {1000, 1000}, {100000000, 0}};
    static const double stable[] = {0, 0.0001, 0.001, 0.01, 0.05, 0.2, 0.45, 0.499, 0.5};

    (void)state;
    for (size_t p = 0; p < ARRAY_LEN(pasts); p++) {
        for (size_t r = 0; r < ARRAY_LEN(stable); r++) {
            double least = fmax(stable[r] * rule.error_ratio, stable[r] + rule.error_margin);
            struct verdict past;

            least = fmin(least, 1);
            verdict_init(&past, pasts[p][0], pasts[p][1]);
            assert_true(expect(&past, 6, 2, stable[r], least).sound <= 1 + 1e-9);
            assert_true(expect(&past, 6, 2, stable[r], fmin(least * 1.1, 1)).sound <= 1 + 1e-9);
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

/* The same of latency, of 20 and 50 ms, of which so many are 50: whatever was seen before, one that
 * is is no slower has an expectation of at most 1, and one that is just not tolerable cannot look
 * swift. */
static const double slow_share[] = {0.01, 0.1, 0.3, 0.5, 0.9};

static double expect_swift(const struct verdict *past, double share, double *slower)
{
    double swift = 0;

    *slower = 0;
    for (unsigned a = 0; a <= 6; a++) {
        for (unsigned b = 0; b <= 2; b++) {
            struct verdict_side left = {.requests = 6}, right = {.requests = 2}, late = right;
            double p = chance(6, a, share) * chance(2, b, share), most = 0;
            struct verdict next = *past, other = *past;

            left.latency[latency_bucket(20000)] = 6 - a;
            left.latency[latency_bucket(50000)] = a;
            right.latency[latency_bucket(20000)] = 2 - b;
            right.latency[latency_bucket(50000)] = b;
            late.latency[latency_bucket(30000)] = 2 - b;
            late.latency[latency_bucket(75000)] = b;
            verdict_add(&next, &rule, &left, &right, 1);
            verdict_add(&other, &rule, &left, &late, 1);
            for (unsigned i = 0; i < VERDICT_EFFECTS; i++)
                most += exp(next.whole.slower[1].logs[i]) / VERDICT_EFFECTS;
            *slower += p * most;
            swift += p * exp(other.swift[1]);
        }
    }
    return swift;
}

static void test_latency_is_fair(void **state)
{
    (void)state;
    for (unsigned slow = 0; slow <= 100; slow += 20) {
        struct verdict past;

        verdict_init(&past, 100, 0);
        past.base_latency[latency_bucket(20000)] = 100 - slow;
        past.base_latency[latency_bucket(50000)] = slow;
        for (size_t i = 0; i < ARRAY_LEN(slow_share); i++) {
            double slower, swift = expect_swift(&past, slow_share[i], &slower);

            assert_true(slower <= 1 + 1e-9);
            assert_true(swift <= 1 + 1e-9);
        }
    }
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
        uint64_t a = (uint64_t)(stable_due += 20 * stable_rate),
                 b = (uint64_t)(canary_due += canary_rate);

        stable_due -= (double)a;
        canary_due -= (double)b;
        stable = side_of(20, a);
        canary = side_of(1, b);
        memset(stable.latency, 0, sizeof(stable.latency));
        memset(canary.latency, 0, sizeof(canary.latency));
        for (uint64_t n = a; n < 20; n++)
            stable.latency[latency_bucket(20000 + random_below(&random, 40000))]++;
        if (!b)
            canary.latency[latency_bucket(canary_us / 2 +
                                          random_below(&random, (uint32_t)canary_us))]++;
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
    assert_true(isfinite(ask(4000, 0, 1, 40000).errors.evidence));
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
    assert_true(verdict.whole.worse.top == 0 && verdict.sound == 0);
    assert_int_equal(verdict.alone_canary, VERDICT_SPAN_S * 30);
    assert_int_equal(verdict.whole.canary.requests, 0);
    assert_int_equal(verdict.open_canary.requests, 50);
    assert_int_equal(verdict_look(&verdict, &rule).outcome, VERDICT_UNSURE);
}

/* Three times as bad in every second, but most of its requests came when little failed. */
static void test_a_share_that_grows_in_better_times(void **state)
{
    struct verdict verdict;
    struct verdict_answer answer;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (uint64_t i = 0; i < 200; i++) {
        struct verdict_side stable = side_of(95, 10), canary = side_of(5, i % 2 ? 2 : 1);

        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    for (uint64_t i = 0; i < 4000; i++) {
        struct verdict_side stable = side_of(50, i % 4 == 0), canary = side_of(50, i % 4 != 1);

        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    answer = verdict_look(&verdict, &rule);
    assert_int_equal(answer.outcome, VERDICT_BAD);
    assert_float_equal(answer.errors.ratio, 2.97, 0.1);
}

/* As bad as stable in every second, though it had the larger share in the worst ones. */
static void test_a_share_that_grows_in_worse_times(void **state)
{
    struct verdict verdict;
    struct verdict_answer answer;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (uint64_t i = 0; i < 4000; i++) {
        bool is_bad_time = i >= 3800;
        struct verdict_side stable = is_bad_time ? side_of(50, 10) : side_of(95, i % 20 < 19);
        struct verdict_side canary = is_bad_time ? side_of(50, 10) : side_of(5, i % 20 == 0);

        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    answer = verdict_look(&verdict, &rule);
    assert_int_equal(answer.outcome, VERDICT_GOOD);
    assert_float_equal(answer.errors.ratio, 1, 0.1);
}

/* As slow as stable in every second, though it had the larger share in the slow ones. */
static void test_a_share_that_grows_in_slow_times(void **state)
{
    struct verdict verdict;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (uint64_t i = 0; i < 2000; i++) {
        unsigned bucket = latency_bucket(i < 1000 ? 20000 : 60000);
        struct verdict_side stable = {.requests = i < 1000 ? 95 : 50};
        struct verdict_side canary = {.requests = i < 1000 ? 5 : 50};

        stable.latency[bucket] = stable.requests;
        canary.latency[bucket] = canary.requests;
        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    for (unsigned i = 0; i < VERDICT_QUANTILES; i++)
        assert_float_equal(verdict_look(&verdict, &rule).latency[i].ratio, 1, 0.001);
}

/* Proven to be more, by far more than the margin, but by a small part of what there is anyway. */
static void test_one_that_fails_a_little_more_of_much(void **state)
{
    struct verdict_answer answer = ask(3000, 0.4, 0.5, 40000);

    (void)state;
    assert_true(answer.errors.evidence > answer.errors.decides);
    assert_int_not_equal(answer.outcome, VERDICT_BAD);
}

/* Where failures are unheard of two of them are evidence; but three it must be. */
static void test_few_failures(void **state)
{
    struct verdict verdict;
    struct verdict_side stable = side_of(1000, 0), good = side_of(1, 0), bad = side_of(1, 1);
    struct verdict_answer answer;

    (void)state;
    verdict_init(&verdict, 1000000, 0);
    for (unsigned i = 0; i < 60; i++)
        verdict_add(&verdict, &rule, &stable, i % 30 ? &good : &bad, 1);
    answer = verdict_look(&verdict, &rule);
    assert_true(answer.errors.evidence > answer.errors.decides);
    assert_int_equal(answer.outcome, VERDICT_UNSURE);
    verdict_add(&verdict, &rule, &stable, &bad, 1);
    assert_int_equal(verdict_look(&verdict, &rule).outcome, VERDICT_BAD);
}

/* So many more requests until it is BAD, when a tenth fails; 0: it never was. */
static unsigned find_bad(struct verdict *verdict)
{
    for (unsigned i = 1; i < 4000; i++) {
        struct verdict_side stable = side_of(19, i % 5 == 0), canary = side_of(1, i % 10 == 0);
        struct verdict_answer answer;

        verdict_add(verdict, &rule, &stable, &canary, 1);
        answer = verdict_look(verdict, &rule);
        if (answer.outcome == VERDICT_BAD)
            return answer.in_step ? i : 0;
    }
    return 0;
}

/* What was good for long and goes bad in a later step is found about as soon as at first. */
static void test_one_that_goes_bad_later(void **state)
{
    struct verdict verdict;
    unsigned found;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (unsigned i = 0; i < 4000; i++) {
        struct verdict_side stable = side_of(19, i % 5 == 0), canary = side_of(1, i % 100 == 0);

        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    assert_int_equal(verdict_look(&verdict, &rule).outcome, VERDICT_GOOD);
    verdict_step(&verdict);
    for (unsigned i = 0; i < 60; i++) {
        struct verdict_side stable = side_of(19, i % 5 == 0), canary = side_of(1, 0);

        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    assert_int_equal(verdict_look(&verdict, &rule).outcome, VERDICT_UNSURE); // it passes anew
    found = find_bad(&verdict);
    assert_in_range(found, 20, 160);
}

/* However many steps there are, what they may cost together is not more than is allowed. */
static void test_what_steps_may_cost(void **state)
{
    struct verdict verdict;
    double sum = 0;

    (void)state;
    verdict_init(&verdict, 0, 0);
    for (unsigned i = 0; i < 50; i++) {
        struct verdict step = verdict;
        struct verdict_answer answer;

        step.whole.worse.top = step.whole.slower[0].top = 0;
        step.step.canary = (struct verdict_count){1000, 1000};
        step.step.worse.top = 300;
        for (unsigned c = 0; c < VERDICT_CLIENTS; c++)
            step.step.without[c].top = 300;
        step.step.match = (struct verdict_match){1000, 1, 1000, {0}, {0}};
        answer = verdict_look(&step, &rule);
        assert_int_equal(answer.outcome == VERDICT_BAD, i > 0);
        sum += 1 / answer.errors.decides;
        for (unsigned q = 0; q < VERDICT_QUANTILES; q++)
            sum += 1 / answer.latency[q].decides;
        verdict_step(&verdict);
    }
    assert_float_equal(sum, VERDICT_ALPHA, 1e-9);
}

/* What is not the answer is not left in it. */
static void test_an_answer_that_is_not_bad(void **state)
{
    struct verdict_answer answer = ask(30, 0.01, 0.3, 40000);

    (void)state;
    assert_true(answer.errors.evidence > answer.errors.decides);
    assert_int_equal(answer.outcome, VERDICT_UNSURE);
    assert_false(answer.by_errors || answer.is_hard);
    assert_int_equal(answer.quantile, 0);
    answer = ask(20, 0.6, 0.6, 40000);
    assert_int_equal(answer.outcome, VERDICT_UNSURE);
    assert_false(answer.is_hard);
    answer = ask(40, 0, 0, 160000); // slow, but fewer than the minimum
    assert_true(answer.latency[0].evidence > answer.latency[0].decides);
    assert_int_equal(answer.outcome, VERDICT_UNSURE);
}

/* A tenth of the canary's requests are one client's, and they all fail; others are as on stable.
 * With more than one such client it is the canary; and so it is where there is no other client. */
static enum verdict_outcome ask_with_a_loop(unsigned loops, bool has_others)
{
    struct verdict verdict;

    verdict_init(&verdict, 0, 0);
    for (unsigned i = 0; i < 600; i++) {
        struct verdict_side stable = side_of(190, i % 2), canary = side_of(10, 1);

        for (unsigned n = 0; n < 9; n++)
            canary.clients[has_others ? (i + n) % VERDICT_CLIENTS : 3].requests++;
        canary.clients[loops > 1 ? i % loops : 3].requests++;
        canary.clients[loops > 1 ? i % loops : 3].failures++;
        verdict_add(&verdict, &rule, &stable, &canary, 1);
    }
    return verdict_look(&verdict, &rule).outcome;
}

static void test_a_client_in_a_loop(void **state)
{
    (void)state;
    assert_int_not_equal(ask_with_a_loop(1, true), VERDICT_BAD);
    assert_int_equal(ask_with_a_loop(4, true), VERDICT_BAD);
    assert_int_equal(ask_with_a_loop(1, false), VERDICT_BAD);
}

/* Requests that are counted when their answers begin, and fail later: in a block without enough. */
static void test_failures_that_come_late(void **state)
{
    struct verdict verdict;
    struct verdict_side stable = side_of(19, 0), begun = side_of(2, 0), none = {0};
    struct verdict_side late = {.requests = 1, .failures = 3};

    (void)state;
    verdict_init(&verdict, 0, 0);
    verdict_add(&verdict, &rule, &stable, &begun, 1);
    verdict_add(&verdict, &rule, &stable, &late, 1);
    assert_int_equal(verdict.whole.canary.failures, 1);
    verdict_add(&verdict, &rule, &stable, &none, 1);
    assert_int_equal(verdict.whole.canary.failures, 1);
    verdict_add(&verdict, &rule, &stable, &begun, 1);
    assert_int_equal(verdict.whole.canary.failures, 3);
    assert_int_equal(verdict.whole.canary.requests, 5);
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
        cmocka_unit_test(test_latency_is_fair),
        cmocka_unit_test(test_they_grow),
        cmocka_unit_test(test_a_healthy_one),
        cmocka_unit_test(test_one_that_fails_more),
        cmocka_unit_test(test_one_that_fails_hardly_more),
        cmocka_unit_test(test_one_that_always_fails),
        cmocka_unit_test(test_one_that_is_slower),
        cmocka_unit_test(test_nobody_to_compare_with),
        cmocka_unit_test(test_a_share_that_grows_in_better_times),
        cmocka_unit_test(test_a_share_that_grows_in_worse_times),
        cmocka_unit_test(test_a_share_that_grows_in_slow_times),
        cmocka_unit_test(test_one_that_fails_a_little_more_of_much),
        cmocka_unit_test(test_few_failures),
        cmocka_unit_test(test_one_that_goes_bad_later),
        cmocka_unit_test(test_what_steps_may_cost),
        cmocka_unit_test(test_an_answer_that_is_not_bad),
        cmocka_unit_test(test_a_client_in_a_loop),
        cmocka_unit_test(test_failures_that_come_late),
        cmocka_unit_test(test_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
