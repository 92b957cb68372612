/* SPDX-License-Identifier: Apache-2.0
 *
 * Round robin is exact and smooth and saves no turns; least request finds the idle target; workers
 * with other seeds do not march in line.
 */
#include "test_balance.h"

static void exact_each_cycle(void **state)
{
    static const uint32_t weights[] = {5, 1, 1, 3};
    uint32_t counts[4];
    struct group group;

    (void)state;
    group_init(&group, "round_robin", 4, weights);
    for (int cycle = 0; cycle < 1000; cycle++) {
        count_picks(&group, 10, 0, counts);
        assert_memory_equal(counts, weights, sizeof(counts));
    }
    group_fini(&group);
}

static void smooth(void **state)
{
    static const uint32_t weights[] = {8, 1, 1};
    struct group group;
    int run = 0;

    (void)state;
    group_init(&group, "round_robin", 3, weights);
    for (int i = 0; i < 1000; i++) {
        run = group_pick(&group, 0, 0) == 0 ? run + 1 : 0;
        assert_true(run <= 8);
    }
    group_fini(&group);
    group_init(&group, "round_robin", 3, NULL);
    for (int i = 0, last = -1; i < 100; i++) {
        int target = group_pick(&group, 0, 0);

        assert_int_not_equal(target, last);
        last = target;
    }
    group_fini(&group);
}

static void no_turns_saved_up(void **state)
{
    uint32_t counts[20];
    struct group group;

    (void)state;
    group_init(&group, "round_robin", 20, NULL);
    for (uint32_t i = 0; i < 18; i++)
        group.targets[i].is_out = true;
    count_picks(&group, 5000, 0, counts);
    for (uint32_t i = 0; i < 18; i++)
        group.targets[i].is_out = false;
    count_picks(&group, 40, 0, counts);
    for (uint32_t i = 0; i < 20; i++)
        assert_in_range(counts[i], 1, 3);
    group_fini(&group);
}

static void retry_keeps_the_turn(void **state)
{
    struct group group;
    int first, second;

    (void)state;
    group_init(&group, "round_robin", 3, NULL);
    first = group_pick(&group, 0, 0);
    second = group_pick(&group, 0, 0);
    group_start(&group, 1);
    assert_int_not_equal(group_pick(&group, 0, UINT64_C(1) << first), first);
    assert_int_equal(group_pick(&group, 0, 0), first);
    assert_int_not_equal(first, second);
    group_fini(&group);
}

static void seeds_differ(void **state)
{
    static const char *const names[] = {"round_robin", "random", "least_request"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool was[16] = {false};
        struct group group;
        int different = 0;

        group_init(&group, names[i], 16, NULL);
        for (uint64_t seed = 0; seed < 64; seed++) {
            int target;

            group_start(&group, seed);
            target = group_pick(&group, 0, 0);
            different += !was[target];
            was[target] = true;
        }
        assert_true(different >= 12);
        group_fini(&group);
    }
}

static void less_load_wins(void **state)
{
    static const uint32_t weights[] = {1, 2};
    struct group group;

    (void)state;
    group_init(&group, "least_request", 2, weights);
    group.targets[0].load = 3;
    group.targets[1].load = 5;
    for (int i = 0; i < 100; i++)
        assert_int_equal(group_pick(&group, 0, 0), 1);
    group.targets[1].load = 7;
    for (int i = 0; i < 100; i++)
        assert_int_equal(group_pick(&group, 0, 0), 0);
    assert_int_equal(group_pick(&group, 0, 1), 1);
    group_fini(&group);
}

// With two choices the fullest of n targets holds little more than the mean; with one it holds much
// more.
static void two_choices_level_the_load(void **state)
{
    struct group group;
    uint32_t max = 0;

    (void)state;
    group_init(&group, "least_request", 100, NULL);
    for (int i = 0; i < 10000; i++)
        group.targets[group_pick(&group, 0, 0)].load++;
    for (uint32_t i = 0; i < group.n; i++)
        max = group.targets[i].load > max ? group.targets[i].load : max;
    assert_in_range(max, 101, 105);
    group_fini(&group);
}

// Requests end at random while as many begin: from all load on one target to nearly equal load in
// as many steps as there are requests, times a few.
static void lopsided_load_levels(void **state)
{
    enum { TARGETS = 20, EACH = 50 };
    static int owners[TARGETS * EACH]; // the target of each request under way
    struct group group;
    uint64_t seed = 1;

    (void)state;
    group_init(&group, "least_request", TARGETS, NULL);
    memset(owners, 0, sizeof(owners));
    group.targets[0].load = ARRAY_LEN(owners);
    for (unsigned step = 0; step < 5 * ARRAY_LEN(owners); step++) {
        int *owner = &owners[random_below(&seed, ARRAY_LEN(owners))];

        group.targets[*owner].load--;
        *owner = group_pick(&group, 0, 0);
        group.targets[*owner].load++;
    }
    for (uint32_t i = 0; i < TARGETS; i++)
        assert_in_range(group.targets[i].load, EACH * 8 / 10, EACH * 12 / 10);
    group_fini(&group);
}

// A target that takes ten times as long is left with little more than its part in flight, a tenth
// of the requests that the others get.
static void slow_target_gets_less(void **state)
{
    enum { TARGETS = 4, REQUESTS = 40000, SLOW = 10 };
    uint32_t counts[TARGETS] = {0};
    struct group group;
    uint64_t seed = 1;

    (void)state;
    group_init(&group, "least_request", TARGETS, NULL);
    for (unsigned i = 0; i < REQUESTS; i++) {
        int target = group_pick(&group, 0, 0);

        group.targets[target].load++;
        counts[target]++;
        // Each request ends in a step with a chance of one in ten, or in a hundred.
        for (uint32_t j = 0; j < TARGETS; j++)
            for (uint32_t k = group.targets[j].load; k; k--)
                group.targets[j].load -= random_below(&seed, j ? 10 : 10 * SLOW) == 0;
    }
    for (uint32_t j = 1; j < TARGETS; j++)
        assert_in_range(counts[j], REQUESTS / 4, REQUESTS / 3);
    assert_in_range(counts[0], REQUESTS / 40, REQUESTS / 15);
    group_fini(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_each_cycle),
        cmocka_unit_test(smooth),
        cmocka_unit_test(no_turns_saved_up),
        cmocka_unit_test(retry_keeps_the_turn),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(less_load_wins),
        cmocka_unit_test(two_choices_level_the_load),
        cmocka_unit_test(lopsided_load_levels),
        cmocka_unit_test(slow_target_gets_less),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
