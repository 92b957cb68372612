/* SPDX-License-Identifier: Apache-2.0
 *
 * The deploy machine against a small world of edges, units, hooks and people: what each kind of
 * release ends as, what is never wanted at any moment, and that whatever happens, in any order and
 * with the process killed at any point, it comes to an end.
 */
#include "control/deploy/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, RUNS = 2000, TICKS_MAX = 40000 };

static const struct deploy_plan canary = {
    .steps = {{.share = 50000, .for_ms = 5 * MINUTE, .is_judged = true},
              {.share = 250000, .for_ms = 5 * MINUTE, .is_judged = true},
              {.is_approval = true},
              {.share = DEPLOY_WHOLE}},
    .step_count = 4,
    .has_hook = {true, true, true, true, true},
    .has_old = true,
    .has_units = true,
    .start_ms = MINUTE,
    .healthy_ms = MINUTE,
    .judge_ms = 30 * MINUTE,
    .bake_ms = 5 * MINUTE,
    .drain_ms = 30 * SECOND,
    .keep_ms = 30 * MINUTE,
};

static struct deploy_plan bluegreen(void)
{
    struct deploy_plan plan = canary;

    plan.steps[0] = (struct deploy_step){.share = DEPLOY_WHOLE};
    plan.step_count = 1;
    return plan;
}

/* --- the world */

struct world {
    const struct deploy_plan *plan;
    struct deploy_state state;
    struct deploy_wants wants; /* the last ones */
    int64_t now_ms;
    unsigned live_in, units_in, hook_in; /* ticks until that is so */
    enum deploy_progress units, hook;
    int hook_of; /* which one runs or has run; -1: none */
    unsigned hooks[DEPLOY_HOOKS];
    uint64_t random;
    /* what it is like */
    bool fails_hook[DEPLOY_HOOKS], fails_start, never_up, old_dies;
    enum deploy_progress staging;
    enum deploy_verdict verdict;
    bool is_ill;   /* while it has requests */
    bool is_cured; /* by a restart */
    char path[2048];
};

static struct world world_of(const struct deploy_plan *plan)
{
    return (struct world){.plan = plan,
                          .state = deploy_begin(1),
                          .now_ms = 1,
                          .hook_of = -1,
                          .verdict = DEPLOY_SOUND,
                          .random = 1};
}

static bool is_same(const struct deploy_wants *a, const struct deploy_wants *b)
{
    return a->new_runs == b->new_runs && a->old_runs == b->old_runs &&
           a->new_share == b->new_share && a->is_new_stable == b->is_new_stable &&
           a->new_part == b->new_part && a->old_part == b->old_part;
}

/* What must hold at every moment. */
static void check(const struct world *world)
{
    const struct deploy_wants *wants = &world->wants;
    const struct deploy_state *state = &world->state;

    assert_true(wants->new_share <= DEPLOY_WHOLE);
    assert_true(!wants->new_share || wants->new_runs);
    if (world->plan->has_old && world->plan->manner != DEPLOY_STOPS_FIRST &&
        wants->new_share < DEPLOY_WHOLE)
        assert_true(wants->old_runs); /* whoever gets requests is there */
    if (world->plan->has_old && world->plan->manner == DEPLOY_ROLLS) {
        assert_true(wants->new_part >= wants->new_share); /* and there are enough of it */
        assert_true(wants->old_part >= DEPLOY_WHOLE - wants->new_share);
    }
    if (world->plan->manner == DEPLOY_STOPS_FIRST && world->plan->has_old)
        assert_true(!wants->old_part || !wants->new_part || !state->is_thinned);
    if (wants->is_new_stable)
        assert_int_equal(wants->new_share, DEPLOY_WHOLE);
    if (state->phase == DEPLOY_UNDONE)
        assert_true(!wants->new_runs && !wants->new_share &&
                    wants->old_runs == world->plan->has_old);
    if (state->phase == DEPLOY_DONE)
        assert_true(wants->new_runs && wants->is_new_stable && !wants->old_runs);
    assert_true(!wants->is_judged || (wants->new_share && wants->new_share < DEPLOY_WHOLE));
    if (state->way)
        assert_true(state->why[0] != '\0');
}

static void react_units(struct world *world, const struct deploy_wants *wants)
{
    if (wants->new_part > world->wants.new_part) {
        world->units = DEPLOY_RUNS;
        world->units_in = 3;
    }
    if (!wants->new_runs)
        world->units = DEPLOY_IDLE;
    if (wants->new_restarts && !world->wants.new_restarts && world->is_cured)
        world->is_ill = false;
}

