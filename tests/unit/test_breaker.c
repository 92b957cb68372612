/* SPDX-License-Identifier: Apache-2.0
 *
 * The circuit breaker: every walk of a few steps against a plain model, the window, shares,
 * doubling, and the edges of numbers.
 */
#include "edge/upstream/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct breaker_rule usual = {
    .errors_ppm = 500000,
    .slow_ppm = 800000,
    .over_ms = 1000,
    .minimum = 4,
    .open_ms = 300,
    .trials = 3,
};

static const struct breaker_sample nothing, good = {4, 0, 0}, bad = {4, 4, 0}, slow = {4, 0, 4};

static bool note(struct breaker *breaker, struct breaker_sample sample, uint64_t now_ms)
{
    return breaker_note(breaker, &usual, &sample, now_ms);
}

/* --- every walk: a step is a sample and a span of time before it; the model keeps all that was
 * noted since it closed, and nothing else. */

enum { STEPS = 6 };

struct model {
    enum breaker_state state;
    uint64_t since_ms, good;
    unsigned doublings; /* of the next opening */
    struct breaker_sample noted[STEPS];
    uint64_t noted_ms[STEPS];
    unsigned count;
};

static void model_enter(struct model *model, enum breaker_state state, uint64_t now_ms)
{
    model->state = state;
    model->since_ms = now_ms;
    model->good = 0;
    model->count = 0;
}

static void model_closed(struct model *model, struct breaker_sample sample, uint64_t now_ms)
{
    uint64_t requests = 0, failures = 0, slow_ones = 0;

    model->noted[model->count] = sample;
    model->noted_ms[model->count++] = now_ms;
    for (unsigned i = 0; i < model->count; i++) {
        if (now_ms / 100 - model->noted_ms[i] / 100 >= BREAKER_SLOTS)
            continue;
        requests += model->noted[i].requests;
        failures += model->noted[i].failures;
        slow_ones += model->noted[i].slow;
    }
    if (requests < 4 || (failures * 2 < requests && slow_ones * 10 < requests * 8))
        return;
    if (now_ms - model->since_ms >= 1000)
        model->doublings = 0;
    model_enter(model, BREAKER_OPEN, now_ms);
}

static void model_note(struct model *model, struct breaker_sample sample, uint64_t now_ms)
{
    static const uint64_t open_ms[] = {300, 600, 1200, 2400, 3000, 3000, 3000};

    if (model->state == BREAKER_CLOSED) {
        model_closed(model, sample, now_ms);
    } else if (model->state == BREAKER_OPEN) {
        if (now_ms - model->since_ms >= open_ms[model->doublings])
            model_enter(model, BREAKER_HALF_OPEN, now_ms);
        else
            return;
        model->doublings++;
    } else if (sample.failures || sample.slow) {
        model_enter(model, BREAKER_OPEN, now_ms);
    } else if ((model->good += sample.requests) >= 3) {
        model_enter(model, BREAKER_CLOSED, now_ms);
    }
}

static void walk(unsigned path)
{
    static const struct breaker_sample samples[] = {
        {0, 0, 0}, {1, 0, 0}, {4, 0, 0}, {2, 2, 0}, {5, 1, 4}};
    static const uint64_t spans_ms[] = {50, 320, 1000};
    struct model model = {.state = BREAKER_CLOSED, .since_ms = 7};
    struct breaker breaker;
    uint64_t now_ms = 7;

    breaker_init(&breaker, now_ms);
    for (unsigned i = 0; i < STEPS; i++) {
        enum breaker_state was = breaker.state;
        struct breaker_sample sample = samples[path % 5];
        bool changed;

        now_ms += spans_ms[path / 5 % 3];
        path /= 15;
        changed = note(&breaker, sample, now_ms);
        model_note(&model, sample, now_ms);
        if (breaker.state != model.state || changed != (was != breaker.state) ||
            breaker.since_ms != model.since_ms)
            fail_msg("step %u: %d, not %d", i, (int)breaker.state, (int)model.state);
    }
}

