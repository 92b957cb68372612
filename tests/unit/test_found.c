/* SPDX-License-Identifier: Apache-2.0
 *
 * What was found, as a service takes it beside the targets of the file and those of the API; and
 * the list of what was found last, written and read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/manager/discovery_store.h"
#include "edge/service.h"

#define TARGET(id_, port_)                                                                         \
    {                                                                                              \
        .id.s = STR_INIT(id_), .weight = 1, .address = {                                           \
            .text.s = STR_INIT("127.0.0.1:" #port_),                                               \
            .host = STR_INIT("127.0.0.1"),                                                         \
            .port = port_                                                                          \
        }                                                                                          \
    }

static struct conf_target written[] = {TARGET("w1", 1), TARGET("w2", 2)};
static struct conf_target api[] = {TARGET("f2", 9)};
static struct conf_target lying[] = {TARGET("f1", 3), TARGET("f2", 4), TARGET("w1", 5),
                                     TARGET("f3", 6)};

static const struct conf_discover by_dns = {.is_set = true,
                                            .dns.s = STR_INIT("app.internal"),
                                            .port = 80,
                                            .type = CONF_DISCOVER_A};
static const struct conf_discover by_file = {.is_set = true, .file.s = STR_INIT("list.yaml")};

/* --- merging */

static void tell_added(void *owner, struct str service, void *to,
                       void (*add)(void *to, const struct snapshot_wish *wish))
{
    struct snapshot_wish wish = {.target = api[0], .source = TARGET_API};

    (void)owner;
    (void)service;
    add(to, &wish);
}

static bool tell_removed(void *owner, struct str service, struct str id)
{
    (void)owner;
    (void)service;
    return !memcmp(id.p, "f2", 2) || !memcmp(id.p, "f3", 2);
}

static bool tell_drained(void *owner, struct str service, struct str id)
{
    (void)owner;
    (void)service;
    return !memcmp(id.p, "f1", 2);
}

static void wake(void *owner, unsigned worker)
{
    (void)owner;
    (void)worker;
}

struct rig {
    struct conf_service conf;
    struct arena arena;
    struct registry *registry;
    struct service_build build;
    struct service service;
    struct snapshot_overlay overlay;
};

static void fill(struct rig *rig, const struct found *found)
{
    struct diag diag;

    memset(rig, 0, sizeof(*rig));
    arena_init(&rig->arena, NULL, 0);
    diag_init(&diag, &rig->arena);
    rig->conf = (struct conf_service){.name.s = STR_INIT("app"),
                                      .targets = written,
                                      .target_count = ARRAY_LEN(written),
                                      .discover = by_dns};
    rig->overlay = (struct snapshot_overlay){.added = tell_added,
                                             .is_removed = tell_removed,
                                             .is_drained = tell_drained};
    rig->registry = registry_new(1, wake, NULL);
    rig->build = (struct service_build){.overlay = &rig->overlay,
                                        .found = found,
                                        .release = {.registry = rig->registry,
                                                    .arena = &rig->arena,
                                                    .workers = 1}};
    rig->service.conf = &rig->conf;
    assert_true(service_fill(&rig->service, &rig->build, &diag));
}

static void done(struct rig *rig)
{
    service_fini(&rig->service);
    registry_free(&rig->registry);
    arena_reset(&rig->arena);
}

/* "id=address " of each, with its source as a digit and "!" when it is drained. */
static void expect(const struct rig *rig, const char *expected)
{
    char text[512] = "";

    for (uint32_t i = 0; i < rig->service.releases->count; i++) {
        const struct snapshot_target *target = &rig->service.releases->targets[i];
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%.*s=%.*s/%u%s ", STR_FMT(target->endpoint->id),
                 STR_FMT(target->endpoint->address), target->source, target->is_drained ? "!" : "");
    }
    assert_string_equal(text, expected);
}

static struct found *set_of(struct found_list *list, bool is_awaited)
{
    struct found *found = found_new(1);
    struct found_source source = {.what = by_dns, .list = list, .is_awaited = is_awaited};

    assert_non_null(found);
    assert_true(found_add(found, &source));
    assert_false(found_add(found, &source));
    return found;
}

static void test_merging(void **state)
{
    struct found_list *list = found_list_new(lying, ARRAY_LEN(lying));
    struct found *found = set_of(list, false);
    struct rig rig;

    (void)state;
    found_list_unref(&list);
    fill(&rig, found);
    expect(&rig, "w1=127.0.0.1:1/0 w2=127.0.0.1:2/0 f2=127.0.0.1:9/1 f1=127.0.0.1:3/2! ");
    assert_false(rig.service.awaits_targets);
    found_unref(&found);
    done(&rig);
}

static void test_waiting(void **state)
{
    struct found *awaited = set_of(NULL, true), *given_up = set_of(NULL, false);
    struct found *empty = found_new(0);
    struct rig rig;

    (void)state;
    fill(&rig, awaited);
    assert_true(rig.service.awaits_targets);
    done(&rig);
    fill(&rig, given_up);
    assert_false(rig.service.awaits_targets);
    done(&rig);
    fill(&rig, empty); // it will be looked for
    assert_true(rig.service.awaits_targets);
    done(&rig);
    found_unref(&awaited);
    found_unref(&given_up);
    found_unref(&empty);
}

/* --- keeping */

static void test_what_is_kept(void **state)
{
    char dir[] = P_tmpdir "/sluice-found-XXXXXX", file[64];
    struct found_list *list = found_list_new(lying, ARRAY_LEN(lying));
    struct found_source dns = {.what = by_dns, .list = list};
    struct found_source from_file = {.what = by_file, .list = list};
    struct found_source nothing = {.what = {.dns.s = STR("other")}};
    struct found *found = found_new(3), *again;
    struct conf_discover other = by_dns;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/discovered.json", dir);
    again = discovery_store_load(dir);
    assert_int_equal(again->count, 0);
    found_unref(&again);
    assert_true(found_add(found, &dns) && found_add(found, &nothing) &&
                found_add(found, &from_file));
    assert_int_equal(discovery_store_save(dir, found), OK);
    again = discovery_store_load(dir);
    assert_int_equal(again->count, 2);
    assert_true(found_list_equal(found_of(again, &by_dns)->list, list));
    assert_true(found_list_equal(found_of(again, &by_file)->list, list));
    other.ttl_min_ms = 5;
    assert_non_null(found_of(again, &other));
    other.type = CONF_DISCOVER_SRV;
    assert_null(found_of(again, &other));
    found_list_unref(&list);
    found_unref(&found);
    found_unref(&again);
    unlink(file);
    rmdir(dir);
}

static void test_what_is_damaged(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"version\":1}",
        "{\"version\":2,\"sources\":[]}",
        "{\"version\":1,\"sources\":[1,{},{\"dns\":\"a\"},{\"dns\":\"a\",\"file\":\"b\"},"
        "{\"dns\":\"a\",\"targets\":[]},{\"dns\":\"a\",\"targets\":[{\"id\":\"x\"}]},"
        "{\"dns\":\"a\",\"port\":-1,\"targets\":[\"a:1\"]}]}",
    };
    char dir[] = P_tmpdir "/sluice-found-XXXXXX", path[64];

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/discovered.json", dir);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        FILE *file = fopen(path, "w");
        struct found *found;

        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        found = discovery_store_load(dir);
        assert_non_null(found);
        assert_int_equal(found->count, 0);
        found_unref(&found);
    }
    unlink(path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_what_is_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
