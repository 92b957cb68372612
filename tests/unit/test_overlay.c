/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API changed: added, removed, drained, paused; taken back, written and read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/manager/overlay.h"

static struct conf_target targets[] = {
    {.id.s = STR_INIT("a"), .address.text.s = STR_INIT("127.0.0.1:1"), .weight = 1},
    {.id.s = STR_INIT("b"), .address.text.s = STR_INIT("127.0.0.1:2"), .weight = 2},
};

static const struct conf_service app = {.name.s = STR_INIT("app"),
                                        .targets = targets,
                                        .target_count = ARRAY_LEN(targets)};

struct rig {
    char dir[64], file[96], aside[128];
    struct overlay *overlay;
    const char *error;
    char seen[512]; /* "id=host/port*weight " of what was added */
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    snprintf(rig->dir, sizeof(rig->dir), P_tmpdir "/sluice-overlay-XXXXXX");
    if (!mkdtemp(rig->dir))
        return -1;
    snprintf(rig->file, sizeof(rig->file), "%s/edge.json", rig->dir);
    snprintf(rig->aside, sizeof(rig->aside), "%s.damaged", rig->file);
    rig->overlay = overlay_open(rig->dir, &rig->error);
    *state = rig;
    return rig->overlay ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    overlay_close(&rig->overlay);
    unlink(rig->file);
    unlink(rig->aside);
    rmdir(rig->dir);
    free(rig);
    return 0;
}

static void reopen(struct rig *rig)
{
    overlay_close(&rig->overlay);
    rig->overlay = overlay_open(rig->dir, &rig->error);
    assert_non_null(rig->overlay);
}

static void see(void *to, const struct snapshot_wish *wish)
{
    struct rig *rig = to;
    size_t len = strlen(rig->seen);
    const struct conf_address *address = &wish->target.address;

    assert_int_equal(wish->source, TARGET_API);
    len += (size_t)snprintf(rig->seen + len, sizeof(rig->seen) - len, "%.*s=%.*s/%u*%u ",
                            STR_FMT(wish->target.id.s), STR_FMT(address->host), address->port,
                            wish->target.weight);
    if (wish->target.region.s.len || wish->target.priority)
        snprintf(rig->seen + len, sizeof(rig->seen) - len, "in %.*s after %u ",
                 STR_FMT(wish->target.region.s), wish->target.priority);
}

static enum status add(struct rig *rig, struct str id, struct str address, int64_t weight)
{
    struct target_text target = {.id = id, .address = address, .weight = weight};

    return overlay_add(rig->overlay, &app, &target);
}

static const char *added(struct rig *rig)
{
    struct snapshot_overlay view = overlay_view(rig->overlay);

    rig->seen[0] = '\0';
    view.added(view.owner, STR("app"), rig, see);
    return rig->seen;
}

static bool is_removed(struct rig *rig, struct str id)
{
    struct snapshot_overlay view = overlay_view(rig->overlay);

    return view.is_removed(view.owner, STR("app"), id);
}

static bool is_drained(struct rig *rig, struct str id)
{
    struct snapshot_overlay view = overlay_view(rig->overlay);

    return view.is_drained(view.owner, STR("app"), id);
}

static void test_a_new_one_is_empty(void **state)
{
    struct rig *rig = *state;

    assert_null(rig->error);
    assert_string_equal(added(rig), "");
    assert_false(is_removed(rig, STR("a")));
    assert_false(is_drained(rig, STR("a")));
}

static void test_adding(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(add(rig, STR("c"), STR("[::1]:80"), 3), OK);
    assert_int_equal(add(rig, STR("d"), STR("unix:/run/d"), 1), OK);
    assert_int_equal(add(rig, STR("c"), STR("[::1]:80"), 3), E_CONFLICT);
    assert_int_equal(add(rig, STR("a"), STR("[::1]:80"), 3), E_CONFLICT);
    assert_int_equal(add(rig, STR("e"), STR("nonsense"), 1), E_INVALID);
    assert_int_equal(add(rig, STR("e"), STR("h:99999"), 1), E_INVALID);
    assert_int_equal(add(rig, STR("e"), STR("h:1"), 0), E_INVALID);
    assert_int_equal(add(rig, STR("e"), STR("h:1"), 1001), E_INVALID);
    assert_int_equal(add(rig, STR("e\xff"), STR("h:1"), 1), E_INVALID);
    assert_int_equal(add(rig, STR("${env:HOME}"), STR("h:1"), 1), E_INVALID);
    assert_string_equal(added(rig), "c=::1/80*3 d=/run/d/0*1 ");
}

