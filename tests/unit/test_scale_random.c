/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold of a number of replicas whatever the load, the policy and the past are.
 */
#include "control/scale/decide.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

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

static uint32_t most_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static double uniform(uint64_t *random, double most)
{
    return (double)(random_next(random) >> 11) * 0x1p-53 * most;
}

static size_t draw(uint64_t *random, double now_s, struct scale_sample *samples)
{
    double in_flight = uniform(random, 1) < 0.2 ? 0 : uniform(random, 300);
    double held = uniform(random, 1) < 0.6 ? 0 : uniform(random, 100);
    double gaps = uniform(random, 1) < 0.5 ? 0 : uniform(random, 1);
    size_t count = 0;

    for (double s = SECONDS - 1; s >= 0; s--) {
        if (uniform(random, 1) < gaps)
            continue;
        samples[count++] = (struct scale_sample){now_s - s,
                                                 1,
                                                 in_flight * uniform(random, 1),
                                                 held * uniform(random, 1),
                                                 in_flight * uniform(random, 20),
                                                 uniform(random, 1) < gaps / 5};
    }
    return count;
}

static void draw_policy(uint64_t *random, struct scale_policy *ours)
{
    *ours = policy;
    ours->limits.min = random_below(random, 4);
    ours->limits.max = most_of(ours->limits.min, 1) + random_below(random, 30);
    ours->limits.ceiling = random_below(random, 2) ? random_below(random, 30) : 0;
    ours->limits.price_hour = 0.05;
    ours->limits.budget_hour = random_below(random, 2) ? uniform(random, 2) : 0;
    ours->limits.budget_day = random_below(random, 2) ? uniform(random, 40) : 0;
    ours->rate = random_below(random, 2) ? 1 + uniform(random, 100) : 0;
    ours->concurrency = random_below(random, 4) ? 1 + uniform(random, 50) : 0;
}

static void draw_now(uint64_t *random, struct scale_now *now, struct scale_state *state)
{
    uint32_t wanted = random_below(random, 30);

    *now = (struct scale_now){.now_s = MONDAY_NOON_S + uniform(random, 604800),
                              .ready = wanted ? random_below(random, wanted + 1) : 0,
                              .boot_s = uniform(random, 20),
                              .service_s = uniform(random, 0.5),
                              .spent_day = uniform(random, 30),
                              .is_starting = random_below(random, 2)};
    now->woken_s = random_below(random, 4) ? 0 : now->now_s - uniform(random, 30);
    *state = (struct scale_state){wanted, now->now_s - uniform(random, 100), 0, 0};
    state->changed_s = fmax(state->grown_s, now->now_s - uniform(random, 100));
    state->panic_until_s = random_below(random, 3) ? 0 : now->now_s + uniform(random, 60) - 30;
}

static void check_bounds(const struct scale_policy *ours, const struct scale_now *now,
                         const struct scale_state *old, const struct scale_decision *got)
{
    struct scale_bounds bounds = scale_bounds_at(&ours->limits, now->now_s, now->spent_day);

    assert_true(got->wanted >= bounds.min && got->wanted <= bounds.hold);
    assert_true(got->wanted <= bounds.grow || got->wanted <= old->wanted);
    assert_true(bounds.hold <= ours->limits.max && bounds.grow <= bounds.hold);
    assert_true(!ours->limits.ceiling || bounds.hold <= most_of(ours->limits.ceiling, 1));
}

/* Nothing goes but by a bound, when too little is known, in a panic, or too soon; and growth waits.
 */
static void check_calm(const struct scale_policy *ours, const struct scale_now *now,
                       const struct scale_state *old, const struct scale_decision *got)
{
    struct scale_load load = scale_load_over(&now->samples, now->now_s, ours->stable_s);

    if (got->reason == SCALE_CAPPED || got->reason == SCALE_FLOOR)
        return;
    if (got->wanted < old->wanted) {
        assert_true(load.known_s >= 0.9 * ours->stable_s);
        assert_true(now->now_s >= old->panic_until_s);
        assert_true(now->now_s - old->changed_s >= ours->down_cooldown_s);
        assert_true(got->wanted || scale_load_is_idle(&now->samples, now->now_s, ours->idle_s));
    }
    if (got->wanted > old->wanted && old->wanted)
        assert_true(now->now_s - old->grown_s >= ours->up_cooldown_s || got->reason == SCALE_PANIC);
}

static void test_random_ones(void **state)
{
    static struct scale_sample samples[SECONDS];
    uint64_t random = 6;

    (void)state;
    for (unsigned run = 0; run < 20000; run++) {
        struct scale_policy ours;
        struct scale_now now;
        struct scale_state old;
        struct scale_decision got, more;
        double times = 1 + uniform(&random, 3);

        draw_policy(&random, &ours);
        draw_now(&random, &now, &old);
        now.samples = (struct scale_samples){samples, draw(&random, now.now_s, samples)};
        got = scale_decide(&ours, &now, &old);
        check_bounds(&ours, &now, &old, &got);
        check_calm(&ours, &now, &old, &got);
        for (size_t i = 0; i < now.samples.count; i++) {
            samples[i].in_flight *= times;
            samples[i].held *= times;
            samples[i].arrivals *= times;
        }
        more = scale_decide(&ours, &now, &old);
        if (more.wanted < got.wanted)
            fail_msg("run %u: %s; with more load: %s", run, got.why, more.why);
    }
}

/* A load that changes for hours: never two changes of opposite kind within the cooldown, and no
 * overload that lasts. */
static void test_no_flapping(void **state)
{
    static struct scale_sample samples[3 * 3600];
    struct scale_state ours = scale_begin(1, MONDAY_NOON_S);
    uint64_t random = 3;
    double grown_s = 0;

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(samples); s++) {
        double wave = 60 + 50 * sin((double)s / 600), now_s = MONDAY_NOON_S + (double)s + 1;
        size_t from = s > SECONDS ? s - SECONDS : 0;
        struct scale_now now = {.now_s = now_s, .ready = most_of(ours.wanted, 1)};
        struct scale_decision got;

        samples[s] =
            (struct scale_sample){now_s, 1, wave * (0.7 + uniform(&random, 0.6)), 0, 100, false};
        now.samples = (struct scale_samples){samples + from, s + 1 - from};
        got = scale_decide(&policy, &now, &ours);
        if (got.wanted > ours.wanted)
            grown_s = now_s;
        assert_true(got.wanted >= ours.wanted || now_s - grown_s >= policy.down_cooldown_s);
        assert_true(s < 120 || got.wanted * policy.concurrency >= wave * 0.8);
        assert_true(s < 120 || got.wanted * policy.concurrency <= wave * 1.3 + 40);
        ours = got.next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_ones),
        cmocka_unit_test(test_no_flapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
