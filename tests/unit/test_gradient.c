/* SPDX-License-Identifier: Apache-2.0
 *
 * The adaptive limit against a server made up here: so many requests at once take their time, more
 * than that wait in line.
 */
#include "edge/upstream/gradient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

static const struct gradient_rule usual = {.min = 1, .max = 1000, .tolerance_thousandths = 1500};

struct rig {
    struct gradient gradient;
    uint32_t limit;
    uint32_t capacity;   /* requests at once before they queue */
    uint32_t service_us; /* of a request that does not queue */
    uint32_t demand;     /* requests at once that clients would have */
    uint32_t noise_percent;
    uint64_t seed;
};

static struct rig start(uint32_t capacity, uint32_t service_us)
{
    struct rig rig = {.capacity = capacity,
                      .service_us = service_us,
                      .demand = UINT32_MAX,
                      .limit = GRADIENT_START};

    gradient_init(&rig.gradient, &usual);
    return rig;
}

static uint64_t latency_us(struct rig *rig, uint32_t in_flight)
{
    uint64_t latency = rig->service_us;
    uint32_t noise = rig->noise_percent;

    if (in_flight > rig->capacity)
        latency = latency * in_flight / rig->capacity;
    return latency * (100 - noise + random_below(&rig->seed, 2 * noise + 1)) / 100;
}

/* Spans of a second. */
static void run(struct rig *rig, unsigned spans)
{
    for (unsigned i = 0; i < spans; i++) {
        uint32_t in_flight = rig->demand < rig->limit ? rig->demand : rig->limit;
        uint64_t latency = latency_us(rig, in_flight);
        struct gradient_sample sample = {.in_flight_max = in_flight};

        sample.answers = UINT64_C(1000000) * in_flight / latency;
        sample.latency_us_sum = sample.answers * latency;
        rig->limit = gradient_next(&rig->gradient, &usual, &sample);
    }
}

/* All of the server is used, and the queue is a small part of what it takes at once. */
static void converges(void **state)
{
    static const uint32_t capacities[] = {30, 50, 100, 300};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(capacities); i++) {
        uint32_t capacity = capacities[i];
        struct rig rig = start(capacity, 10000);

        run(&rig, 300);
        for (unsigned span = 0; span < 1000; span++) {
            run(&rig, 1);
            assert_in_range(rig.limit, capacity, capacity * 5 / 2);
        }
    }
}

static void converges_with_noise(void **state)
{
    struct rig rig = start(100, 3000);

    (void)state;
    rig.noise_percent = 25;
    run(&rig, 300);
    for (unsigned span = 0; span < 1000; span++) {
        run(&rig, 1);
        assert_in_range(rig.limit, 100, 250);
    }
}

/* An hour of overload at one sample a second does not become the norm. */
static void overload_is_learned_slowly(void **state)
{
    (void)state;
    for (uint32_t noise = 0; noise <= 25; noise += 5) {
        struct rig rig = start(100, 10000);

        rig.noise_percent = noise;
        run(&rig, 3600);
        assert_in_range(rig.limit, 100, 400);
    }
}

static void follows_capacity(void **state)
{
    struct rig rig = start(200, 10000);

    (void)state;
    run(&rig, 300);
    assert_in_range(rig.limit, 200, 450);
    rig.capacity = 50;
    run(&rig, 30);
    assert_in_range(rig.limit, 50, 150);
    rig.capacity = 200;
    run(&rig, 100);
    assert_in_range(rig.limit, 200, 450);
}

/* A stall cuts the limit within a minute; when it is over the limit is back in two. */
static void recovers(void **state)
{
    struct rig rig = start(100, 10000);

    (void)state;
    run(&rig, 300);
    rig.service_us = 1000000;
    run(&rig, 60);
    assert_in_range(rig.limit, 1, 20);
    rig.service_us = 10000;
    run(&rig, 100);
    assert_in_range(rig.limit, 100, 250);
}

/* A mean that was learned in an overload falls as soon as latency does. */
static void mean_falls_fast(void **state)
{
    struct rig rig = start(100, 100000);

    (void)state;
    run(&rig, 20);
    assert_true(rig.gradient.long_us > 99000);
    rig.service_us = 1000;
    rig.demand = 2;
    run(&rig, 60);
    assert_true(rig.gradient.long_us < 2010);
    run(&rig, 1500);
    assert_true(rig.gradient.long_us < 1010);
}