/* The outside does what is wanted of it. */
static void react(struct world *world)
{
    struct deploy_wants wants = deploy_wants(world->plan, &world->state);

    if (!is_same(&wants, &world->wants))
        world->live_in = 2;
    react_units(world, &wants);
    if (wants.hook != world->hook_of) {
        world->hook_of = wants.hook;
        world->hook = wants.hook < 0 ? DEPLOY_IDLE : DEPLOY_RUNS;
        world->hook_in = 2;
        if (wants.hook >= 0)
            world->hooks[wants.hook]++;
    }
    world->wants = wants;
    check(world);
    if (world->live_in)
        world->live_in--;
    if (world->units == DEPLOY_RUNS && !world->units_in--)
        world->units = world->fails_start ? DEPLOY_BAD : DEPLOY_GOOD;
    if (world->hook == DEPLOY_RUNS && !world->hook_in--)
        world->hook = world->fails_hook[wants.hook] ? DEPLOY_BAD : DEPLOY_GOOD;
}

static struct deploy_seen see(const struct world *world, enum deploy_word word)
{
    return (struct deploy_seen){
        .now_ms = world->now_ms,
        .is_live = !world->live_in,
        .is_new_up = world->units == DEPLOY_GOOD && !world->never_up && !world->live_in,
        .is_old_up = world->wants.old_runs && !world->live_in,
        .is_old_whole =
            world->wants.old_part == DEPLOY_WHOLE && !world->live_in && !world->old_dies,
        .staging = world->staging,
        .is_new_gone = !world->wants.new_runs,
        .is_old_gone = !world->wants.old_runs,
        .units = world->units,
        .hook = world->hook,
        .verdict = world->wants.is_judged ? world->verdict : DEPLOY_UNSURE,
        .is_ill = world->is_ill && world->wants.new_share > 0,
        .word = word,
        .actor = "ann",
    };
}

static void tick(struct world *world, enum deploy_word word)
{
    struct deploy_seen seen;
    enum deploy_phase before = world->state.phase;

    react(world);
    seen = see(world, word);
    world->state = deploy_next(world->plan, &world->state, &seen);
    world->now_ms += SECOND;
    if (world->state.phase != before) {
        size_t len = strlen(world->path);

        snprintf(world->path + len, sizeof(world->path) - len, "%s%s", len ? ", " : "",
                 deploy_phase_name(world->state.phase));
    }
}

/* To its end, approving what asks for it. */
static void run(struct world *world)
{
    for (unsigned i = 0; i < TICKS_MAX && !deploy_is_over(&world->state); i++)
        tick(world,
             world->state.phase == DEPLOY_APPROVE ? DEPLOY_SAYS_APPROVE : DEPLOY_SAYS_NOTHING);
    react(world);
    assert_true(deploy_is_over(&world->state));
}

static void run_to(struct world *world, enum deploy_phase phase)
{
    for (unsigned i = 0; i < TICKS_MAX && world->state.phase != phase; i++)
        tick(world, DEPLOY_SAYS_NOTHING);
    assert_int_equal(world->state.phase, phase);
}

static void expect(const struct world *world, enum deploy_phase phase, enum deploy_way way)
{
    assert_int_equal(world->state.phase, phase);
    assert_int_equal(world->state.way, way);
}

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

static struct deploy_plan rolling(void)
{
    struct deploy_plan plan = canary;

    plan.manner = DEPLOY_ROLLS;
    plan.step_count = 4;
    for (uint32_t i = 0; i < 4; i++)
        plan.steps[i] = (struct deploy_step){.share = DEPLOY_WHOLE / 4 * (i + 1)};
    memset(plan.has_hook, 0, sizeof(plan.has_hook));
    plan.has_hook[DEPLOY_HOOK_SMOKE] = true;
    return plan;
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
        cmocka_unit_test(test_recreate),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_rolling_back_unit_by_unit),
        cmocka_unit_test(test_an_old_one_that_cannot_come_back),
        cmocka_unit_test(test_platform),
        cmocka_unit_test(test_staging),
        cmocka_unit_test(test_failures_before_the_switch),
        cmocka_unit_test(test_hook_after_the_switch_changes_nothing),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_not_enough_data),
        cmocka_unit_test(test_abort_and_rollback_at_every_phase),
        cmocka_unit_test(test_promote),
        cmocka_unit_test(test_migration_that_was_lost),
        cmocka_unit_test(test_it_always_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
