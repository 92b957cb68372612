/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of access_sink.c: what is said and done when a sink fails.
 */
#include "test_access_rig.h"

#include <errno.h>
#include <sys/stat.h>

#include "edge/metric/access_sink.h"

/* --- sink; its clock is given, so that a second passes at once */

static void test_sink_reports_once_and_retries_each_second(void **state)
{
    (void)state;
    struct access_sink sink;
    assert_int_equal(access_sink_open(&sink, STR("/dev/full")), OK);
    assert_int_equal(access_sink_write(&sink, STR("a\nb\n"), 1000), 2);
    assert_true(sink.is_broken && sink.lost == 2);
    assert_false(access_sink_is_ready(&sink, 1000 + ACCESS_SINK_RETRY_US - 1));
    assert_true(access_sink_is_ready(&sink, 1000 + ACCESS_SINK_RETRY_US));
    access_sink_lose(&sink, 3);
    assert_int_equal(access_sink_write(&sink, STR("c\n"), 2000000), 1);
    assert_int_equal(sink.lost, 6);
    access_sink_close(&sink);
}

/* A broken file is opened anew, a torn line is ended, and it is well again. */
static void test_sink_mends(void **state)
{
    struct access_sink sink;
    const char *path = temporary(state);
    assert_int_equal(access_sink_open(&sink, (struct str){path, strlen(path)}), OK);
    sink.is_broken = sink.is_torn = true;
    sink.lost = 4;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(access_sink_write(&sink, STR("whole\n"), 5), 0);
    assert_true(!sink.is_broken && !sink.is_torn && sink.lost == 0);
    char *text = slurp(path);
    assert_string_equal(text, "\nwhole\n");
    free(text);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0137, 0);
    access_sink_close(&sink);
}

static void test_sink_refuses_what_it_cannot_open(void **state)
{
    struct access_sink sink;
    char fifo[64];
    assert_int_equal(access_sink_open(&sink, STR("/nonexistent/log")), E_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(access_sink_open(&sink, STR("/tmp")), E_IO);
    snprintf(fifo, sizeof(fifo), "%s.fifo", temporary(state));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(access_sink_open(&sink, (struct str){fifo, strlen(fifo)}), E_IO);
    assert_int_equal(errno, ENXIO);
    unlink(fifo);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_path, drop_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sink_reports_once_and_retries_each_second),
        FILE_TEST(test_sink_mends),
        FILE_TEST(test_sink_refuses_what_it_cannot_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