static void test_removing(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(overlay_remove(rig->overlay, &app, STR("x")), E_NOT_FOUND);
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("a")), OK);
    assert_true(is_removed(rig, STR("a")));
    assert_false(is_removed(rig, STR("b")));
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("a")), E_NOT_FOUND);
    assert_int_equal(add(rig, STR("c"), STR("h:1"), 1), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("c"), true), OK);
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("c")), OK);
    assert_string_equal(added(rig), "");
    assert_false(is_drained(rig, STR("c"))); // one that comes under the same id is a new one
}

static void test_one_of_the_file_comes_back(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(overlay_remove(rig->overlay, &app, STR("b")), OK);
    assert_int_equal(add(rig, STR("b"), STR("127.0.0.1:2"), 2), OK);
    assert_false(is_removed(rig, STR("b")));
    assert_string_equal(added(rig), "");
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("b")), OK);
    assert_int_equal(add(rig, STR("b"), STR("127.0.0.1:9"), 2), OK);
    assert_true(is_removed(rig, STR("b")));
    assert_string_equal(added(rig), "b=127.0.0.1/9*2 ");
}

static void test_draining(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(overlay_drain(rig->overlay, &app, STR("x"), true), E_NOT_FOUND);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_true(is_drained(rig, STR("a")));
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), false), OK);
    assert_false(is_drained(rig, STR("a")));
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), false), OK);
}

static enum service_mode mode_of(struct rig *rig, struct str service)
{
    struct snapshot_overlay view = overlay_view(rig->overlay);

    return view.mode(view.owner, service);
}

static void test_regions_and_priorities(void **state)
{
    struct rig *rig = *state;
    struct target_text target = {
        .id = STR("c"), .address = STR("h:1"), .weight = 1, .region = STR("fra"), .priority = 2};

    assert_int_equal(overlay_add(rig->overlay, &app, &target), OK);
    target.id = STR("d");
    target.priority = 16;
    assert_int_equal(overlay_add(rig->overlay, &app, &target), E_INVALID);
    target.priority = -1;
    assert_int_equal(overlay_add(rig->overlay, &app, &target), E_INVALID);
    target.priority = 0;
    target.region = STR("${env:HOME}");
    assert_int_equal(overlay_add(rig->overlay, &app, &target), E_INVALID);
    assert_int_equal(overlay_save(rig->overlay), OK);
    reopen(rig);
    assert_null(rig->error);
    assert_string_equal(added(rig), "c=h/1*1 in fra after 2 ");
}

/* Elsewhere than in the file it is another target, though it has the same address. */
static void test_one_of_the_file_comes_back_elsewhere(void **state)
{
    struct rig *rig = *state;
    struct target_text target = {.id = STR("b"),
                                 .address = STR("127.0.0.1:2"),
                                 .weight = 2,
                                 .region = STR("fra")};

    assert_int_equal(overlay_remove(rig->overlay, &app, STR("b")), OK);
    assert_int_equal(overlay_add(rig->overlay, &app, &target), OK);
    assert_true(is_removed(rig, STR("b")));
    assert_string_equal(added(rig), "b=127.0.0.1/2*2 in fra after 0 ");
}

static void test_the_shield(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(overlay_shield(rig->overlay), 0);
    assert_int_equal(overlay_set_shield(rig->overlay, 1700000000123), OK);
    assert_int_equal(overlay_shield(rig->overlay), 1700000000123);
    assert_int_equal(overlay_save(rig->overlay), OK);
    reopen(rig);
    assert_int_equal(overlay_shield(rig->overlay), 1700000000123);
    assert_int_equal(overlay_set_shield(rig->overlay, 0), OK);
    assert_int_equal(overlay_shield(rig->overlay), 0);
    overlay_undo(rig->overlay);
    assert_int_equal(overlay_shield(rig->overlay), 1700000000123);
}

static void test_modes(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(mode_of(rig, STR("app")), SERVICE_RUNS);
    assert_int_equal(overlay_set_mode(rig->overlay, STR("app"), SERVICE_PAUSED), OK);
    assert_int_equal(overlay_set_mode(rig->overlay, STR("app"), SERVICE_PAUSED), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), false), OK);
    assert_int_equal(mode_of(rig, STR("app")), SERVICE_PAUSED);
    assert_int_equal(mode_of(rig, STR("other")), SERVICE_RUNS);
    assert_int_equal(overlay_set_mode(rig->overlay, STR("app"), SERVICE_MAINTENANCE), OK);
    assert_int_equal(overlay_save(rig->overlay), OK);
    reopen(rig);
    assert_null(rig->error);
    assert_int_equal(mode_of(rig, STR("app")), SERVICE_MAINTENANCE);
    assert_int_equal(overlay_set_mode(rig->overlay, STR("app"), SERVICE_RUNS), OK);
    assert_int_equal(mode_of(rig, STR("app")), SERVICE_RUNS);
    overlay_undo(rig->overlay);
    assert_int_equal(mode_of(rig, STR("app")), SERVICE_MAINTENANCE);
    assert_int_equal(overlay_set_mode(rig->overlay, STR("other"), SERVICE_RUNS), OK);
}

