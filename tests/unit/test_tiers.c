/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiers: a table of cases, what holds for every mix of standings, spilling, panic at its edges, and
 * picks.
 */
#include "edge/balance/tiers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { TIERS_MAX = 8 };

static const uint64_t whole = UINT64_C(1) << 32;
static const struct tiers_rule usual = {.panic_ppm = 500000, .spill_ppm = 700000};
static const struct tiers_rule calm = {.panic_ppm = 0, .spill_ppm = 700000};

struct world {
    struct tiers_target targets[64];
    struct tier tiers[TIERS_MAX];
    uint32_t n, tier_count;
};

/* Targets of weight 1 in words: a letter a target, a blank between tiers. */
static struct world world_of(const char *letters)
{
    static const char standings[] = "ued?x"; /* up, ejected, down, unknown, drained */
    struct world world = {.n = 0};
    uint16_t tier = 0;

    for (; *letters; letters++) {
        if (*letters == ' ')
            tier = (uint16_t)(tier + 5);
        else
            world.targets[world.n++] =
                (struct tiers_target){1, tier, (uint8_t)(strchr(standings, *letters) - standings),
                                      true};
    }
    world.tier_count = tiers_split(world.targets, world.n, world.tiers);
    return world;
}

static enum tiers_mode weigh(struct world *world, const struct tiers_rule *rule)
{
    return tiers_weigh(rule, world->targets, world->n, world->tiers, world->tier_count);
}

/* In thousandths, rounded. */
static unsigned share(const struct world *world, uint32_t tier)
{
    uint64_t before = tier ? world->tiers[tier - 1].upto : 0;

    return (unsigned)(((world->tiers[tier].upto - before) * 1000 + whole / 2) / whole);
}

struct instance {
    const char *targets;
    const struct tiers_rule *rule;
    enum tiers_mode mode;
    const char *in; /* a letter a target: which are in */
    unsigned shares[3];
};

