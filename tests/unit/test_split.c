/* SPDX-License-Identifier: Apache-2.0
 *
 * The split: shares are kept, nobody goes back when one grows, and the choice hangs on the client,
 * the service and the releases' ids alone.
 */
#include "edge/split.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { CLIENTS = 100000 };

static struct split make(struct str service, uint32_t stable, uint32_t canary, uint32_t third)
{
    struct split split = {0};

    split_add(&split, service, STR("stable"), stable);
    split_add(&split, service, STR("canary"), canary);
    split_add(&split, service, STR("43"), third);
    return split;
}

static uint64_t client(uint32_t number)
{
    return random_mix(number + 1);
}

static void count(const struct split *split, uint32_t counts[SPLIT_MAX])
{
    memset(counts, 0, SPLIT_MAX * sizeof(*counts));
    for (uint32_t i = 0; i < CLIENTS; i++)
        counts[split_pick(split, client(i))]++;
}

/* Within four standard deviations of a binomial. */
static void assert_share(uint32_t count, double share)
{
    double mean = CLIENTS * share, sigma = sqrt(CLIENTS * share * (1 - share));

    assert_true(fabs(count - mean) < 4 * sigma);
}

static void test_shares_are_kept(void **state)
{
    static const uint32_t canaries[] = {1, 5, 25, 50, 99};
    uint32_t counts[SPLIT_MAX];
    struct split split;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(canaries); i++) {
        split = make(STR("shop"), 100 - canaries[i], canaries[i], 0);
        count(&split, counts);
        assert_share(counts[1], canaries[i] / 100.0);
        assert_int_equal(counts[2], 0);
    }
    split = make(STR("shop"), 1, 1, 1);
    count(&split, counts);
    for (unsigned i = 0; i < 3; i++)
        assert_share(counts[i], 1 / 3.0);
    split = make(STR("shop"), 999, 1, 0);
    count(&split, counts);
    assert_share(counts[1], 0.001);
}

static void test_nobody_moves_back(void **state)
{
    static const uint32_t steps[] = {0, 1, 5, 25, 50, 75, 100};

    (void)state;
    for (size_t s = 1; s < ARRAY_LEN(steps); s++) {
        struct split before = make(STR("shop"), 100 - steps[s - 1], steps[s - 1], 7);
        struct split after = make(STR("shop"), 100 - steps[s], steps[s], 7);

        for (uint32_t i = 0; i < CLIENTS; i++)
            if (split_pick(&before, client(i)) == 1)
                assert_int_equal(split_pick(&after, client(i)), 1);
    }
}

/* Other clients are first on the next release, and on that of another service. */
static void test_choices_do_not_hang_together(void **state)
{
    struct split shop = make(STR("shop"), 90, 10, 0), api = make(STR("api"), 90, 10, 0);
    struct split next = {0};
    uint32_t both = 0, again = 0;

    (void)state;
    split_add(&next, STR("shop"), STR("stable"), 90);
    split_add(&next, STR("shop"), STR("44"), 10);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        bool is_on = split_pick(&shop, client(i)) == 1;

        both += is_on && split_pick(&api, client(i)) == 1;
        again += is_on && split_pick(&next, client(i)) == 1;
    }
    assert_share(both, 0.01);
    /* what both look at, the score on stable, is the same: those who like stable least come first
     */
    assert_true(again < CLIENTS / 10 * 3 / 4);
}

static void test_ends(void **state)
{
    struct split none = make(STR("shop"), 0, 0, 0), whole = make(STR("shop"), 0, 0, 3);

    (void)state;
    assert_int_equal(split_pick(&none, 1), 0);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(split_pick(&whole, client(i)), 2);
    assert_int_equal(split_pick(&whole, 0), 2);
    assert_int_equal(split_pick(&whole, UINT64_MAX), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_are_kept),
        cmocka_unit_test(test_nobody_moves_back),
        cmocka_unit_test(test_choices_do_not_hang_together),
        cmocka_unit_test(test_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