static void test_undo_takes_the_last_change_back(void **state)
{
    struct rig *rig = *state;

    overlay_undo(rig->overlay); // nothing to take back
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(add(rig, STR("c"), STR("h:1"), 1), OK);
    overlay_undo(rig->overlay);
    assert_string_equal(added(rig), "");
    assert_true(is_drained(rig, STR("a")));
}

static void test_what_is_saved_is_read_again(void **state)
{
    struct rig *rig = *state;
    struct stat info;

    assert_int_equal(add(rig, STR("c \"d\""), STR("h:1"), 5), OK);
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("a")), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("b"), true), OK);
    assert_int_equal(overlay_save(rig->overlay), OK);
    assert_int_equal(stat(rig->file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    reopen(rig);
    assert_null(rig->error);
    assert_string_equal(added(rig), "c \"d\"=h/1*5 ");
    assert_true(is_removed(rig, STR("a")));
    assert_true(is_drained(rig, STR("b")));
}

static void write_file(const struct rig *rig, const char *text)
{
    FILE *file = fopen(rig->file, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_services_that_are_not_known_are_kept(void **state)
{
    struct rig *rig = *state;
    char text[512] = "";
    FILE *file;

    write_file(rig, "{\"version\":1,\"services\":{\"gone\":{\"removed\":[\"z\"]}}}");
    reopen(rig);
    assert_null(rig->error);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(overlay_save(rig->overlay), OK);
    file = fopen(rig->file, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(text, "\"gone\""));
    assert_non_null(strstr(text, "\"z\""));
}

static void test_damaged_files_are_set_aside(void **state)
{
    static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{\"version\":1}",
        "{\"version\":2,\"services\":{}}",
        "{\"version\":1,\"services\":[]}",
        "{\"version\":1,\"services\":{\"a\":1}}",
        "{\"version\":1,\"services\":{\"a\":{\"added\":{}}}}",
        "{\"version\":1,\"services\":{\"a\":{\"added\":[{\"id\":\"x\"}]}}}",
        ("{\"version\":1,\"services\":{\"a\":{\"added\":"
         "[{\"id\":\"x\",\"address\":\"h\",\"weight\":1}]}}}"),
        "{\"version\":1,\"services\":{\"a\":{\"removed\":[1]}}}",
        "{\"version\":1,\"services\":{\"a\":{\"drained\":\"x\"}}}",
        "{\"version\":1,\"services\":{\"a\":{\"mode\":\"asleep\"}}}",
        "{\"version\":1,\"services\":{\"a\":{\"mode\":\"running\"}}}",
        "{\"version\":1,\"services\":{\"a\":{\"mode\":1}}}",
        "{\"version\":1,\"services\":{},\"shield_until_ms\":\"x\"}",
        "{\"version\":1,\"services\":{},\"shield_until_ms\":-1}",
        ("{\"version\":1,\"services\":{\"a\":{\"added\":"
         "[{\"id\":\"x\",\"address\":\"h:1\",\"weight\":1,\"region\":1}]}}}"),
        ("{\"version\":1,\"services\":{\"a\":{\"control\":{\"epoch\":1,\"revision\":1,"
         "\"targets\":[],\"removed\":[],\"scale\":{\"state\":\"tired\"}}}}}"),
        ("{\"version\":1,\"services\":{\"a\":{\"added\":"
         "[{\"id\":\"x\",\"address\":\"h:1\",\"weight\":1,\"priority\":99}]}}}"),
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        write_file(rig, damaged[i]);
        reopen(rig);
        assert_non_null(rig->error);
        assert_int_equal(access(rig->aside, F_OK), 0);
        assert_int_not_equal(access(rig->file, F_OK), 0);
        assert_int_equal(unlink(rig->aside), 0);
        assert_string_equal(added(rig), "");
    }
}

/* --- whether units run */

static void set_scale(struct rig *rig, const char *said, uint64_t now_ms)
{
    json_t *json = json_loads(said, JSON_DECODE_ANY, NULL);
    json_t *control = json_pack("{s:i,s:i,s:[],s:[],s:o}", "epoch", 1, "revision", 1, "targets",
                                "removed", "scale", overlay_scale_read(json, now_ms));
    const struct overlay_split split = {.count = 0};

    assert_non_null(control);
    assert_int_equal(overlay_set_control(rig->overlay, STR("app"), control, &split), OK);
    json_decref(control);
    json_decref(json);
}

static void test_sleep_is_kept(void **state)
{
    struct rig *rig = *state;
    struct service_scale scale = overlay_scale(rig->overlay, STR("app"));

    assert_int_equal(scale.state, SERVICE_AWAKE);
    assert_int_equal(scale.why.len, 0);
    set_scale(rig, "{\"state\":\"asleep\",\"eta_ms\":2500}", 1000);
    assert_int_equal(overlay_save(rig->overlay), OK);
    reopen(rig);
    assert_null(rig->error);
    scale = overlay_scale(rig->overlay, STR("app"));
    assert_int_equal(scale.state, SERVICE_ASLEEP);
    assert_int_equal(scale.eta_ms, 2500);
    assert_int_equal(scale.retry_ms, 0);
    assert_int_equal(overlay_scale(rig->overlay, STR("other")).state, SERVICE_AWAKE);
}

static void test_broken_has_an_end(void **state)
{
    struct rig *rig = *state;
    struct service_scale scale;

    set_scale(rig, "{\"state\":\"broken\",\"why\":\"no disk\",\"retry_ms\":500}", 1000);
    scale = overlay_scale(rig->overlay, STR("app"));
    assert_int_equal(scale.state, SERVICE_BROKEN);
    assert_int_equal(scale.retry_ms, 1500);
    assert_true(str_same(scale.why, STR("no disk")));
    set_scale(rig, "{\"state\":\"broken\",\"retry_ms\":9223372036854775807}", 1000);
    assert_int_equal(overlay_scale(rig->overlay, STR("app")).retry_ms, 1000 + 24 * 3600 * 1000);
    set_scale(rig, "{\"state\":\"waking\",\"retry_at_ms\":5}", 1000); // not for control to say
    scale = overlay_scale(rig->overlay, STR("app"));
    assert_int_equal(scale.state, SERVICE_WAKING);
    assert_int_equal(scale.retry_ms, 0);
    assert_string_equal(overlay_scale_word(scale.state), "waking");
}

static void test_states_that_are_none(void **state)
{
    static const char *const wrong[] = {
        "null",
        "5",
        "[]",
        "{}",
        "{\"state\":\"tired\"}",
        "{\"state\":null}",
        "{\"state\":\"asleep\",\"eta_ms\":-1}",
        "{\"state\":\"asleep\",\"eta_ms\":1.5}",
        "{\"state\":\"broken\",\"retry_ms\":\"1\"}",
        "{\"state\":\"broken\",\"why\":[]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        json_t *said = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

        assert_non_null(said);
        assert_null(overlay_scale_read(said, 1000));
        json_decref(said);
    }
}

static void test_a_folder_that_is_gone(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rmdir(rig->dir), 0);
    assert_int_equal(overlay_save(rig->overlay), OK); // there is nothing to write
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(overlay_save(rig->overlay), E_IO);
    overlay_undo(rig->overlay);
    assert_int_equal(overlay_save(rig->overlay), OK);
    assert_int_equal(overlay_drain(rig->overlay, &app, STR("a"), true), OK);
    assert_int_equal(overlay_remove(rig->overlay, &app, STR("b")), OK);
    overlay_undo(rig->overlay);
    assert_int_equal(overlay_save(rig->overlay), E_IO);
    assert_int_equal(mkdir(rig->dir, 0700), 0);
    assert_int_equal(overlay_save(rig->overlay), OK);
    overlay_undo(rig->overlay); // there is none to take back
    assert_int_equal(access(rig->file, F_OK), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_one_is_empty),
        TEST(test_adding),
        TEST(test_removing),
        TEST(test_one_of_the_file_comes_back),
        TEST(test_draining),
        TEST(test_regions_and_priorities),
        TEST(test_one_of_the_file_comes_back_elsewhere),
        TEST(test_modes),
        TEST(test_the_shield),
        TEST(test_undo_takes_the_last_change_back),
        TEST(test_what_is_saved_is_read_again),
        TEST(test_services_that_are_not_known_are_kept),
        TEST(test_damaged_files_are_set_aside),
        TEST(test_sleep_is_kept),
        TEST(test_broken_has_an_end),
        TEST(test_states_that_are_none),
        TEST(test_a_folder_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
