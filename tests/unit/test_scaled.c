/* SPDX-License-Identifier: Apache-2.0
 *
 * One scaled service, second by second: load, decisions and its life together, and what the store
 * gives back of it.
 */
#include "control/scale/scaled.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOON_MS INT64_C(1704110400000) /* 2024-01-01 12:00 UTC */

static const struct scale_policy sleepy = {
    .limits = {.min = 0, .max = 10},
    .concurrency = 10,
    .idle_s = 60,
    .stable_s = 30,
    .panic_s = 6,
    .panic_ratio = 2,
    .down_cooldown_s = 10,
};

struct world {
    struct scaled scaled;
    int64_t now_ms;
    uint32_t ready;
    bool is_deploying;
};

static void begin(struct world *world, uint32_t running)
{
    *world = (struct world){.now_ms = NOON_MS, .ready = running};
    scaled_begin(&world->scaled, running, world->now_ms);
}

/* A second with so much in flight; all that is wanted is ready. */
static bool pass(struct world *world, const struct scale_policy *policy, double in_flight)
{
    struct scaled_now now;

    world->now_ms += 1000;
    scale_ring_add(&world->scaled.ring, &(struct scale_sample){.at_s = (double)world->now_ms / 1000,
                                                               .span_s = 1,
                                                               .in_flight = in_flight,
                                                               .arrivals = in_flight * 10});
    world->ready = world->scaled.state.wanted;
    now = (struct scaled_now){world->now_ms, world->ready, world->is_deploying};
    return scaled_decide(&world->scaled, policy, &now);
}

static void pass_many(struct world *world, double in_flight, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++)
        (void)pass(world, &sleepy, in_flight);
}

static void live(struct world *world, struct life_seen seen)
{
    seen.now_ms = world->now_ms;
    seen.healthy_ms = 60000;
    seen.is_asked |= world->scaled.is_asked;
    (void)scaled_live(&world->scaled, &seen);
}

static void test_load_and_sleep(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 1);
    pass_many(&world, 45, 40);
    assert_int_equal(world.scaled.state.wanted, 5);
    pass_many(&world, 0, 90);
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
    assert_int_equal(world.scaled.state.wanted, 0);
    pass_many(&world, 0, 1000);
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
    assert_false(world.scaled.is_asked);
}

/* However many wait, one boots; load decides of more when it is known. */
static void test_many_wake_one(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 1);
    pass_many(&world, 0, 100);
    scaled_ask(&world.scaled, 1000, world.now_ms);
    scaled_ask(&world.scaled, 1000, world.now_ms);
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_WAKING);
    world.ready = 0;
    (void)scaled_decide(&world.scaled, &sleepy, &(struct scaled_now){.now_ms = world.now_ms});
    assert_int_equal(world.scaled.state.wanted, 1);
    live(&world, (struct life_seen){.is_up = true});
    assert_int_equal(world.scaled.life.mode, LIFE_AWAKE);
    scaled_ask(&world.scaled, 5, world.now_ms); // late: it is awake
    assert_false(world.scaled.is_asked);
}

static void test_a_deploy_loses_none(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 4);
    world.is_deploying = true;
    pass_many(&world, 0, 300);
    assert_int_equal(world.scaled.state.wanted, 4);
    pass_many(&world, 65, 40);
    assert_int_equal(world.scaled.state.wanted, 7);
    world.is_deploying = false;
    pass_many(&world, 0, 300);
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
}

static void test_bounds_wake(void **state)
{
    struct scale_policy awake = sleepy;
    struct world world;

    (void)state;
    awake.limits.min = 2;
    begin(&world, 1);
    pass_many(&world, 0, 100);
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
    (void)pass(&world, &awake, 0);
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_WAKING);
    (void)pass(&world, &awake, 0);
    assert_int_equal(world.scaled.state.wanted, 2);
}

/* Those whom the wake before was for do not wake it again. */
static void test_who_waited_before(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 1);
    pass_many(&world, 0, 100);
    scaled_ask(&world.scaled, 5, world.now_ms);
    live(&world, (struct life_seen){0});
    live(&world, (struct life_seen){.is_up = true});
    scaled_sleep(&world.scaled, world.now_ms);
    pass_many(&world, 0, 3);
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
}

