/* SPDX-License-Identifier: Apache-2.0
 *
 * The deploy machine against a small world of edges, units, hooks and people: what each kind of
 * release ends as, what is never wanted at any moment, and that whatever happens, in any order and
 * with the process killed at any point, it comes to an end.
 */
#include "test_deploy.h"

enum { RUNS = 2000 };

/* --- what becomes of releases */

static void test_good_canary(void **state)
{
    struct world world = world_of(&canary);

    (void)state;
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    assert_string_equal(world.path,
                        "regression test, pre, migrating, starting, waiting for health, smoke "
                        "test, shifting, watching, "
                        "shifting, watching, waiting for approval, shifting, watching, baking, "
                        "draining the old release, post, live, stopping the old release, done");
    for (unsigned i = 0; i < DEPLOY_HOOKS; i++)
        assert_int_equal(world.hooks[i], 1);
    assert_true(world.now_ms > (5 + 5 + 5 + 30) * MINUTE);
    assert_string_equal(world.state.actor, "ann");
}

static void test_good_bluegreen(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    memset(plan.has_hook, 0, sizeof(plan.has_hook));
    run_to(&world, DEPLOY_KEEP);
    assert_true(deploy_is_told(&world.state) && !deploy_is_over(&world.state));
    assert_true(world.wants.old_runs && world.wants.is_new_stable);
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
}

static void test_first_release(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    plan.has_old = false;
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
}

static void test_failures_before_the_switch(void **state)
{
    static const struct {
        int hook;
        bool fails_start, never_up, is_ill;
        enum deploy_verdict verdict;
        const char *why;
    } cases[] = {
        {DEPLOY_HOOK_PRE, .verdict = DEPLOY_SOUND, .why = "a hook failed"},
        {DEPLOY_HOOK_MIGRATE, .verdict = DEPLOY_SOUND, .why = "a hook failed"},
        {DEPLOY_HOOK_SMOKE, .verdict = DEPLOY_SOUND, .why = "a hook failed"},
        {-1, .fails_start = true, .why = "the new release could not be started"},
        {-1, .never_up = true, .why = "the new release did not become healthy in time"},
        {-1, .is_ill = true, .why = "the new release does not answer as it should"},
        {-1, .verdict = DEPLOY_WORSE, .why = "the new release is worse than the old one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct world world = world_of(&canary);

        if (cases[i].hook >= 0)
            world.fails_hook[cases[i].hook] = true;
        world.fails_start = cases[i].fails_start;
        world.never_up = cases[i].never_up;
        world.is_ill = cases[i].is_ill;
        world.verdict = cases[i].verdict;
        run(&world);
        expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
        assert_string_equal(world.state.why, cases[i].why);
        assert_false(world.state.is_switched);
    }
}

static void test_hook_after_the_switch_changes_nothing(void **state)
{
    struct world world = world_of(&canary);

    (void)state;
    world.fails_hook[DEPLOY_HOOK_POST] = true;
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    assert_string_equal(world.state.why, "the last hook failed");
}

/* --- the watchdog */

static void test_watchdog(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world = world_of(&plan);

    (void)state;
    run_to(&world, DEPLOY_BAKE);
    world.is_ill = world.is_cured = true;
    run(&world); /* a restart was enough */
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    assert_true(world.state.restarted_ms > 0);

    world = world_of(&plan);
    run_to(&world, DEPLOY_KEEP);
    world.is_ill = true;
    run(&world);
    expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);

    plan.is_breaking = true; /* there is no way back */
    world = world_of(&plan);
    run_to(&world, DEPLOY_KEEP);
    world.is_ill = true;
    run_to(&world, DEPLOY_STUCK);
    assert_true(deploy_is_asking(&world.state));
    react(&world);
    assert_true(world.wants.new_runs && world.wants.old_runs && world.wants.is_new_stable);
    assert_non_null(deploy_refusal(&plan, &world.state, DEPLOY_SAYS_ROLLBACK));
    world.is_ill = false;
    tick(&world, DEPLOY_SAYS_RETRY);
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
}

static void test_a_person_lets_it_stay_as_it_is(void **state)
{
    struct deploy_plan plan = bluegreen();
    struct world world;

    (void)state;
    plan.has_old = false; /* nothing to go back to */
    world = world_of(&plan);
    run_to(&world, DEPLOY_BAKE);
    world.is_ill = true;
    run_to(&world, DEPLOY_STUCK);
    tick(&world, DEPLOY_SAYS_APPROVE);
    run(&world); /* it is as ill as before */
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
}

static void test_an_edge_that_refuses_is_not_waited_for_without_end(void **state)
{
    struct world world = world_of(&canary);

    (void)state;
    run_to(&world, DEPLOY_START);
    for (unsigned i = 0; i < TICKS_MAX && world.state.phase == DEPLOY_START; i++) {
        struct deploy_seen seen;

        react(&world);
        world.units = DEPLOY_GOOD;
        seen = see(&world, DEPLOY_SAYS_NOTHING);
        seen.is_live = false;
        seen.refusal = "422 too many";
        world.state = deploy_next(&canary, &world.state, &seen);
        world.now_ms += SECOND;
    }
    assert_string_equal(world.state.why, "an edge refuses it: 422 too many");
    run(&world);
    expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
}

