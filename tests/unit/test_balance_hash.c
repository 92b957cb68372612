/* SPDX-License-Identifier: Apache-2.0
 *
 * Consistent hashing: few keys move, the order of the file does not matter, workers agree.
 */
#include "test_balance.h"

enum { KEYS = 20000 };

// The share of keys whose target (by id) differs between two groups.
static double moved(struct group *a, struct group *b)
{
    uint32_t count = 0;

    for (uint64_t key = 0; key < KEYS; key++) {
        int left = group_pick(a, key, 0), right = group_pick(b, key, 0);

        count += a->targets[left].id_hash != b->targets[right].id_hash;
    }
    return (double)count / KEYS;
}

static double share_of_last(const struct group *group)
{
    double total = 0;

    for (uint32_t i = 0; i < group->n; i++)
        total += group->targets[i].weight;
    return group->targets[group->n - 1].weight / total;
}

static void little_moves(void **state)
{
    static const uint32_t sizes[] = {2, 3, 5, 10, 33, 100, 512, 513, 4096};

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        uint32_t n = sizes[i / 2], weights[BALANCER_TARGETS_MAX];
        struct group with, without;
        double share;

        for (uint32_t j = 0; j < n; j++)
            weights[j] = i % 2 ? 1 + j * 7 % 10 : 1;
        group_init(&with, "hash", n, weights);
        group_init(&without, "hash", n - 1, weights);
        share = moved(&with, &without);
        assert_true(share <= share_of_last(&with) + 0.05);
        assert_true(share >= share_of_last(&with) * 0.8);
        group_fini(&with);
        group_fini(&without);
    }
}

static void out_moves_only_its_own(void **state)
{
    uint32_t counts[10];
    struct group all, some;

    (void)state;
    group_init(&all, "hash", 10, NULL);
    group_init(&some, "hash", 10, NULL);
    some.targets[3].is_out = true;
    for (uint64_t key = 0; key < KEYS; key++) {
        int target = group_pick(&all, key, 0);

        if (target != 3)
            assert_int_equal(group_pick(&some, key, 0), target);
        // A retry goes where the key would go if its target were out.
        if (target == 3)
            assert_int_equal(group_pick(&some, key, 0), group_pick(&all, key, 1 << 3));
    }
    count_picks(&some, KEYS, 0, counts);
    assert_true(chi_square(&some, counts, KEYS) < 26.1); // 8 degrees of freedom, one in a thousand
    group_fini(&all);
    group_fini(&some);
}

static void order_and_seed_do_not_matter(void **state)
{
    enum { N = 40 };
    uint32_t weights[N];

    (void)state;
    for (uint32_t kind = 0; kind < 2; kind++) {
        struct group a, b;

        for (uint32_t i = 0; i < N; i++)
            weights[i] = kind ? 1 + i % 5 : 1;
        group_init(&a, "hash", N, weights);
        group_init(&b, "hash", N, weights);
        for (uint32_t i = 0; i < N; i++)
            b.targets[i] = a.targets[N - 1 - i];
        group_start(&b, 12345);
        assert_true(moved(&a, &b) == 0);
        group_fini(&a);
        group_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_moves),
        cmocka_unit_test(out_moves_only_its_own),
        cmocka_unit_test(order_and_seed_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
