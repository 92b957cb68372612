/* SPDX-License-Identifier: Apache-2.0
 *
 * The token bucket against an exact model of one: tokens as fractions in 128-bit integers, which
 * never round.
 */
#include "edge/limit/gcra.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

__extension__ typedef unsigned __int128 wide;

/* A bucket whose unit is a token divided by the nanoseconds of the period: each nanosecond adds
 * `count` of them. */
struct model {
    wide level, most, token;
    uint64_t count, now_ns;
};

static void model_init(struct model *model, uint64_t count, uint64_t period_ms, uint64_t burst)
{
    model->token = (wide)period_ms * 1000000;
    model->most = model->level = model->token * burst;
    model->count = count;
    model->now_ns = 0;
}

static void model_advance(struct model *model, uint64_t now_ns)
{
    model->level += (wide)(now_ns - model->now_ns) * model->count;
    model->now_ns = now_ns;
    if (model->level > model->most)
        model->level = model->most;
}

static bool model_take(struct model *model, uint64_t cost)
{
    if (model->token * cost > model->level)
        return false;
    model->level -= model->token * cost;
    return true;
}

static uint64_t divide_up(wide a, wide b)
{
    return (uint64_t)((a + b - 1) / b);
}

/* Where the interval is whole, every figure is the model's. */
static void same_as_model(void **state)
{
    static const uint64_t rates[][3] = {
        // count, period in ms, burst
        {100, 60000, 100}, {10, 1000, 20},        {1, 1000, 1},   {1200, 60000, 7},
        {1, 86400000, 3},  {1000000, 1000, 1000}, {5, 10000, 50}, {1000, 3600000, 1000},
    };
    uint64_t seed = 20261128;

    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(rates); r++) {
        uint64_t now_ns = 12345, tat_ns = 0, burst = rates[r][2];
        struct gcra_rate rate;
        struct model model;

        assert_int_equal(gcra_rate_init(&rate, rates[r][0], rates[r][1], burst), OK);
        model_init(&model, rates[r][0], rates[r][1], burst);
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t cost = random_below(&seed, 8) ? 1 : random_below(&seed, (uint32_t)burst + 1);
            struct gcra_answer answer;

            now_ns += random_next(&seed) % (2 * rate.interval_ns);
            model_advance(&model, now_ns);
            answer = gcra_ask(&rate, tat_ns, now_ns, cost);
            assert_int_equal(answer.passes, model_take(&model, cost));
            assert_int_equal(answer.remaining, (uint64_t)(model.level / model.token));
            assert_int_equal(answer.reset_ns, divide_up(model.most - model.level, model.count));
            if (answer.passes)
                tat_ns = answer.tat_ns;
            assert_int_equal(answer.retry_ns,
                             answer.passes
                                 ? 0
                                 : divide_up(model.token * cost - model.level, model.count));
        }
    }
}

/* Where it is not, it never lets more through than the model, and hardly less. */
static void never_more_than_model(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (unsigned r = 0; r < 300; r++) {
        uint64_t count = 1 + random_below(&seed, 5000), burst = 1 + random_below(&seed, 200);
        uint64_t period_ms = 1000 * (1 + random_below(&seed, 3600));
        uint64_t now_ns = 0, tat_ns = 0, passed = 0, most = 0;
        struct gcra_rate rate;
        struct model model;

        assert_int_equal(gcra_rate_init(&rate, count, period_ms, burst), OK);
        model_init(&model, count, period_ms, burst);
        for (unsigned i = 0; i < 3000; i++) {
            struct gcra_answer answer;

            now_ns += random_next(&seed) % rate.interval_ns;
            answer = gcra_ask(&rate, tat_ns, now_ns, 1);
            tat_ns = answer.passes ? answer.tat_ns : tat_ns;
            passed += answer.passes;
            model_advance(&model, now_ns);
            most += model_take(&model, 1);
        }
        assert_true(passed <= most && passed + 2 >= most);
    }
}