static void test_words(void **state)
{
    struct scale_policy still = sleepy;
    struct world world;

    (void)state;
    still.concurrency = 0; // nobody says what a unit shall have
    still.limits.min = 1;
    begin(&world, 1);
    scaled_set(&world.scaled, 3, world.now_ms);
    for (unsigned i = 0; i < 200; i++)
        (void)pass(&world, &still, 0.1);
    assert_int_equal(world.scaled.state.wanted, 3);
    scaled_sleep(&world.scaled, world.now_ms);
    assert_int_equal(world.scaled.state.wanted, 0);
    scaled_set(&world.scaled, 2, world.now_ms);
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_WAKING);
    assert_int_equal(world.scaled.state.wanted, 2);
}

static void test_the_store(void **state)
{
    struct world world;
    struct scaled again;
    json_t *record, *other;

    (void)state;
    begin(&world, 2);
    pass_many(&world, 33, 60);
    world.scaled.purse = (struct purse){NOON_MS, 1.25};
    world.scaled.life.boots_ms[0] = 1234;
    scaled_sleep(&world.scaled, world.now_ms);
    record = scaled_record(&world.scaled);
    assert_true(scaled_of_record(&again, record));
    assert_memory_equal(&again.state, &world.scaled.state, sizeof(again.state));
    assert_int_equal(again.life.mode, LIFE_ASLEEP);
    assert_true(again.life.is_told);
    assert_int_equal(life_eta_ms(&again.life), 1234);
    assert_float_equal(again.purse.spent, 1.25, 1e-9);
    assert_int_equal(again.ring.count, 0);
    other = scaled_record(&again);
    assert_true(json_equal(record, other));
    json_decref(other);
    json_decref(record);
}

/* Why it cannot be woken is an app's own words, of any length: it is kept and told all the same. */
static void test_words_of_an_app(void **state)
{
    struct world world;
    struct scaled again;
    char words[250];
    json_t *record, *word;

    (void)state;
    for (size_t shift = 0; shift < 2; shift++) { // one of them is cut within a character
        memset(words, 'x', sizeof(words));
        for (size_t i = shift; i + 2 < sizeof(words); i += 2)
            memcpy(words + i, "\xd0\xb6", 2);
        words[sizeof(words) - 1] = '\0';
        begin(&world, 0);
        scaled_sleep(&world.scaled, world.now_ms);
        live(&world, (struct life_seen){.is_asked = true});
        live(&world, (struct life_seen){.failures = LIFE_FAILURES, .failure = words});
        assert_int_equal(world.scaled.life.mode, LIFE_BROKEN);
        record = scaled_record(&world.scaled);
        word = scaled_word(&world.scaled, world.now_ms);
        assert_non_null(record);
        assert_non_null(word);
        assert_true(scaled_of_record(&again, record));
        assert_string_equal(again.life.why, world.scaled.life.why);
        json_decref(word);
        json_decref(record);
    }
}

static void test_a_store_that_tells_nonsense(void **state)
{
    static const char *const wrong[] = {
        "{}", "[]", "{\"mode\": 5}", "{\"mode\": \"tired\"}", "null",
    };
    static const char *const odd[] = {
        "{\"mode\": \"awake\"}",
        "{\"mode\": \"awake\", \"wanted\": -5, \"grown_s\": \"x\", \"boots_ms\": {}, \"why\": 7}",
        "{\"mode\": \"awake\", \"wanted\": 99999999999999, \"boots_ms\": [-1, 1e9, \"x\"]}",
    };
    struct scaled scaled;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        json_t *record = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

        assert_false(scaled_of_record(&scaled, record));
        json_decref(record);
    }
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        json_t *record = json_loads(odd[i], 0, NULL);

        assert_true(scaled_of_record(&scaled, record));
        assert_int_equal(scaled.state.wanted, 0);
        assert_int_equal(life_eta_ms(&scaled.life), 0);
        json_decref(record);
    }
    assert_false(scaled_of_record(&scaled, NULL));
}