static const struct instance instances[] = {
    {"uuuu", &usual, TIERS_NORMAL, "iiii", {1000}},
    {"uudd", &usual, TIERS_NORMAL, "ii..", {1000}},
    {"uddd", &usual, TIERS_PANIC, "iiii", {1000}},
    {"uddd", &calm, TIERS_NORMAL, "i...", {1000}},
    {"ueee", &usual, TIERS_PANIC, "iiii", {1000}},
    {"eedd", &calm, TIERS_EJECTED_USED, "ii..", {1000}},
    {"eedd", &usual, TIERS_PANIC, "iiii", {1000}},
    {"dddd", &usual, TIERS_PANIC, "iiii", {1000}},
    {"dddd", &calm, TIERS_NONE, "....", {0}},
    {"dd??", &calm, TIERS_UNKNOWN, "....", {0}},
    {"dd??", &usual, TIERS_PANIC, "ii..", {1000}},
    {"????", &usual, TIERS_UNKNOWN, "....", {0}},
    {"xxxx", &usual, TIERS_NONE, "....", {0}},
    {"xx??", &usual, TIERS_UNKNOWN, "....", {0}},
    {"", &usual, TIERS_NONE, "", {0}},
    // Drained ones count nowhere: neither in a panic nor in what a tier can take.
    {"uxxxxxxx u", &usual, TIERS_NORMAL, "i.......i", {1000, 0}},
    {"dxx", &usual, TIERS_PANIC, "i..", {1000}},
    // Unknown ones do not count in a panic.
    {"u????", &usual, TIERS_NORMAL, "i....", {1000}},
    {"ud????", &usual, TIERS_NORMAL, "i.....", {1000}},
    // The first tier takes all while it has enough, then its part of that.
    {"uuuuuuuddd uu", &usual, TIERS_NORMAL, "iiiiiii...ii", {1000, 0}},
    {"uuuuuudddd uu", &usual, TIERS_NORMAL, "iiiiii....ii", {857, 143}},
    {"uuuuuudddd ud", &usual, TIERS_NORMAL, "iiiiii....i.", {857, 143}},
    {"uuuuueeeee uu uu", &usual, TIERS_NORMAL, "iiiii.....iiii", {714, 286, 0}},
    {"udddddddddd ud uu", &calm, TIERS_NORMAL, "i..........i.ii", {130, 714, 156}},
    // Failover: the others stand for a tier that is gone, however large it was.
    {"dddddddddd u", &usual, TIERS_NORMAL, "..........i", {0, 1000}},
    {"dddddddddd dd uuud", &usual, TIERS_NORMAL, "............iii.", {0, 0, 1000}},
    {"xx uu", &usual, TIERS_NORMAL, "..ii", {0, 1000}},
    // Not enough in all tiers together: all shares grow alike.
    {"uddddddddd uddddddddd", &calm, TIERS_NORMAL, "i.........i.........", {500, 500}},
    {"uudddddddd uddddddddd", &calm, TIERS_NORMAL, "ii........i.........", {667, 333}},
    {"dddd uddddddddd", &calm, TIERS_NORMAL, "....i.........", {0, 1000}},
    // Panic: by weight, and what is unknown or drained stays out.
    {"uddd uddddd", &usual, TIERS_PANIC, "iiiiiiiiii", {400, 600}},
    {"dd? dx ??", &usual, TIERS_PANIC, "ii.i...", {667, 333, 0}},
    // A tier that is all new neither takes a share nor stands for its tier.
    {"?? uu", &usual, TIERS_NORMAL, "..ii", {0, 1000}},
    {"u??? uu", &usual, TIERS_NORMAL, "i...ii", {357, 643}},
    {"uu ??", &usual, TIERS_NORMAL, "ii..", {1000, 0}},
    {"dd ??", &calm, TIERS_UNKNOWN, "....", {0, 0}},
    // What is ejected is used by tiers as well.
    {"eedd ee", &calm, TIERS_EJECTED_USED, "ii..ii", {714, 286}},
    {"d e", &calm, TIERS_EJECTED_USED, ".i", {0, 1000}},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(instances); i++) {
        const struct instance *instance = &instances[i];
        struct world world = world_of(instance->targets);
        enum tiers_mode mode = weigh(&world, instance->rule);

        if (mode != instance->mode)
            fail_msg("%s: mode %d", instance->targets, (int)mode);
        for (uint32_t j = 0; j < world.n; j++)
            if (world.targets[j].is_out != (instance->in[j] == '.'))
                fail_msg("%s: target %u", instance->targets, j);
        for (uint32_t j = 0; j < world.tier_count; j++)
            if (share(&world, j) != instance->shares[j])
                fail_msg("%s: tier %u has %u", instance->targets, j, share(&world, j));
    }
}

static void split(void **state)
{
    struct world world = world_of("uu d xxx");
    struct tier none[1];

    (void)state;
    assert_int_equal(world.tier_count, 3);
    assert_int_equal(world.tiers[0].first, 0);
    assert_int_equal(world.tiers[0].count, 2);
    assert_int_equal(world.tiers[1].first, 2);
    assert_int_equal(world.tiers[1].count, 1);
    assert_int_equal(world.tiers[2].first, 3);
    assert_int_equal(world.tiers[2].count, 3);
    assert_int_equal(tiers_split(world.targets, 0, none), 0);
    assert_int_equal(tiers_pick(none, 0, 7), 0);
}

/* Shares that make up the whole, and only where something is in. */
static void check_shares(const struct world *world, enum tiers_mode mode)
{
    bool is_served = mode != TIERS_UNKNOWN && mode != TIERS_NONE;
    uint64_t before = 0;

    for (uint32_t i = 0; i < world->tier_count; i++) {
        const struct tier *tier = &world->tiers[i];
        bool has_in = false;

        for (uint32_t j = tier->first; j < tier->first + tier->count; j++)
            has_in |= !world->targets[j].is_out;
        assert_true(tier->upto >= before);
        assert_true(has_in || tier->upto == before);
        before = tier->upto;
    }
    assert_int_equal(before, is_served ? whole : 0);
}

