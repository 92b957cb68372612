/* SPDX-License-Identifier: Apache-2.0
 *
 * What edges count becomes samples, whenever they answer. The edges are this test's.
 */
#include "control/scale/meter.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOON_MS INT64_C(1704110400000) /* 2024-01-01 12:00 UTC */

enum { EDGES = 2 };

struct edges {
    struct edges_ask asked[EDGES];
    bool is_asked[EDGES];
    char call; /* stands for one that runs */
};

static struct edges world;

uint32_t edges_count(const struct edges *edges)
{
    (void)edges;
    return EDGES;
}

uint32_t edges_version(const struct edges *edges)
{
    (void)edges;
    return 1;
}

bool edges_is_waited_for(const struct edges *edges, uint32_t index)
{
    (void)edges;
    (void)index;
    return true;
}

struct outbound_call *edges_ask(const struct edges *edges, uint32_t index,
                                const struct edges_ask *ask)
{
    (void)edges;
    assert_false(world.is_asked[index]);
    world.asked[index] = *ask;
    world.is_asked[index] = true;
    return (struct outbound_call *)(void *)&world.call;
}

/* An edge has counted so many so long after noon. */
static void answer(uint32_t index, int64_t at_ms, unsigned arrivals)
{
    char body[256];
    int len = snprintf(body, sizeof(body),
                       "{\"instance\":1,\"number\":1,\"at_ms\":%lld,\"services\":[{\"service\":"
                       "\"app\",\"arrivals\":%u,\"in_flight\":1,\"held\":0}]}",
                       (long long)(NOON_MS + at_ms), arrivals);

    assert_true(world.is_asked[index]);
    world.is_asked[index] = false;
    world.asked[index].done(world.asked[index].owner,
                            &(struct outbound_reply){.status = 200, .body = {body, (size_t)len}});
}

static struct scale_sample round_to(struct meter *meter, int64_t now_ms)
{
    struct scale_sample sample;

    assert_true(meter_is_over(meter, now_ms));
    sample = meter_sample(meter, "app", (double)(NOON_MS + now_ms) / 1000);
    meter_begin(meter, now_ms);
    return sample;
}

static struct meter *begin(void)
{
    struct meter *meter;

    world = (struct edges){.call = 0};
    meter = meter_new(&world);
    assert_non_null(meter);
    meter_begin(meter, 1);
    return meter;
}

static void end(struct meter **meter)
{
    for (uint32_t i = 0; i < EDGES; i++)
        if (world.is_asked[i])
            answer(i, 0, 0);
    meter_free(meter);
}

static void expect(struct scale_sample sample, double rate)
{
    assert_false(sample.is_partial);
    assert_true(fabs(sample.arrivals / sample.span_s - rate) < 1e-6);
}

static void test_edges_are_summed(void **state)
{
    struct meter *meter = begin();

    (void)state;
    answer(0, 0, 5);
    answer(1, 0, 7);
    assert_true(round_to(meter, 1001).is_partial); // nothing was known before
    answer(0, 1000, 15);
    answer(1, 1000, 107);
    expect(round_to(meter, 2001), 110);
    end(&meter);
}

/* What it counted meanwhile is of a longer time than a round, and then of a shorter one. */
static void test_an_edge_that_answers_late(void **state)
{
    struct meter *meter = begin();

    (void)state;
    for (uint32_t i = 0; i < EDGES; i++)
        answer(i, 0, 0);
    (void)round_to(meter, 1001);
    for (uint32_t i = 0; i < EDGES; i++)
        answer(i, 1000, 100);
    expect(round_to(meter, 2001), 200);
    answer(0, 2000, 200);
    assert_true(round_to(meter, 3001).is_partial);
    answer(0, 3000, 300);
    answer(1, 3500, 350);
    expect(round_to(meter, 4001), 200);
    answer(0, 4000, 400);
    answer(1, 4010, 401);
    expect(round_to(meter, 5001), 200);
    end(&meter);
}

static void test_an_edge_whose_clock_is_set(void **state)
{
    static const int64_t at_ms[] = {-3600000, 0, 3600000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(at_ms); i++) {
        struct meter *meter = begin();

        answer(0, 0, 0);
        answer(1, 0, 0);
        (void)round_to(meter, 1001);
        answer(0, at_ms[i], 100);
        answer(1, 1000, 100);
        assert_true(round_to(meter, 2001).is_partial);
        answer(0, at_ms[i] + 1000, 200);
        answer(1, 2000, 200);
        expect(round_to(meter, 3001), 200);
        end(&meter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges_are_summed),
        cmocka_unit_test(test_an_edge_that_answers_late),
        cmocka_unit_test(test_an_edge_whose_clock_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
