/* SPDX-License-Identifier: Apache-2.0
 *
 * Passive ejection: how long, how many, and who stands out, also where numbers are 0 or huge.
 */
#include "edge/upstream/outlier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

static const struct outlier_rule usual = {
    .eject_ms = 1000,
    .eject_max_ms = 3500,
    .max_ejected_ppm = 500000,
    .errors_thousandths = 3000,
    .latency_thousandths = 3000,
    .minimum = 10,
};

static void ejections_grow(void **state)
{
    static const uint32_t spans[] = {1000, 2000, 3000, 3500, 3500};
    struct outlier outlier = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        outlier_eject(&outlier, &usual, 5000);
        assert_int_equal(outlier.times, i + 1);
        assert_int_equal(outlier.until_ms, 5000 + spans[i]);
    }
    outlier.times = UINT32_MAX;
    outlier_eject(&outlier, &usual, 0);
    assert_int_equal(outlier.times, UINT32_MAX);
    assert_int_equal(outlier.until_ms, 3500);
}

static void ejection_of_no_time(void **state)
{
    struct outlier_rule none = {0};
    struct outlier outlier = {0};

    (void)state;
    outlier_eject(&outlier, &none, 0);
    assert_int_equal(outlier.until_ms, 1); // 0 would say that it is not ejected
    assert_true(outlier_tick(&outlier, &none, 1));
    assert_false(outlier_tick(&outlier, &none, 3));
    assert_int_equal(outlier.times, 0);
}

static void ends_once(void **state)
{
    struct outlier outlier = {0};

    (void)state;
    assert_false(outlier_tick(&outlier, &usual, 99));
    outlier_eject(&outlier, &usual, 100);
    assert_false(outlier_tick(&outlier, &usual, 100));
    assert_false(outlier_tick(&outlier, &usual, 1099));
    assert_true(outlier_tick(&outlier, &usual, 1100));
    assert_int_equal(outlier.until_ms, 0);
    assert_int_equal(outlier.calm_since_ms, 1100);
    assert_false(outlier_tick(&outlier, &usual, 1100));
    assert_int_equal(outlier.times, 1);
}

static void calm_undoes(void **state)
{
    struct outlier outlier = {.times = 5, .calm_since_ms = 10000};

    (void)state;
    assert_false(outlier_tick(&outlier, &usual, 9000)); // nothing odd with a time before
    assert_false(outlier_tick(&outlier, &usual, 10999));
    assert_int_equal(outlier.times, 5);
    assert_false(outlier_tick(&outlier, &usual, 11000));
    assert_int_equal(outlier.times, 4);
    assert_false(outlier_tick(&outlier, &usual, 13999)); // two at once, and no part is lost
    assert_int_equal(outlier.times, 2);
    assert_false(outlier_tick(&outlier, &usual, 14000));
    assert_int_equal(outlier.times, 1);
    assert_false(outlier_tick(&outlier, &usual, UINT64_MAX));
    assert_int_equal(outlier.times, 0);
}

/* The next ejection is as long as what calm has left says. */
static void calm_shortens_the_next(void **state)
{
    struct outlier outlier = {0};

    (void)state;
    outlier_eject(&outlier, &usual, 0);
    assert_true(outlier_tick(&outlier, &usual, 1000));
    outlier_eject(&outlier, &usual, 1500);
    assert_int_equal(outlier.until_ms, 3500);
    assert_true(outlier_tick(&outlier, &usual, 3600));
    assert_false(outlier_tick(&outlier, &usual, 4600));
    outlier_eject(&outlier, &usual, 4600);
    assert_int_equal(outlier.until_ms, 6600);
}

static void how_many(void **state)
{
    (void)state;
    for (uint32_t ppm = 0; ppm <= 1000000; ppm += 50000) {
        struct outlier_rule rule = {.max_ejected_ppm = ppm};

        for (uint32_t total = 0; total <= 30; total++) {
            uint32_t most = total * ppm / 1000000, ejected = 0;

            while (outlier_may_eject(&rule, ejected, total))
                ejected++;
            most = most > 1 ? most : 1;
            if (most >= total)
                most = total ? total - 1 : 0;
            assert_int_equal(ejected, most);
        }
    }
    assert_false(outlier_may_eject(&usual, UINT32_MAX, UINT32_MAX));
    assert_true(outlier_may_eject(&usual, UINT32_MAX / 2 - 1, UINT32_MAX));
    assert_false(outlier_may_eject(&usual, UINT32_MAX / 2, UINT32_MAX));
}

/* Judges one against two peers of 100 requests and 1 ms each. */
static enum outlier_why judge_one(const struct outlier_rule *rule, struct outlier_sample first,
                                  uint64_t failures_of_each)
{
    struct outlier_sample samples[] = {
        first,
        {100, failures_of_each, 100, 100 * 1000, true},
        {100, failures_of_each, 100, 100 * 1000, true},
    };
    enum outlier_why why[3];

    outlier_judge(rule, samples, 3, why);
    assert_int_equal(why[1], OUTLIER_NONE);
    assert_int_equal(why[2], OUTLIER_NONE);
    return why[0];
}