static void live_on(struct world *world, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        world->now_ms += 1000;
        live(world, (struct life_seen){0});
    }
}

/* A clock that is set makes nothing last longer or shorter. */
static void set_clock(int64_t by_ms)
{
    const struct life_seen fails = {.failures = LIFE_FAILURES, .failure = "it exited"};
    struct world world;

    begin(&world, 1);
    scaled_sleep(&world.scaled, world.now_ms);
    scaled_ask(&world.scaled, 1, world.now_ms);
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_WAKING);
    for (unsigned second = 1; second < 60; second++) {
        world.now_ms += second == 20 ? by_ms : 1000;
        live(&world, (struct life_seen){0});
        assert_int_equal(world.scaled.life.mode, LIFE_WAKING);
    }
    live_on(&world, 2);
    assert_int_equal(world.scaled.life.mode, LIFE_BROKEN);
    assert_non_null(strstr(world.scaled.life.why, "in 60 s"));
    world.now_ms += by_ms;
    for (unsigned second = 1; second < 10; second++) {
        live(&world, (struct life_seen){0});
        assert_int_equal(world.scaled.life.mode, LIFE_BROKEN);
        assert_in_range(life_retry_ms(&world.scaled.life, world.now_ms), 1, 10000);
        world.now_ms += 1000;
    }
    live_on(&world, 2);
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
    scaled_ask(&world.scaled, 1, world.now_ms);
    live(&world, (struct life_seen){0});
    live(&world, fails);
    assert_int_equal(world.scaled.life.breaks, 2);
}

static void test_a_clock_that_is_set(void **state)
{
    (void)state;
    set_clock(INT64_C(-5) * 3600 * 1000);
    set_clock(INT64_C(5) * 3600 * 1000);
    set_clock(INT64_C(-3000));
}

/* Set back while control was away: a pause begins anew, and lasts no longer than one. */
static void test_a_clock_that_was_set(void **state)
{
    const int64_t later_ms = NOON_MS + INT64_C(5) * 3600 * 1000;
    struct scaled before = {.life = {.mode = LIFE_BROKEN, .since_ms = later_ms, .breaks = 1}};
    json_t *record = scaled_record(&before);
    struct world world = {.now_ms = NOON_MS};

    (void)state;
    assert_true(scaled_of_record(&world.scaled, record));
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_BROKEN);
    assert_int_equal(life_retry_ms(&world.scaled.life, world.now_ms), 10000);
    world.now_ms += 10000;
    live(&world, (struct life_seen){0});
    assert_int_equal(world.scaled.life.mode, LIFE_ASLEEP);
    json_decref(record);
}

/* How long a growth took is not less than nothing. */
static void test_growth_over_a_clock_set_back(void **state)
{
    struct world world;

    (void)state;
    begin(&world, 1);
    pass_many(&world, 1, 20);
    scaled_set(&world.scaled, 3, world.now_ms);
    world.now_ms += 2000;
    (void)scaled_decide(&world.scaled, &sleepy,
                        &(struct scaled_now){.now_ms = world.now_ms, .ready = 1});
    world.now_ms -= 3600 * 1000;
    (void)scaled_decide(&world.scaled, &sleepy,
                        &(struct scaled_now){.now_ms = world.now_ms, .ready = 3});
    assert_int_equal(world.scaled.growth_ms, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_and_sleep),
        cmocka_unit_test(test_many_wake_one),
        cmocka_unit_test(test_a_deploy_loses_none),
        cmocka_unit_test(test_bounds_wake),
        cmocka_unit_test(test_who_waited_before),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_the_store),
        cmocka_unit_test(test_words_of_an_app),
        cmocka_unit_test(test_a_store_that_tells_nonsense),
        cmocka_unit_test(test_a_clock_that_is_set),
        cmocka_unit_test(test_a_clock_that_was_set),
        cmocka_unit_test(test_growth_over_a_clock_set_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