/* A service that is three times slower for good gets a limit for it. */
static void learns_a_slower_service(void **state)
{
    struct rig rig = start(100, 10000);

    (void)state;
    run(&rig, 300);
    rig.service_us = 30000;
    run(&rig, 60);
    assert_in_range(rig.limit, 1, 20);
    run(&rig, 600);
    assert_true(rig.limit > GRADIENT_START);
    rig.demand = 8; // at night
    run(&rig, 1200);
    rig.demand = UINT32_MAX;
    run(&rig, 200);
    assert_in_range(rig.limit, 100, 250);
}

/* What is no queue is learned at the usual pace, also while the limit is used up. */
static void learns_small_changes(void **state)
{
    struct rig rig = start(10000, 10000);

    (void)state;
    rig.noise_percent = 10;
    run(&rig, 400);
    assert_int_equal(rig.limit, usual.max);
    rig.service_us = 12000;
    run(&rig, 900);
    assert_true(rig.gradient.long_us > 11800 && rig.gradient.long_us < 12200);
    assert_int_equal(rig.limit, usual.max);
}

static void unused_limit_stays(void **state)
{
    struct rig rig = start(1000, 10000);
    uint32_t limit;

    (void)state;
    run(&rig, 50);
    limit = rig.limit;
    assert_true(limit > 40);
    rig.demand = limit / 2 - 1;
    run(&rig, 1000);
    assert_int_equal(rig.limit, limit);
    // Nor does it fall: the latency is not of our making.
    rig.service_us = 100000;
    run(&rig, 10);
    assert_int_equal(rig.limit, limit);
    rig.service_us = 10000;
    rig.demand = limit / 2 + 1;
    run(&rig, 1);
    assert_true(rig.limit > limit);
}

/* It grows up to where demand is half of it, and no further. */
static void grows_with_demand(void **state)
{
    struct rig rig = start(1000, 10000);

    (void)state;
    rig.demand = 100;
    run(&rig, 2000);
    assert_in_range(rig.limit, 200, 205);
}

static void limits_and_zeros(void **state)
{
    static const struct gradient_sample none = {0}, fast = {1000, 0, UINT32_MAX},
                                        slow = {1, UINT64_MAX, UINT32_MAX};
    struct gradient_rule rule = {.min = 5, .max = 30, .tolerance_thousandths = 0};
    struct gradient gradient;

    (void)state;
    gradient_init(&gradient, &rule);
    assert_int_equal(gradient_next(&gradient, &rule, &none), GRADIENT_START);
    assert_int_equal(gradient.samples, 0);
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(gradient_next(&gradient, &rule, &fast), 20, 30);
    assert_int_equal(gradient_next(&gradient, &rule, &fast), 30);
    for (unsigned i = 0; i < 100; i++)
        assert_in_range(gradient_next(&gradient, &rule, &slow), 5, 30);
    assert_int_equal(gradient_next(&gradient, &rule, &slow), 5);
    // Another rule counts at once, with nothing new as well.
    rule = (struct gradient_rule){.min = 50, .max = 10};
    assert_int_equal(gradient_next(&gradient, &rule, &none), 50);
    rule = (struct gradient_rule){0};
    assert_int_equal(gradient_next(&gradient, &rule, &none), 1);
    assert_int_equal(gradient_next(&gradient, &rule, &fast), 1);
    gradient_init(&gradient, &rule);
    assert_int_equal(gradient_next(&gradient, &rule, &none), 1);
}

static void largest_limit(void **state)
{
    struct gradient_rule rule = {.min = UINT32_MAX, .max = UINT32_MAX};
    struct gradient_sample sample = {UINT64_MAX, UINT64_MAX, UINT32_MAX};
    struct gradient gradient;

    (void)state;
    gradient_init(&gradient, &rule);
    assert_int_equal(gradient_next(&gradient, &rule, &sample), UINT32_MAX);
    assert_int_equal(gradient_next(&gradient, &rule, &sample), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converges),
        cmocka_unit_test(converges_with_noise),
        cmocka_unit_test(overload_is_learned_slowly),
        cmocka_unit_test(follows_capacity),
        cmocka_unit_test(recovers),
        cmocka_unit_test(mean_falls_fast),
        cmocka_unit_test(learns_a_slower_service),
        cmocka_unit_test(learns_small_changes),
        cmocka_unit_test(unused_limit_stays),
        cmocka_unit_test(grows_with_demand),
        cmocka_unit_test(limits_and_zeros),
        cmocka_unit_test(largest_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