static enum outlier_why judge_errors(uint64_t failures, uint64_t failures_of_each)
{
    return judge_one(&usual, (struct outlier_sample){100, failures, 100, 100000, true},
                     failures_of_each);
}

static void by_errors(void **state)
{
    (void)state;
    // Peers without a failure: the margin alone.
    assert_int_equal(judge_errors(0, 0), OUTLIER_NONE);
    assert_int_equal(judge_errors(4, 0), OUTLIER_NONE);
    assert_int_equal(judge_errors(5, 0), OUTLIER_ERRORS);
    // Three times as many is not enough below the margin: 1 % and 5 %, 1 % and 6 %.
    assert_int_equal(judge_errors(5, 1), OUTLIER_NONE);
    assert_int_equal(judge_errors(6, 1), OUTLIER_ERRORS);
    // Beyond the margin the ratio decides.
    assert_int_equal(judge_errors(29, 10), OUTLIER_NONE);
    assert_int_equal(judge_errors(30, 10), OUTLIER_ERRORS);
    assert_int_equal(judge_errors(100, 34), OUTLIER_NONE);
    assert_int_equal(judge_errors(100, 33), OUTLIER_ERRORS);
    assert_int_equal(judge_errors(1000, 33), OUTLIER_ERRORS); // as 100 of 100
    assert_int_equal(judge_errors(100, 100), OUTLIER_NONE);
}

static enum outlier_why judge_latency(uint64_t mean_us, uint32_t thousandths)
{
    struct outlier_rule rule = {.latency_thousandths = thousandths, .minimum = 10};

    return judge_one(&rule, (struct outlier_sample){50, 50, 10, 10 * mean_us, true}, 0);
}

static void by_latency(void **state)
{
    (void)state;
    assert_int_equal(judge_latency(2999, 3000), OUTLIER_NONE);
    assert_int_equal(judge_latency(3000, 3000), OUTLIER_LATENCY);
    assert_int_equal(judge_latency(1999, 1500), OUTLIER_NONE); // less than a millisecond above
    assert_int_equal(judge_latency(2000, 1500), OUTLIER_LATENCY);
    assert_int_equal(judge_latency(1000, 1), OUTLIER_NONE); // never one that is as good
    assert_int_equal(judge_latency(0, 1), OUTLIER_NONE);
    assert_int_equal(judge_latency(UINT64_MAX / 10, UINT32_MAX), OUTLIER_LATENCY);
}

static void who_is_judged(void **state)
{
    struct outlier_rule rule = usual;
    struct outlier_sample bad = {9, 9, 9, 9000000, true};

    (void)state;
    assert_int_equal(judge_one(&usual, bad, 0), OUTLIER_NONE);
    bad = (struct outlier_sample){10, 10, 9, 9000000, true};
    assert_int_equal(judge_one(&usual, bad, 0), OUTLIER_ERRORS);
    bad.failures = 0;
    assert_int_equal(judge_one(&usual, bad, 0), OUTLIER_NONE);
    bad.answers = 10;
    assert_int_equal(judge_one(&usual, bad, 0), OUTLIER_LATENCY);
    bad.is_judged = false;
    assert_int_equal(judge_one(&usual, bad, 0), OUTLIER_NONE);
    // A minimum of 0 does not judge by nothing.
    rule.minimum = 0;
    assert_int_equal(judge_one(&rule, (struct outlier_sample){.is_judged = true}, 0), OUTLIER_NONE);
}

static void each_can_be_off(void **state)
{
    struct outlier_sample bad = {100, 100, 100, UINT64_MAX, true};
    struct outlier_rule rule = usual;

    (void)state;
    assert_int_equal(judge_one(&rule, bad, 0), OUTLIER_ERRORS);
    rule.errors_thousandths = 0;
    assert_int_equal(judge_one(&rule, bad, 0), OUTLIER_LATENCY);
    rule.latency_thousandths = 0;
    assert_int_equal(judge_one(&rule, bad, 0), OUTLIER_NONE);
    rule.errors_thousandths = 3000;
    bad.failures = 0;
    assert_int_equal(judge_one(&rule, bad, 0), OUTLIER_NONE);
}