static void every_walk(void **state)
{
    unsigned paths = 1;

    (void)state;
    for (unsigned i = 0; i < STEPS; i++)
        paths *= 15;
    // One in seven: 7 has no factor in common with 15, so all ways of five steps in a row are
    // there.
    for (unsigned path = 0; path < paths; path += 7)
        walk(path);
}

/* --- one by one */

static void opens_by_share(void **state)
{
    (void)state;
    for (uint64_t requests = 0; requests <= 12; requests++) {
        for (uint64_t failures = 0; failures <= requests; failures++) {
            struct breaker_sample failed = {requests, failures, 0},
                                  slowed = {requests, 0, failures};
            struct breaker breaker;

            breaker_init(&breaker, 0);
            assert_int_equal(note(&breaker, failed, 0), requests >= 4 && failures * 2 >= requests);
            breaker_init(&breaker, 0);
            assert_int_equal(note(&breaker, slowed, 0),
                             requests >= 4 && failures * 10 >= requests * 8);
        }
    }
}

static void a_share_can_be_off(void **state)
{
    struct breaker_rule rule = usual;
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, 0);
    rule.errors_ppm = 0;
    assert_false(breaker_note(&breaker, &rule, &bad, 0));
    breaker_init(&breaker, 0);
    assert_true(breaker_note(&breaker, &rule, &slow, 0));
    rule = usual;
    rule.slow_ppm = 0;
    breaker_init(&breaker, 0);
    assert_false(breaker_note(&breaker, &rule, &slow, 0));
    assert_true(breaker_note(&breaker, &rule, &bad, 0));
    // Half open, what is slow is good then.
    assert_true(breaker_note(&breaker, &rule, &nothing, 300));
    assert_true(breaker_note(&breaker, &rule, &slow, 301));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void off_closes(void **state)
{
    struct breaker_rule off = {.over_ms = 1000};
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, 0);
    assert_false(breaker_note(&breaker, &off, &bad, 1));
    assert_true(note(&breaker, bad, 2));
    assert_true(breaker_note(&breaker, &off, &bad, 3));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker.openings, 0);
}

/* What is older than ten slots does not count; what is younger does. */
static void window_slides(void **state)
{
    static const struct breaker_sample three = {3, 3, 0}, one = {1, 0, 0};

    (void)state;
    for (uint64_t begin = 0; begin < 200; begin += 10) {
        for (uint64_t later = 0; later < 1300; later += 10) {
            bool is_in = (begin + later) / 100 - begin / 100 < BREAKER_SLOTS;
            struct breaker breaker;

            breaker_init(&breaker, 0);
            assert_false(note(&breaker, three, begin));
            assert_int_equal(note(&breaker, one, begin + later), is_in);
        }
    }
}

static void window_of_odd_lengths(void **state)
{
    (void)state;
    for (uint32_t over_ms = 0; over_ms < 100; over_ms++) {
        struct breaker_rule rule = usual;
        struct breaker_sample half = {2, 2, 0};
        struct breaker breaker;

        rule.over_ms = over_ms;
        breaker_init(&breaker, 0);
        assert_false(breaker_note(&breaker, &rule, &half, 1000));
        // Never less than nine tenths of what was asked for.
        assert_true(breaker_note(&breaker, &rule, &half, 1000 + over_ms * 9 / 10));
    }
}

static void rule_changes_its_window(void **state)
{
    struct breaker_rule longer = usual;
    struct breaker_sample half = {2, 2, 0};
    struct breaker breaker;

    (void)state;
    longer.over_ms = 60000;
    breaker_init(&breaker, 0);
    assert_false(note(&breaker, half, 1000000));
    assert_false(breaker_note(&breaker, &longer, &half, 1000010)); // slots begin anew
    assert_true(breaker_note(&breaker, &longer, &half, 1006000));
}