/* --- data */

static void test_not_enough_data(void **state)
{
    struct deploy_plan plan = canary;
    struct world world = world_of(&plan);

    (void)state;
    world.verdict = DEPLOY_UNSURE;
    run_to(&world, DEPLOY_ASK_DATA);
    assert_true(world.now_ms >= 30 * MINUTE);
    for (unsigned i = 0; i < 3600; i++)
        tick(&world, DEPLOY_SAYS_NOTHING); /* it ends in a question, and waits */
    expect(&world, DEPLOY_ASK_DATA, DEPLOY_ON);
    tick(&world, DEPLOY_SAYS_RETRY);
    expect(&world, DEPLOY_WATCH, DEPLOY_ON);
    run_to(&world, DEPLOY_ASK_DATA);
    tick(&world, DEPLOY_SAYS_APPROVE);
    expect(&world, DEPLOY_SHIFT, DEPLOY_ON);
    run_to(&world, DEPLOY_ASK_DATA);
    world.verdict = DEPLOY_SOUND; /* what comes in the meantime counts */
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);

    plan.on_no_data = DEPLOY_FAIL;
    world = world_of(&plan);
    world.verdict = DEPLOY_UNSURE;
    run(&world);
    expect(&world, DEPLOY_UNDONE, DEPLOY_FAILED);
    assert_string_equal(world.state.why, "there were too few requests to tell");

    plan.on_no_data = DEPLOY_PASS;
    world = world_of(&plan);
    world.verdict = DEPLOY_UNSURE;
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
}

/* --- words */

static void test_abort_and_rollback_at_every_phase(void **state)
{
    static const enum deploy_word words[] = {DEPLOY_SAYS_ABORT, DEPLOY_SAYS_ROLLBACK};

    (void)state;
    for (unsigned w = 0; w < 2; w++)
        for (unsigned at = 0; at < 4000; at += 3) {
            struct world world = world_of(&canary);
            bool is_taken;

            for (unsigned i = 0; i < at && !deploy_is_over(&world.state); i++)
                tick(&world, world.state.phase == DEPLOY_APPROVE ? DEPLOY_SAYS_APPROVE
                                                                 : DEPLOY_SAYS_NOTHING);
            if (deploy_is_over(&world.state))
                break;
            is_taken = !deploy_refusal(&canary, &world.state, words[w]);
            assert_true(is_taken || world.state.phase == DEPLOY_STOP);
            tick(&world, words[w]);
            run(&world);
            expect(&world, is_taken ? DEPLOY_UNDONE : DEPLOY_DONE,
                   !is_taken ? DEPLOY_ON
                   : w       ? DEPLOY_ROLLED_BACK
                             : DEPLOY_ABORTED);
        }
}

static void test_promote(void **state)
{
    struct world world = world_of(&canary);

    (void)state;
    world.verdict = DEPLOY_UNSURE;
    run_to(&world, DEPLOY_WATCH);
    assert_non_null(deploy_refusal(&canary, &world.state, DEPLOY_SAYS_APPROVE));
    tick(&world, DEPLOY_SAYS_APPROVE); /* is not heard */
    expect(&world, DEPLOY_WATCH, DEPLOY_ON);
    tick(&world, DEPLOY_SAYS_PROMOTE);
    run_to(&world, DEPLOY_WATCH);
    tick(&world, DEPLOY_SAYS_PROMOTE);
    expect(&world, DEPLOY_APPROVE, DEPLOY_ON);
    tick(&world, DEPLOY_SAYS_PROMOTE);
    run_to(&world, DEPLOY_BAKE);
    tick(&world, DEPLOY_SAYS_PROMOTE);
    tick(&world, DEPLOY_SAYS_NOTHING);
    run_to(&world, DEPLOY_KEEP);
    assert_true(world.now_ms < 2 * MINUTE);
}

static void test_migration_that_was_lost(void **state)
{
    struct world world = world_of(&canary);

    (void)state;
    run_to(&world, DEPLOY_MIGRATE);
    tick(&world, DEPLOY_SAYS_NOTHING);
    assert_true(world.state.is_hook_begun);
    world.hook = DEPLOY_LOST; /* control was killed under it */
    tick(&world, DEPLOY_SAYS_NOTHING);
    expect(&world, DEPLOY_STUCK, DEPLOY_ON);
    react(&world);
    assert_int_equal(world.wants.hook, -1);
    tick(&world, DEPLOY_SAYS_RETRY);
    run(&world);
    expect(&world, DEPLOY_DONE, DEPLOY_ON);
    assert_int_equal(world.hooks[DEPLOY_HOOK_MIGRATE], 2);
}

/* --- anything */

