/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new machine at Fly.io is made of: which one is cloned, what changes, its name, and that no
 * value of a variable is shown. The rest of it is looked at by tests/provider/test_fly.py.
 */
#include "control/provider/fly_clone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct conf_fly conf = {.group = {.s = {"app", 3}}};
static const struct fly_clone clone = {.service = "shop",
                                       .unit = "u1",
                                       .release = "r1",
                                       .grace_ms = 2500};

static json_t *machine(const char *id, const char *state, const char *created)
{
    return json_pack("{s:s,s:s,s:s,s:{s:s,s:{}}}", "id", id, "state", state, "created_at", created,
                     "config", "image", "shop:1", "metadata");
}

static json_t *metadata(json_t *of)
{
    return json_object_get(json_object_get(of, "config"), "metadata");
}

static const char *picked(const json_t *machines)
{
    const json_t *found = fly_clone_pick(machines, &conf, &clone);

    return found ? json_string_value(json_object_get(found, "id")) : "none";
}

static void the_best_one_is_cloned(void **state)
{
    json_t *machines = json_array(), *last;

    (void)state;
    assert_string_equal(picked(machines), "none");
    json_array_append_new(machines, machine("gone", "destroyed", "2026-09-01T00:00:00Z"));
    json_array_append_new(machines, json_pack("{s:s,s:s}", "id", "cut", "state", "started"));
    assert_string_equal(picked(machines), "none");
    json_array_append_new(machines, machine("down", "stopped", "2026-09-01T00:00:00Z"));
    assert_string_equal(picked(machines), "down");
    json_array_append_new(machines, machine("old", "started", "2026-01-01T00:00:00Z"));
    assert_string_equal(picked(machines), "old");
    json_array_append_new(machines, machine("new", "started", "2026-02-01T00:00:00Z"));
    assert_string_equal(picked(machines), "new");
    last = machine("worker", "started", "2026-03-01T00:00:00Z");
    json_object_set_new(metadata(last), "fly_process_group", json_string("worker"));
    json_array_append_new(machines, last);
    assert_string_equal(picked(machines), "new");
    last = machine("same", "stopped", "2025-01-01T00:00:00Z");
    json_object_set_new(metadata(last), "sluice_unit", json_string("u2"));
    json_object_set_new(metadata(last), "sluice_service", json_string("shop"));
    json_object_set_new(metadata(last), "sluice_release", json_string("r1"));
    json_array_append_new(machines, last);
    assert_string_equal(picked(machines), "same");
    json_decref(machines);
}

/* A tag may have moved on since. */
static void an_image_that_is_live_is_named_by_its_digest(void **state)
{
    json_t *live = machine("m", "started", ""), *config;

    (void)state;
    config = fly_clone_config(live, &clone);
    assert_string_equal(json_string_value(json_object_get(config, "image")), "shop:1");
    json_decref(config);
    json_object_set_new(live, "image_ref",
                        json_pack("{s:s,s:s,s:s}", "registry", "registry.fly.io", "repository",
                                  "shop", "digest", "sha256:ab"));
    config = fly_clone_config(live, &clone);
    assert_string_equal(json_string_value(json_object_get(config, "image")),
                        "registry.fly.io/shop@sha256:ab");
    json_decref(config);
    json_decref(live);
}

static void parts_of_another_shape_are_replaced(void **state)
{
    json_t *live = json_pack("{s:{s:s,s:i,s:[],s:n,s:s}}", "config", "image", "shop:1", "env", 7,
                             "metadata", "dns", "stop_config", "x");
    json_t *config = fly_clone_config(live, &clone);

    (void)state;
    assert_non_null(config);
    assert_true(json_is_object(json_object_get(config, "env")));
    assert_true(json_is_object(json_object_get(config, "metadata")));
    assert_true(json_is_true(json_object_get(json_object_get(config, "dns"), "skip_registration")));
    assert_string_equal(json_string_value(
                            json_object_get(json_object_get(config, "stop_config"), "timeout")),
                        "3s");
    json_decref(config);
    json_decref(live);
}

static void a_name_is_the_same_for_the_same_unit(void **state)
{
    static const char *const units[] = {"u1", "U1", "u_1", "u.1", "u-1"};
    struct fly_clone one = clone;
    char names[ARRAY_LEN(units)][FLY_CLONE_NAME_SIZE], again[FLY_CLONE_NAME_SIZE];
    char longest[PROVIDER_ID_MAX + 1];
    json_t *machines = json_array();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        one.unit = units[i];
        fly_clone_name(machines, &one, names[i]);
        fly_clone_name(machines, &one, again);
        assert_string_equal(names[i], again);
        assert_int_equal(strspn(again, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(again));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    }
    // One that is there still has the name.
    json_array_append_new(machines, json_pack("{s:s}", "name", names[4]));
    fly_clone_name(machines, &one, again);
    assert_string_not_equal(again, names[4]);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    one.unit = longest;
    fly_clone_name(machines, &one, again);
    assert_in_range(strlen(again), 30, FLY_CLONE_NAME_SIZE - 1);
    json_decref(machines);
}

static void differences_show_no_secret_and_fit(void **state)
{
    json_t *live =
        json_pack("{s:{s:s,s:{s:s,s:s},s:{s:i},s:[{},{}]}}", "config", "image", "shop:1", "env",
                  "KEY", "s3cr3t", "SLUICE_DEPLOY_X", "hidden", "guest", "cpus", 2, "mounts");
    json_t *config = json_pack("{s:s,s:{s:s},s:{s:i,s:b}}", "image", "shop:2", "env", "KEY",
                               "other s3cr3t", "guest", "cpus", 2, "x", 1);
    static const char expected[] = "image: shop:1 -> shop:2\n"
                                   "env.KEY: (its value) -> (its value)\n"
                                   "mounts: left out: 2 entries\n"
                                   "guest.x: set to true\n";
    char text[512];
    size_t len = fly_clone_differences(live, config, text, sizeof(text));

    (void)state;
    assert_null(strstr(text, "s3cr3t"));
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "image: shop:1 -> shop:2\n"));
    assert_non_null(strstr(text, "guest.x: set to true\n"));
    assert_int_equal(len, sizeof(expected) - 1);
    for (size_t size = 1; size < sizeof(expected); size++)
        assert_true(fly_clone_differences(live, config, text, size) < size);
    json_decref(live);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_one_is_cloned),
        cmocka_unit_test(an_image_that_is_live_is_named_by_its_digest),
        cmocka_unit_test(parts_of_another_shape_are_replaced),
        cmocka_unit_test(a_name_is_the_same_for_the_same_unit),
        cmocka_unit_test(differences_show_no_secret_and_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
