/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrong configurations: each tests/unit/config_errors/NAME.yaml must give exactly the report in
 * NAME.txt. With SLUICE_GOLDEN=write in the environment the reports are written anew, to be read
 * before they are committed.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "test_conf.h"

enum { REPORT_MAX = 64 * 1024, FILES_MIN = 40 };

static struct str read_report(const char *path, char *buf)
{
    FILE *file = fopen(path, "rb");
    struct str out = {buf, 0};

    if (!file)
        return STR_NONE;
    out.len = fread(buf, 1, REPORT_MAX, file);
    fclose(file);
    return out;
}

static void write_report(const char *path, struct str report)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(report.p, 1, report.len, file), report.len);
    fclose(file);
}

static void check_file(struct bench *bench, const char *path, char *buf)
{
    const char *mode = getenv("SLUICE_GOLDEN");
    char golden[512];
    struct str report, expected;

    snprintf(golden, sizeof(golden), "%.*s.txt", (int)(strlen(path) - strlen(".yaml")), path);
    diag_init(&bench->diag, &bench->arena);
    if (conf_load(path, &test_world, &bench->arena, &bench->diag))
        fail_msg("%s was taken", path);
    report = diag_report(&bench->diag);
    if (mode && strcmp(mode, "write") == 0)
        write_report(golden, report);
    expected = read_report(golden, buf);
    if (report.len != expected.len || memcmp(report.p, expected.p, report.len) != 0)
        fail_msg("%s gives\n%.*s\nand should give\n%.*s", path, STR_FMT(report), STR_FMT(expected));
}

static void reports_are_as_written(void **state)
{
    char *buf = test_malloc(REPORT_MAX);
    glob_t found;

    assert_int_equal(glob("tests/unit/config_errors/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= FILES_MIN);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_file(*state, found.gl_pathv[i], buf);
    globfree(&found);
    test_free(buf);
}

static void a_missing_file_is_said(void **state)
{
    struct bench *bench = *state;

    assert_null(conf_load("tests/unit/none.yaml", &test_world, &bench->arena, &bench->diag));
    assert_str(diag_report(&bench->diag),
               "error: cannot read \"tests/unit/none.yaml\": No such file or directory\n");
}

static void a_folder_is_no_file(void **state)
{
    struct bench *bench = *state;

    assert_null(conf_load("tests/unit", &test_world, &bench->arena, &bench->diag));
    assert_str(diag_report(&bench->diag),
               "error: cannot read \"tests/unit\": not a regular file\n");
}

static void include_needs_a_file(void **state)
{
    struct bench *bench = *state;

    assert_null(parse(bench, "include: [x]\nservices: {a: {targets: [h:1]}}\n"));
    assert_string_equal(bench->diag.entries[0].text.p, "\"include\" is possible in a file only");
}

static void too_large_is_refused(void **state)
{
    struct bench *bench = *state;
    struct str text = {test_calloc(1, 17 << 20), 17 << 20};

    assert_null(conf_parse(text, "x", &test_world, &bench->arena, &bench->diag));
    assert_string_equal(bench->diag.entries[0].text.p, "x is larger than 16 MiB");
    test_free((char *)text.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reports_are_as_written), TEST(a_missing_file_is_said), TEST(a_folder_is_no_file),
        TEST(include_needs_a_file),   TEST(too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
