/* SPDX-License-Identifier: Apache-2.0
 *
 * `include`: how files are found and merged, and what is refused. Files are written to a folder of
 * their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_conf.h"

static char folder[] = "/tmp/sluice-include-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

static void drop(const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    unlink(path);
}

static const struct conf *load(struct bench *bench)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/main.yaml", folder);
    return conf_load(path, &test_world, &bench->arena, &bench->diag);
}

static const struct conf *load_good(struct bench *bench)
{
    const struct conf *conf = load(bench);

    if (!conf)
        fail_msg("%s", diag_report(&bench->diag).p);
    return conf;
}

static void parts_are_merged(void **state)
{
    const struct conf *conf;

    put("main.yaml", "include: [part.yaml, 'sites/*.yaml']\n"
                     "limits: {uri: 1KiB}\n"
                     "listeners: [{bind: ':1'}]\n"
                     "services: {app: {targets: [h:1]}}\n"
                     "routes: [{name: main, service: app}]\n");
    put("part.yaml", "workers: 2\n"
                     "limits: {headers: 50}\n"
                     "listeners: [{bind: ':2'}]\n"
                     "filters: [{plain: }]\n"
                     "routes: [{name: part, service: b}]\n");
    put("sites/a.yaml", "services: {a: {targets: [h:2]}}\nroutes: [{name: a, service: a}]\n");
    put("sites/b.yaml", "services: {b: {targets: [h:3]}}\n");
    put("sites/c.txt", "no configuration at all: [\n");
    conf = load_good(*state);
    assert_int_equal(conf->workers, 2);
    assert_int_equal(conf->limits.uri, 1024);
    assert_int_equal(conf->limits.headers, 50);
    assert_int_equal(conf->listener_count, 2);
    assert_int_equal(conf->listeners[1].bind.port, 2);
    assert_int_equal(conf->service_count, 3);
    assert_int_equal(conf->filters.count, 1);
    assert_int_equal(conf->route_count, 3);
    assert_str(conf->routes[1].name.s, "part");
    assert_str(conf->routes[2].name.s, "a");
    assert_int_equal(conf->include.count, 2);
    assert_int_equal(conf->file_count, 4);
    for (uint32_t i = 0; i < conf->file_count; i++)
        assert_int_equal(conf->files[i].p[0], '/');
}

static void parts_may_include(void **state)
{
    const struct conf *conf;

    put("main.yaml", "include: [sites/a.yaml]\n");
    put("sites/a.yaml", "include: [b.yaml]\n");
    put("sites/b.yaml", "services: {b: {targets: [h:3]}}\n");
    conf = load_good(*state);
    assert_str(conf->services[0].name.s, "b");
    assert_int_equal(conf->file_count, 3);
}

static void a_part_may_be_empty(void **state)
{
    put("main.yaml", "include: [part.yaml]\nservices: {b: {targets: [h:3]}}\n");
    put("part.yaml", "# nothing\n");
    assert_int_equal(load_good(*state)->service_count, 1);
}

static void errors_name_the_part(void **state)
{
    struct bench *bench = *state;
    struct str at;

    put("main.yaml", "include: [part.yaml]\nservices: {b: {targets: [h:3]}}\n");
    put("part.yaml", "\nuser: x\nroutes: [{service: c}]\n");
    assert_null(load(bench));
    assert_int_equal(bench->diag.count, 1);
    at = diag_place(&bench->diag, bench->diag.entries[0].at);
    assert_non_null(memmem(at.p, at.len, "/part.yaml:3:20", 15));
}

static void a_service_stands_once(void **state)
{
    struct bench *bench = *state;

    put("main.yaml", "include: [part.yaml]\nservices: {b: {targets: [h:3]}}\n");
    put("part.yaml", "services: {b: {targets: [h:4]}}\n");
    assert_null(load(bench));
    assert_string_equal(bench->diag.entries[0].text.p, "service \"b\" is written twice");
    assert_non_null(strstr(bench->diag.entries[0].hint.p, "/main.yaml:2:12"));
}

static void cycles_end(void **state)
{
    struct bench *bench = *state;

    put("main.yaml", "include: [part.yaml]\nservices: {b: {targets: [h:3]}}\n");
    put("part.yaml", "include: ['./main.yaml']\n");
    assert_null(load(bench));
    assert_int_equal(bench->diag.count, 1);
    assert_non_null(strstr(bench->diag.entries[0].text.p, "already part of this configuration"));
}

static void at_most_a_hundred_files(void **state)
{
    struct bench *bench = *state;
    char name[32];

    put("main.yaml", "include: ['many-*.yaml']\nservices: {b: {targets: [h:3]}}\n");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "many-%03d.yaml", i);
        put(name, "");
    }
    assert_null(load(bench));
    assert_non_null(strstr(bench->diag.entries[0].text.p, "more than 100 files"));
    drop("many-099.yaml");
    diag_init(&bench->diag, &bench->arena);
    assert_int_equal(load_good(bench)->file_count, 100);
    for (int i = 0; i < 99; i++) {
        snprintf(name, sizeof(name), "many-%03d.yaml", i);
        drop(name);
    }
}

static int make_folder(void **state)
{
    char path[256];

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/sites", folder);
    return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"main.yaml", "part.yaml", "sites/a.yaml", "sites/b.yaml",
                                        "sites/c.txt"};
    char path[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        drop(names[i]);
    snprintf(path, sizeof(path), "%s/sites", folder);
    return rmdir(path) || rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_are_merged),        TEST(parts_may_include),     TEST(a_part_may_be_empty),
        TEST(errors_name_the_part),    TEST(a_service_stands_once), TEST(cycles_end),
        TEST(at_most_a_hundred_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
