/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in which a release takes the old one's place: recreate, rolling, the platform's own, and
 * staging before.
 */
#include "test_deploy.h"

static void test_recreate(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    plan.manner = DEPLOY_STOPS_FIRST;
    run_to(&world, DEPLOY_START);
    react(&world);
    assert_true(!world.wants.old_runs && world.wants.new_runs);
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    world = world_of(&plan);
    world.never_up = true;
    world.path[0] = '\0';
    run(&world); /* the old one is started again, after the new one is gone */
    expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
    assert_non_null(strstr(world.path, "removing the new release, starting the old release again, "
                                       "undone"));
}

static void test_rolling(void **state)
{
    struct deploy_plan plan = rolling();
    struct world world = world_of(&plan);

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        run_to(&world, DEPLOY_HEALTHY);
        react(&world);
        assert_int_equal(world.state.step, i);
        assert_int_equal(world.wants.new_part, DEPLOY_WHOLE / 4 * (i + 1));
        assert_int_equal(world.wants.old_part, DEPLOY_WHOLE / 4 * (4 - i));
        assert_int_equal(world.wants.new_share, DEPLOY_WHOLE / 4 * i);
        run_to(&world, DEPLOY_WATCH);
        react(&world);
        assert_int_equal(world.wants.old_part, DEPLOY_WHOLE / 4 * (3 - i));
    }
    assert_int_equal(world.hooks[DEPLOY_HOOK_SMOKE], 1);
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    assert_null(strstr(world.path, "stopping the old release"));
}

static void test_rolling_back_unit_by_unit(void **state)
{
    struct deploy_plan plan = rolling();

    (void)state;
    for (uint32_t step = 0; step < 4; step++) {
        struct world world = world_of(&plan);

        while (world.state.step < step || world.state.phase != DEPLOY_HEALTHY)
            tick(&world, DEPLOY_SAYS_NOTHING);
        world.never_up = true;
        run_to(&world, step ? DEPLOY_REFILL : DEPLOY_UNDO);
        react(&world);
        assert_int_equal(world.wants.new_share, DEPLOY_WHOLE / 4 * step);
        assert_int_equal(world.wants.old_part, DEPLOY_WHOLE);
        run(&world);
        expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
    }
}

static void test_an_old_one_that_cannot_come_back(void **state)
{
    struct deploy_plan plan = rolling();
    struct world world = world_of(&plan);

    (void)state;
    run_to(&world, DEPLOY_KEEP);
    world = world_of(&plan);
    world.old_dies = true;
    run_to(&world, DEPLOY_BAKE);
    tick(&world, DEPLOY_SAYS_ROLLBACK);
    assert_int_equal(world.state.phase, DEPLOY_REFILL);
    react(&world);
    assert_int_equal(world.wants.new_share, DEPLOY_WHOLE); /* it serves until then */
    run(&world);                                           /* some of it has to do */
    expect(&world, DEPLOY_UNDONE, DEPLOY_ROLLED_BACK);
}

static void test_platform(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    plan.manner = DEPLOY_PLATFORM;
    run_to(&world, DEPLOY_START);
    react(&world);
    assert_int_equal(world.wants.old_units, DEPLOY_UNITS_LEAVE);
    assert_true(world.wants.old_runs && world.wants.new_runs);
    run_to(&world, DEPLOY_WATCH);
    react(&world);
    assert_int_equal(world.wants.old_units, DEPLOY_UNITS_STOP);
    run_to(&world, DEPLOY_BAKE);
    tick(&world, DEPLOY_SAYS_ROLLBACK);
    react(&world);
    assert_int_equal(world.state.phase, DEPLOY_REFILL);
    assert_int_equal(world.wants.old_units, DEPLOY_UNITS_RUN);
    assert_int_equal(world.wants.new_units, DEPLOY_UNITS_LEAVE);
    run(&world);
    expect(&world, DEPLOY_UNDONE, DEPLOY_ROLLED_BACK);
}

static void test_staging(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    plan.has_staging = true;
    world.staging = DEPLOY_RUNS;
    for (unsigned i = 0; i < 100; i++)
        tick(&world, DEPLOY_SAYS_NOTHING);
    assert_int_equal(world.state.phase, DEPLOY_STAGE);
    assert_false(world.wants.new_runs);
    world.staging = DEPLOY_GOOD;
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    world = world_of(&plan);
    world.staging = DEPLOY_BAD;
    run(&world);
    expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
    assert_int_equal(world.hooks[DEPLOY_HOOK_REGRESSION], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recreate),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_rolling_back_unit_by_unit),
        cmocka_unit_test(test_an_old_one_that_cannot_come_back),
        cmocka_unit_test(test_platform),
        cmocka_unit_test(test_staging),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
