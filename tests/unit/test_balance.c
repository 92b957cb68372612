/* SPDX-License-Identifier: Apache-2.0
 *
 * What every algorithm promises: shares by weight (chi-square, fixed seeds), nothing that is out or
 * tried, and NONE when nothing is left.
 */
#include "test_balance.h"

enum { PICKS = 40000 };

static const uint32_t weights[] = {1, 2, 3, 4, 10, 1, 7, 2};

static void registry(void **state)
{
    static const char *const names[] = {"least_request", "round_robin", "hash", "random"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_string_equal(balancer_registry[i]->name, names[i]);
        assert_ptr_equal(balancer_find((struct str){names[i], strlen(names[i])}),
                         balancer_registry[i]);
    }
    assert_null(balancer_registry[ARRAY_LEN(names)]);
    assert_null(balancer_find(STR("rando")));
    assert_null(balancer_find(STR_NONE));
}

static void shares_by_weight(void **state)
{
    (void)state;
    for (const struct balancer *const *it = balancer_registry; *it; it++) {
        uint32_t counts[ARRAY_LEN(weights)];
        struct group group;

        group_init(&group, (*it)->name, ARRAY_LEN(weights), weights);
        count_picks(&group, PICKS, 0, counts);
        // 7 degrees of freedom: 24.3 is passed once in a thousand; the seeds are fixed.
        assert_true(chi_square(&group, counts, PICKS) < 24.3);
        group.targets[4].is_out = group.targets[0].is_out = true;
        count_picks(&group, PICKS, 0, counts);
        assert_true(chi_square(&group, counts, PICKS) < 24.3);
        group_fini(&group);
    }
}

// 20 keys on five targets, each of them tried or out by its bit.
static void check_barred(struct group *group, uint64_t tried, uint64_t out)
{
    uint64_t barred = tried | out;

    for (uint32_t i = 0; i < 5; i++)
        group->targets[i].is_out = out >> i & 1;
    for (uint64_t key = 0; key < 20; key++) {
        int target = group_pick(group, key, tried);

        assert_in_range(target + 1, 0, 5);
        assert_int_equal(target == BALANCER_NONE, barred == 31);
        assert_true(target == BALANCER_NONE || !(barred >> target & 1));
    }
}

static void tried_and_out(void **state)
{
    (void)state;
    for (const struct balancer *const *it = balancer_registry; *it; it++) {
        struct group group;

        group_init(&group, (*it)->name, 5, weights);
        for (uint64_t mask = 0; mask < 1024; mask++)
            check_barred(&group, mask & 31, mask >> 5);
        group_fini(&group);
    }
}

static void none_and_one(void **state)
{
    (void)state;
    for (const struct balancer *const *it = balancer_registry; *it; it++) {
        struct group group;

        group_init(&group, (*it)->name, 0, NULL);
        assert_int_equal(group_pick(&group, 1, 0), BALANCER_NONE);
        group_fini(&group);
        group_init(&group, (*it)->name, 1, NULL);
        assert_int_equal(group_pick(&group, 1, 0), 0);
        assert_int_equal(group_pick(&group, 1, 1), BALANCER_NONE);
        group_fini(&group);
    }
}

// The bits of `tried` end at 64, and one target left among 4,096 is found.
static void many(void **state)
{
    (void)state;
    for (const struct balancer *const *it = balancer_registry; *it; it++) {
        struct group group;

        group_init(&group, (*it)->name, BALANCER_TARGETS_MAX, NULL);
        for (uint64_t key = 0; key < 1000; key++)
            assert_in_range(group_pick(&group, key, UINT64_MAX), 64, BALANCER_TARGETS_MAX - 1);
        for (uint32_t i = 0; i < group.n; i++)
            group.targets[i].is_out = i != 3333;
        for (uint64_t key = 0; key < 10; key++)
            assert_int_equal(group_pick(&group, key, UINT64_MAX), 3333);
        group.targets[3333].is_out = true;
        assert_int_equal(group_pick(&group, 1, 0), BALANCER_NONE);
        group_fini(&group);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry),      cmocka_unit_test(shares_by_weight),
        cmocka_unit_test(tried_and_out), cmocka_unit_test(none_and_one),
        cmocka_unit_test(many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