/* Every mix of standings in three tiers of one, two and two targets. */
static void every_mix(void **state)
{
    static const uint16_t tiers[] = {0, 1, 1, 2, 2};

    (void)state;
    for (unsigned mix = 0; mix < 2 * 3125; mix++) {
        const struct tiers_rule *rule = mix % 2 ? &usual : &calm;
        struct world world = {.n = 5};
        unsigned rest = mix / 2, up = 0;
        enum tiers_mode mode;

        for (unsigned i = 0; i < 5; i++, rest /= 5) {
            world.targets[i] = (struct tiers_target){1 + i, tiers[i], (uint8_t)(rest % 5), false};
            up += rest % 5 == STANDING_UP;
        }
        world.tier_count = tiers_split(world.targets, world.n, world.tiers);
        mode = weigh(&world, rule);
        check_shares(&world, mode);
        assert_int_equal(mode == TIERS_NORMAL, up && mode != TIERS_PANIC);
        assert_true(mode != TIERS_PANIC || rule == &usual);
        for (unsigned i = 0; i < 5; i++)
            if (world.targets[i].standing >= STANDING_UNKNOWN)
                assert_true(world.targets[i].is_out);
    }
}

/* The more of the first tier is down, the less it takes, and the second takes the rest. */
static void spill_is_monotone(void **state)
{
    enum { N = 1000 };
    static struct tiers_target targets[N + 1];
    uint64_t last = whole;

    (void)state;
    for (uint32_t i = 0; i <= N; i++)
        targets[i] = (struct tiers_target){3, i == N, STANDING_UP, false};
    for (uint32_t down = 0; down <= N; down++) {
        struct tier tiers[2];

        assert_int_equal(tiers_split(targets, N + 1, tiers), 2);
        assert_int_equal(tiers_weigh(&usual, targets, N + 1, tiers, 2), TIERS_NORMAL);
        assert_int_equal(tiers[1].upto, whole);
        assert_true(tiers[0].upto <= last);
        assert_int_equal(tiers[0].upto == whole, N - down >= 700);
        assert_int_equal(tiers[0].upto == 0, down == N);
        last = tiers[0].upto;
        if (down < N)
            targets[down].standing = STANDING_DOWN;
    }
}

/* At each threshold, with this many of 100 up. */
static void panic_edges(void **state)
{
    (void)state;
    for (uint32_t ppm = 0; ppm <= 1000000; ppm += 10000) {
        for (uint32_t up = 0; up <= 100; up++) {
            struct tiers_rule rule = {.panic_ppm = ppm, .spill_ppm = 700000};
            struct tiers_target targets[100];
            struct tier tier = {0, 100, 0};
            bool is_panic = ppm && up * 10000 < ppm;
            enum tiers_mode wanted = is_panic ? TIERS_PANIC : up ? TIERS_NORMAL : TIERS_NONE;

            for (uint32_t i = 0; i < 100; i++)
                targets[i] =
                    (struct tiers_target){7, 0, i < up ? STANDING_UP : STANDING_DOWN, false};
            assert_int_equal(tiers_weigh(&rule, targets, 100, &tier, 1), wanted);
            assert_int_equal(targets[99].is_out, !is_panic && up < 100);
            assert_int_equal(tier.upto, wanted == TIERS_NONE ? 0 : whole);
        }
    }
}

/* Weight counts, not number. */
static void panic_by_weight(void **state)
{
    struct world world = world_of("ud");

    (void)state;
    world.targets[0].weight = 999;
    world.targets[1].weight = 1000;
    assert_int_equal(weigh(&world, &usual), TIERS_PANIC);
    world.targets[0].weight = 1000;
    assert_int_equal(weigh(&world, &usual), TIERS_NORMAL);
}