static struct deploy_plan draw_plan(uint64_t *random)
{
    struct deploy_plan plan = canary;
    uint64_t bits = random_next(random);

    if (bits & 1)
        plan = bluegreen();
    else if (bits >> 20 & 1)
        plan = rolling();
    if (plan.step_count == 1)
        plan.manner = (bits >> 1 & 3) == 0   ? DEPLOY_STOPS_FIRST
                      : (bits >> 1 & 3) == 1 ? DEPLOY_PLATFORM
                                             : DEPLOY_SIDE_BY_SIDE;
    plan.has_old = (bits >> 3 & 7) != 0 || plan.step_count > 1;
    plan.is_breaking = (bits >> 6 & 3) == 0;
    plan.has_units = bits >> 8 & 1;
    plan.on_no_data = (enum deploy_no_data)(bits >> 9 & 1 ? DEPLOY_FAIL : DEPLOY_ASK);
    for (unsigned i = 0; i < DEPLOY_HOOKS; i++)
        plan.has_hook[i] = bits >> (12 + i) & 1;
    return plan;
}

/* Faults come and go; the process is killed now and then, under hooks too; people say anything. */
static enum deploy_word disturb(struct world *world)
{
    uint64_t bits = random_next(&world->random);

    if ((bits & (world->is_ill ? 31 : 1023)) == 0)
        world->is_ill = !world->is_ill;
    if ((bits >> 6 & 63) == 0)
        world->verdict = (enum deploy_verdict)(bits >> 12 & 3) % 3;
    if ((bits >> 14 & 63) == 0 && world->hook == DEPLOY_RUNS)
        world->hook = DEPLOY_LOST;
    else if (world->hook == DEPLOY_LOST && world->hook_of != DEPLOY_HOOK_MIGRATE)
        world->hook = DEPLOY_RUNS;
    if ((bits >> 20 & 127) == 0)
        world->live_in += bits >> 27 & 31;
    if ((bits >> 32 & 255) == 0)
        world->now_ms -= (int64_t)(bits >> 40 & 0xfff) * 10; // the clock is set back
    if (deploy_is_asking(&world->state))
        return (enum deploy_word)(bits >> 52) % (DEPLOY_SAYS_ROLLBACK + 1);
    return (bits >> 52 & 511) == 0 ? (enum deploy_word)(bits >> 61) % (DEPLOY_SAYS_ROLLBACK + 1)
                                   : DEPLOY_SAYS_NOTHING;
}

/* The time in which control was dead is nobody's fault, and no time in which it was watched. */
static void test_control_was_away(void **state)
{
    static const enum deploy_phase renewed[] = {DEPLOY_START, DEPLOY_HEALTHY, DEPLOY_REFILL,
                                                DEPLOY_BAKE};

    (void)state;
    for (unsigned phase = 0; phase < DEPLOY_PHASES; phase++) {
        struct deploy_state before = deploy_begin(1000), after;
        int64_t since_ms = 1000;

        before.phase = (enum deploy_phase)phase;
        for (size_t i = 0; i < ARRAY_LEN(renewed); i++)
            if (renewed[i] == before.phase)
                since_ms = 50 * MINUTE;
        after = deploy_resume(&before, 50 * MINUTE);
        assert_int_equal(after.since_ms, since_ms);
        after.since_ms = before.since_ms;
        assert_memory_equal(&after, &before, sizeof(after));
    }
}

static void test_it_always_ends(void **state)
{
    uint64_t random = 42;
    unsigned ends[DEPLOY_PHASES] = {0};

    (void)state;
    for (unsigned run_at = 0; run_at < RUNS; run_at++) {
        struct deploy_plan plan = draw_plan(&random);
        struct world world = world_of(&plan);
        unsigned ticks = 0;

        world.random = random_next(&random);
        world.now_ms = 1000 * MINUTE;
        world.state = deploy_begin(world.now_ms);
        for (; ticks < TICKS_MAX && !deploy_is_over(&world.state); ticks++)
            tick(&world, disturb(&world));
        react(&world);
        if (!deploy_is_over(&world.state))
            print_message("%s\n", world.path);
        assert_true(deploy_is_over(&world.state));
        ends[world.state.phase]++;
    }
    assert_true(ends[DEPLOY_DONE] > 20 && ends[DEPLOY_UNDONE] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_canary),
        cmocka_unit_test(test_good_bluegreen),
        cmocka_unit_test(test_first_release),
        cmocka_unit_test(test_failures_before_the_switch),
        cmocka_unit_test(test_hook_after_the_switch_changes_nothing),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_a_person_lets_it_stay_as_it_is),
        cmocka_unit_test(test_an_edge_that_refuses_is_not_waited_for_without_end),
        cmocka_unit_test(test_not_enough_data),
        cmocka_unit_test(test_abort_and_rollback_at_every_phase),
        cmocka_unit_test(test_promote),
        cmocka_unit_test(test_migration_that_was_lost),
        cmocka_unit_test(test_control_was_away),
        cmocka_unit_test(test_it_always_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
