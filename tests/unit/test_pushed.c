/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that came by the API, in their folder: written, read, removed, and what is no file
 * of theirs left alone.
 */
#include <errno.h>
#include <sys/stat.h>

#include "edge/manager/pushed.h"
#include "test_tls.h"

static struct str pem(struct tls_bench *bench, const char *names)
{
    struct pair pair = make(&(struct wish){.names = names});
    struct str text =
        arena_format(&bench->arena, "%s%s", leaf_text(bench, &pair).p, key_text(bench, &pair).p);

    drop(&pair);
    return text;
}

static void names_are_good_for_files(void **state)
{
    static const char *const good[] = {"a", "site-1.example", "A_b.pem"};
    static const char *const bad[] = {"", ".a", "..", "a/b", "a b", "a\n", "\xc3\xa9"};
    char longest[PUSHED_NAME_MAX + 1];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(pushed_is_name((struct str){good[i], strlen(good[i])}));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(pushed_is_name((struct str){bad[i], strlen(bad[i])}));
    assert_true(pushed_is_name((struct str){longest, PUSHED_NAME_MAX}));
    assert_false(pushed_is_name((struct str){longest, PUSHED_NAME_MAX + 1}));
}

static void what_was_written_is_loaded(void **state)
{
    struct tls_bench *bench = *state;
    struct str first = pem(bench, "DNS:a.example.com"), text;
    struct pushed pushed;
    struct stat file;

    assert_true(pushed_load(&pushed, bench->folder, &bench->diag));
    assert_int_equal(pushed.count, 0); // no folder yet
    assert_int_equal(pushed_read(bench->folder, STR("a"), &bench->arena, &text), E_NOT_FOUND);
    assert_int_equal(pushed_write(bench->folder, STR("b"), pem(bench, "DNS:b.example.com")), OK);
    assert_int_equal(pushed_write(bench->folder, STR("a"), first), OK);
    assert_int_equal(stat(path_of(bench, "certificates").p, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0700);
    assert_int_equal(stat(path_of(bench, "certificates/a.pem").p, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_int_equal(pushed_read(bench->folder, STR("a"), &bench->arena, &text), OK);
    assert_string_equal(text.p, first.p);
    assert_true(pushed_load(&pushed, bench->folder, &bench->diag));
    assert_int_equal(pushed.count, 2);
    assert_string_equal(pushed.list[0].name.p, "a");
    assert_string_equal(pushed.list[1].certificate->names[0].p, "b.example.com");
    pushed_fini(&pushed);
    assert_int_equal(pushed_write(bench->folder, STR("a"), STR_NONE), OK);
    assert_int_equal(pushed_write(bench->folder, STR("a"), STR_NONE), OK); // is gone already
    assert_true(pushed_load(&pushed, bench->folder, &bench->diag));
    assert_int_equal(pushed.count, 1);
    pushed_fini(&pushed);
    assert_int_equal(bench->diag.count, 0);
}

static void bad_files_do_not_keep_good_ones_out(void **state)
{
    struct tls_bench *bench = *state;
    struct pushed pushed;

    assert_int_equal(pushed_write(bench->folder, STR("bad"), STR("rubbish")), OK);
    assert_int_equal(pushed_write(bench->folder, STR("good"), pem(bench, "DNS:a.example.com")), OK);
    write_text(bench, "certificates/notes.txt", "no certificate");
    write_text(bench, "certificates/good.pem.new.1", "left by a crash");
    assert_true(pushed_load(&pushed, bench->folder, &bench->diag));
    assert_int_equal(pushed.count, 1);
    assert_string_equal(pushed.list[0].name.p, "good");
    assert_int_equal(bench->diag.count, 1);
    assert_int_equal(bench->diag.errors, 0);
    assert_non_null(strstr(diag_report(&bench->diag).p, "certificates/bad.pem: no certificate"));
    pushed_fini(&pushed);
}

static void a_folder_that_cannot_be_is_told(void **state)
{
    struct tls_bench *bench = *state;

    write_text(bench, "certificates", "a file in its place");
    assert_int_equal(pushed_write(bench->folder, STR("a"), STR("x")), E_IO);
    assert_int_not_equal(errno, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_good_for_files),
        BENCH(what_was_written_is_loaded),
        BENCH(bad_files_do_not_keep_good_ones_out),
        BENCH(a_folder_that_cannot_be_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