/* With fewer than two peers nobody is, however many targets there are that do not count. */
static void few_peers(void **state)
{
    (void)state;
    for (uint32_t good = 0; good < 5; good++) {
        struct outlier_sample samples[8] = {{100, 100, 100, 900000000, true}};
        enum outlier_why why[8];

        for (uint32_t i = 1; i < 8; i++)
            samples[i] = i <= good ? (struct outlier_sample){100, 0, 100, 100, true}
                                   : (struct outlier_sample){i % 2 ? 0 : 9999, 0, 9999, 0, i % 2};
        for (uint32_t i = 1; i < 8; i++)
            samples[i].answers = samples[i].requests;
        outlier_judge(&usual, samples, 8, why);
        assert_int_equal(why[0], good >= 2 ? OUTLIER_ERRORS : OUTLIER_NONE);
        samples[0].failures = 0;
        outlier_judge(&usual, samples, 8, why);
        assert_int_equal(why[0], good >= 2 ? OUTLIER_LATENCY : OUTLIER_NONE);
        outlier_judge(&usual, samples, good + 1 < 3 ? good + 1 : 0, why);
        assert_int_equal(why[0], good >= 2 ? OUTLIER_LATENCY : OUTLIER_NONE); // as it was
    }
}

static void huge_numbers(void **state)
{
    struct outlier_sample huge = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, true};
    struct outlier_sample samples[] = {huge, huge, huge, {10, 10, 10, UINT64_MAX, true}};
    struct outlier_rule rule = usual;
    enum outlier_why why[4];

    (void)state;
    rule.errors_thousandths = UINT32_MAX;
    outlier_judge(&rule, samples, 4, why);
    assert_int_equal(why[0], OUTLIER_NONE);
    assert_int_equal(why[3], OUTLIER_LATENCY);
    for (uint32_t i = 0; i < 3; i++)
        samples[i].failures = 0;
    outlier_judge(&rule, samples, 4, why);
    assert_int_equal(why[0], OUTLIER_NONE);
    assert_int_equal(why[3], OUTLIER_ERRORS);
    samples[3] = (struct outlier_sample){10, 0, 10, 0, true};
    samples[0].failures = UINT64_MAX;
    outlier_judge(&usual, samples, 4, why);
    assert_int_equal(why[0], OUTLIER_ERRORS);
    assert_int_equal(why[3], OUTLIER_NONE);
}

/* The median of the others by its definition: as many below as above. */
static double slow_median(const double *means, uint32_t n, uint32_t but)
{
    double sorted[16], swap;
    uint32_t count = 0;

    for (uint32_t i = 0; i < n; i++)
        if (i != but)
            sorted[count++] = means[i];
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = i + 1; j < count; j++) {
            if (sorted[j] >= sorted[i])
                continue;
            swap = sorted[i];
            sorted[i] = sorted[j];
            sorted[j] = swap;
        }
    }
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static void check_medians(uint64_t *seed, uint32_t n)
{
    struct outlier_rule rule = {.latency_thousandths = 1500, .minimum = 1};
    struct outlier_sample samples[16] = {0};
    enum outlier_why why[16];
    double means[16];

    for (uint32_t i = 0; i < n; i++) {
        samples[i] = (struct outlier_sample){1, 0, 1, random_below(seed, 6) * 1000, true};
        means[i] = (double)samples[i].latency_us;
    }
    outlier_judge(&rule, samples, n, why);
    for (uint32_t i = 0; i < n; i++) {
        double median = slow_median(means, n, i);
        bool is_out = means[i] >= median * 1.5 && means[i] >= median + 1000;

        assert_int_equal(why[i], is_out ? OUTLIER_LATENCY : OUTLIER_NONE);
    }
}

static void medians_of_peers(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (uint32_t n = 3; n <= 16; n++)
        for (unsigned round = 0; round < 500; round++)
            check_medians(&seed, n);
}

static void many_targets(void **state)
{
    static struct outlier_sample samples[BALANCER_TARGETS_MAX];
    static enum outlier_why why[BALANCER_TARGETS_MAX];

    (void)state;
    for (uint32_t i = 0; i < BALANCER_TARGETS_MAX; i++)
        samples[i] = (struct outlier_sample){100, i % 3, 100, 100 * (1000 + i % 7), true};
    samples[17].failures = 20;
    samples[4095].latency_us *= 4;
    outlier_judge(&usual, samples, BALANCER_TARGETS_MAX, why);
    for (uint32_t i = 0; i < BALANCER_TARGETS_MAX; i++) {
        enum outlier_why wanted = i == 17     ? OUTLIER_ERRORS
                                  : i == 4095 ? OUTLIER_LATENCY
                                              : OUTLIER_NONE;

        assert_int_equal(why[i], wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ejections_grow),
        cmocka_unit_test(ejection_of_no_time),
        cmocka_unit_test(ends_once),
        cmocka_unit_test(calm_undoes),
        cmocka_unit_test(calm_shortens_the_next),
        cmocka_unit_test(how_many),
        cmocka_unit_test(by_errors),
        cmocka_unit_test(by_latency),
        cmocka_unit_test(who_is_judged),
        cmocka_unit_test(each_can_be_off),
        cmocka_unit_test(few_peers),
        cmocka_unit_test(huge_numbers),
        cmocka_unit_test(medians_of_peers),
        cmocka_unit_test(many_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