static void spill_at_its_edges(void **state)
{
    struct tiers_rule rule = {.spill_ppm = 0};
    struct world world = world_of("uddd u");

    (void)state;
    weigh(&world, &rule);
    assert_int_equal(share(&world, 0), 1000); // one is enough
    rule.spill_ppm = 1000000;
    weigh(&world, &rule);
    assert_int_equal(share(&world, 0), 250);
    rule.spill_ppm = UINT32_MAX; // more than there can be: shares grow alike
    weigh(&world, &rule);
    assert_int_equal(share(&world, 0), 200);
    assert_int_equal(world.tiers[1].upto, whole);
}

static void largest(void **state)
{
    static const struct tiers_rule never = {.spill_ppm = UINT32_MAX};
    struct tiers_target *targets = calloc(BALANCER_TARGETS_MAX, sizeof(*targets));
    struct tier *tiers = calloc(BALANCER_TARGETS_MAX, sizeof(*tiers));
    uint32_t n = BALANCER_TARGETS_MAX;

    (void)state;
    assert_non_null(targets);
    assert_non_null(tiers);
    // A tier each, with the greatest weights there are.
    for (uint32_t i = 0; i < n; i++)
        targets[i] = (struct tiers_target){1000, (uint16_t)i, STANDING_DOWN, false};
    targets[n - 1].standing = STANDING_UP;
    assert_int_equal(tiers_split(targets, n, tiers), n);
    assert_int_equal(tiers_weigh(&usual, targets, n, tiers, n), TIERS_NORMAL);
    assert_int_equal(tiers[n - 2].upto, 0);
    assert_int_equal(tiers[n - 1].upto, whole);
    assert_int_equal(tiers_pick(tiers, n, 0), n - 1);
    targets[n - 1].standing = STANDING_DOWN;
    assert_int_equal(tiers_weigh(&usual, targets, n, tiers, n), TIERS_PANIC);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(tiers[i].upto, (i + 1) * (whole / n));
    // All in one tier, one of least weight up.
    for (uint32_t i = 0; i < n; i++)
        targets[i].tier = 0;
    targets[5] = (struct tiers_target){1, 0, STANDING_UP, false};
    assert_int_equal(tiers_split(targets, n, tiers), 1);
    assert_int_equal(tiers_weigh(&calm, targets, n, tiers, 1), TIERS_NORMAL);
    assert_int_equal(tiers[0].upto, whole);
    assert_int_equal(tiers_weigh(&never, targets, n, tiers, 1), TIERS_NORMAL);
    assert_int_equal(tiers[0].upto, whole);
    free(targets);
    free(tiers);
}

static void every_number_finds_a_tier(void **state)
{
    struct world world = world_of("uuuuuudddd dd uddd uu dd");
    unsigned counts[5] = {0};
    uint64_t seed = 1;

    (void)state;
    assert_int_equal(weigh(&world, &usual), TIERS_NORMAL);
    assert_int_equal(tiers_pick(world.tiers, 5, 0), 0);
    assert_int_equal(tiers_pick(world.tiers, 5, (uint32_t)world.tiers[0].upto - 1), 0);
    assert_int_equal(tiers_pick(world.tiers, 5, (uint32_t)world.tiers[0].upto), 2);
    assert_int_equal(tiers_pick(world.tiers, 5, UINT32_MAX), 2);
    for (unsigned i = 0; i < 100000; i++)
        counts[tiers_pick(world.tiers, 5, (uint32_t)(random_next(&seed) >> 32))]++;
    for (uint32_t i = 0; i < 5; i++)
        assert_in_range(counts[i] + 1000, share(&world, i) * 100, share(&world, i) * 100 + 2000);
    assert_int_equal(counts[1] + counts[3] + counts[4], 0);
    world = world_of("?? ??");
    weigh(&world, &usual);
    assert_int_equal(tiers_pick(world.tiers, 2, 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(split),
        cmocka_unit_test(every_mix),
        cmocka_unit_test(spill_is_monotone),
        cmocka_unit_test(panic_edges),
        cmocka_unit_test(panic_by_weight),
        cmocka_unit_test(spill_at_its_edges),
        cmocka_unit_test(largest),
        cmocka_unit_test(every_number_finds_a_tier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