static void open_drops_samples(void **state)
{
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, 0);
    assert_true(note(&breaker, bad, 10));
    for (uint64_t now = 10; now < 310; now++)
        assert_false(note(&breaker, now % 2 ? bad : good, now));
    assert_true(note(&breaker, bad, 310)); // of requests from before
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    assert_false(note(&breaker, nothing, 100000));
    assert_false(note(&breaker, (struct breaker_sample){2, 0, 0}, 100000));
    assert_true(note(&breaker, (struct breaker_sample){1, 0, 0}, 100000));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    // Nothing of all that is in the window.
    assert_false(note(&breaker, (struct breaker_sample){3, 3, 0}, 100001));
    assert_true(note(&breaker, (struct breaker_sample){1, 0, 0}, 100002));
}

/* From one opening to the next, by a trial that fails; milliseconds that it was open. */
static uint64_t reopen(struct breaker *breaker, uint64_t *now_ms)
{
    uint64_t begin = *now_ms;

    while (!note(breaker, nothing, *now_ms))
        ++*now_ms;
    assert_int_equal(breaker->state, BREAKER_HALF_OPEN);
    assert_true(note(breaker, (struct breaker_sample){1, 1, 0}, *now_ms));
    assert_int_equal(breaker->state, BREAKER_OPEN);
    return *now_ms - begin;
}

static void times_double(void **state)
{
    static const uint64_t wanted[] = {300, 600, 1200, 2400, 3000, 3000, 3000};
    struct breaker breaker;
    uint64_t now_ms = 5;

    (void)state;
    breaker_init(&breaker, now_ms);
    assert_true(note(&breaker, bad, now_ms));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        assert_int_equal(reopen(&breaker, &now_ms), wanted[i]);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(reopen(&breaker, &now_ms), 3000);
}

/* Opened three times, then closed for `calm_ms`, then opened: how long that is. */
static uint64_t open_after_calm(uint64_t calm_ms)
{
    struct breaker breaker;
    uint64_t now_ms = 5;

    breaker_init(&breaker, now_ms);
    assert_true(note(&breaker, bad, now_ms));
    reopen(&breaker, &now_ms);
    reopen(&breaker, &now_ms);
    now_ms += 1200;
    assert_true(note(&breaker, nothing, now_ms));
    assert_true(note(&breaker, good, now_ms));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    now_ms += calm_ms;
    assert_true(note(&breaker, bad, now_ms));
    return reopen(&breaker, &now_ms);
}

static void calm_ends_the_doubling(void **state)
{
    (void)state;
    assert_int_equal(open_after_calm(0), 2400);
    assert_int_equal(open_after_calm(999), 2400);
    assert_int_equal(open_after_calm(1000), 300);
    assert_int_equal(open_after_calm(100000), 300);
}

static void zeros_and_huge_numbers(void **state)
{
    struct breaker_rule rule = {.errors_ppm = 1};
    struct breaker_sample huge = {UINT64_MAX / 16, UINT64_MAX / 16 / 1000000, 0};
    struct breaker breaker;

    (void)state;
    breaker_init(&breaker, 0);
    assert_false(breaker_note(&breaker, &rule, &nothing, 0)); // 0 of 0 is no share
    assert_true(breaker_note(&breaker, &rule, &bad, 0));
    assert_true(breaker_note(&breaker, &rule, &nothing, 0));  // open_ms of 0
    assert_false(breaker_note(&breaker, &rule, &nothing, 0)); // nothing is no trial
    assert_true(breaker_note(&breaker, &rule, &good, 0));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    rule.minimum = UINT32_MAX;
    rule.open_ms = UINT32_MAX;
    assert_false(breaker_note(&breaker, &rule, &huge, UINT64_MAX - 1));
    huge.failures++;
    assert_false(breaker_note(&breaker, &rule, &huge, UINT64_MAX - 1));
    huge.failures += 2;
    assert_true(breaker_note(&breaker, &rule, &huge, UINT64_MAX - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_walk),
        cmocka_unit_test(opens_by_share),
        cmocka_unit_test(a_share_can_be_off),
        cmocka_unit_test(off_closes),
        cmocka_unit_test(window_slides),
        cmocka_unit_test(window_of_odd_lengths),
        cmocka_unit_test(rule_changes_its_window),
        cmocka_unit_test(open_drops_samples),
        cmocka_unit_test(times_double),
        cmocka_unit_test(calm_ends_the_doubling),
        cmocka_unit_test(zeros_and_huge_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