/* Who waits as long as it was told passes, and a nanosecond earlier does not. */
static void retry_is_exact(void **state)
{
    uint64_t seed = 99;
    struct gcra_rate rate;

    (void)state;
    assert_int_equal(gcra_rate_init(&rate, 7, 60000, 30), OK);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t now_ns = random_next(&seed) >> 20, cost = 1 + random_below(&seed, 30);
        uint64_t tat_ns = now_ns + random_next(&seed) % (rate.span_ns + 1);
        struct gcra_answer answer = gcra_ask(&rate, tat_ns, now_ns, cost);

        if (answer.passes)
            continue;
        assert_true(gcra_ask(&rate, tat_ns, now_ns + answer.retry_ns, cost).passes);
        assert_false(gcra_ask(&rate, tat_ns, now_ns + answer.retry_ns - 1, cost).passes);
        assert_int_equal(gcra_ask(&rate, tat_ns, now_ns + answer.reset_ns, 0).remaining, 30);
    }
}

static void refund_undoes(void **state)
{
    uint64_t seed = 3;
    struct gcra_rate rate;

    (void)state;
    assert_int_equal(gcra_rate_init(&rate, 100, 60000, 100), OK);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t now_ns = random_next(&seed) >> 20, cost = random_below(&seed, 40);
        uint64_t tat_ns = now_ns + random_next(&seed) % (rate.span_ns / 2);
        struct gcra_answer answer = gcra_ask(&rate, tat_ns, now_ns, cost);

        assert_true(answer.passes);
        assert_int_equal(gcra_refund(&rate, answer.tat_ns, cost), tat_ns);
    }
    // never more than a full bucket
    {
        struct gcra_answer full = gcra_ask(&rate, 0, 1000, 0), some = gcra_ask(&rate, 0, 1000, 60);

        gcra_undo(&full, &rate, 1);
        assert_true(full.remaining == 100 && !full.reset_ns);
        gcra_undo(&some, &rate, 20);
        assert_true(some.remaining == 60 && some.reset_ns == 40 * rate.interval_ns);
    }
    assert_int_equal(gcra_refund(&rate, 5, 100), 0);
    assert_int_equal(gcra_ask(&rate, gcra_refund(&rate, 5, 100), 1000, 0).remaining, 100);
}

static void odd_numbers(void **state)
{
    struct gcra_rate rate;
    struct gcra_answer answer;

    (void)state;
    assert_int_equal(gcra_rate_init(&rate, 0, 1, 1), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, 0, 1), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, 1, 0), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, UINT64_MAX, 1), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, 86400000, UINT64_MAX), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, 86400000, 401), E_INVALID);
    assert_int_equal(gcra_rate_init(&rate, 1, 86400000, 400), OK);
    assert_int_equal(gcra_rate_init(&rate, UINT64_MAX, 1, 1000), OK);
    assert_int_equal(rate.interval_ns, 1);

    assert_int_equal(gcra_rate_init(&rate, 10, 1000, 5), OK);
    answer = gcra_ask(&rate, 0, 0, 6); // more than the bucket holds
    assert_false(answer.passes);
    assert_true(answer.retry_ns == GCRA_NEVER);
    assert_int_equal(answer.remaining, 5);
    answer = gcra_ask(&rate, 0, 0, UINT64_MAX);
    assert_false(answer.passes);
    answer = gcra_ask(&rate, UINT64_MAX, 1000, 1); // a clock that jumped: a span at most
    assert_false(answer.passes);
    assert_int_equal(answer.retry_ns, rate.interval_ns);
    assert_int_equal(answer.reset_ns, rate.span_ns);
    assert_int_equal(answer.tat_ns, 1000 + rate.span_ns);
    answer = gcra_ask(&rate, UINT64_MAX, 1000, 0);
    assert_true(answer.passes);
    assert_int_equal(answer.remaining, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_model),  cmocka_unit_test(never_more_than_model),
        cmocka_unit_test(retry_is_exact), cmocka_unit_test(refund_undoes),
        cmocka_unit_test(odd_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
