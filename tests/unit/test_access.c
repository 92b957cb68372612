/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of access.c: workers, sampling, the thread's sleep, and every way a sink can fail it.
 */
#include "test_access_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "edge/metric/access.h"

static struct conf_log conf_of(const char *path, enum conf_log_format format, uint32_t sample_ppm)
{
    return (struct conf_log){.path = {.s = {path, strlen(path)}},
                             .format = format,
                             .sample_ppm = sample_ppm};
}

/* Lets the other threads run until `is_done` says so; false after 10 s. */
static bool await(bool (*is_done)(void *), void *owner)
{
    uint64_t until = clock_us() + 10000000;
    while (!is_done(owner)) {
        if (clock_us() > until)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}

/* --- thread */

enum { WORKERS = 4, RECORDS = 20000 };

struct producer {
    struct access_ring *ring;
    uint64_t wanted;
};

static void *produce(void *owner)
{
    struct producer *producer = owner;
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct access_record record = record_of(i);
        record.status = i % 2 ? 200 : 404;
        if (!access_wants(producer->ring, record.status))
            continue;
        producer->wanted++;
        access_write(producer->ring, &record);
    }
    return NULL;
}

static uint64_t produce_all(struct access_log *log)
{
    pthread_t threads[WORKERS];
    struct producer producers[WORKERS];
    uint64_t wanted = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        producers[i] = (struct producer){access_ring(log, i), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        wanted += producers[i].wanted;
    }
    return wanted;
}

static bool is_drained(void *owner)
{
    struct access_log *log = owner;
    for (unsigned i = 0; i < WORKERS; i++) {
        if (access_ring_waiting(access_ring(log, i)))
            return false;
    }
    return true;
}

/* Every record is a line or counted. The counts of one reading are final: the rings are empty by
 * then. */
static void check_written(struct access_log *log, const char *path, uint64_t wanted)
{
    assert_true(await(is_drained, log));
    uint64_t dropped = access_dropped(log);
    access_close(&log);
    assert_null(log);
    char *text = slurp(path);
    assert_int_equal(count_lines(text) + dropped, wanted);
    assert_true(count_lines(text) > 0);
    free(text);
}

static void test_workers_write_to_a_file(void **state)
{
    struct conf_log conf = conf_of(temporary(state), CONF_LOG_JSON, 1000000);
    struct access_log *log = access_open(&conf, WORKERS);
    assert_non_null(log);
    uint64_t wanted = produce_all(log);
    assert_int_equal(wanted, WORKERS * RECORDS);
    check_written(log, temporary(state), wanted);
}

static void test_sampling_keeps_errors(void **state)
{
    struct conf_log conf = conf_of(temporary(state), CONF_LOG_COMMON, 250000);
    struct access_log *log = access_open(&conf, WORKERS);
    assert_non_null(log);
    uint64_t wanted = produce_all(log);
    uint64_t half = WORKERS * RECORDS / 2;
    assert_true(wanted > half + half * 22 / 100 && wanted < half + half * 28 / 100);
    check_written(log, temporary(state), wanted);
}

static void test_off_wants_nothing(void **state)
{
    struct conf_log off = conf_of(temporary(state), CONF_LOG_OFF, 1000000);
    struct conf_log none = conf_of(temporary(state), CONF_LOG_JSON, 0);
    struct access_log *log = access_open(&off, 1);
    assert_non_null(log);
    struct access_ring *ring = access_ring(log, 0);
    assert_false(access_wants(ring, 200));
    assert_false(access_wants(ring, 500));
    assert_int_equal(access_configure(log, &none), OK);
    assert_false(access_wants(ring, 200));
    assert_true(access_wants(ring, 400));
    assert_true(access_wants(ring, 0));
    access_close(&log);
}

/* A record after a long silence must be written without another that pushes it. */
static bool is_written(void *owner)
{
    struct stat info;
    return stat(owner, &info) == 0 && info.st_size > 0;
}

static void test_first_record_after_idle(void **state)
{
    struct conf_log conf = conf_of(temporary(state), CONF_LOG_JSON, 1000000);
    struct access_log *log = access_open(&conf, 1);
    assert_non_null(log);
    for (unsigned i = 0; i < 5; i++) {
        poll(NULL, 0,
             40 * (int)i); // each phase of the thread's sleep, the last being the endless one
        struct access_record record = record_of(i);
        assert_int_equal(truncate(temporary(state), 0), 0);
        access_write(access_ring(log, 0), &record);
        assert_true(await(is_written, temporary(state)));
    }
    access_close(&log);
}

static void write_one(struct access_log *log, uint64_t number)
{
    struct access_record record = record_of(number);
    access_write(access_ring(log, 0), &record);
}

static void test_reopen_after_rename(void **state)
{
    const char *path = temporary(state);
    char moved[64];
    snprintf(moved, sizeof(moved), "%s.1", path);
    struct conf_log conf = conf_of(path, CONF_LOG_JSON, 1000000);
    struct access_log *log = access_open(&conf, 1);
    assert_non_null(log);
    write_one(log, 1);
    assert_true(await(is_written, temporary(state)));
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(access_reopen(log), OK);
    write_one(log, 2);
    access_close(&log);
    char *before = slurp(moved), *after = slurp(path);
    assert_true(count_lines(before) == 1 && strstr(before, "\"bytes_out\":1,"));
    assert_true(count_lines(after) == 1 && strstr(after, "\"bytes_out\":2,"));
    free(before);
    free(after);
    unlink(moved);
}

static void test_a_bad_path_keeps_the_old(void **state)
{
    struct conf_log conf = conf_of(temporary(state), CONF_LOG_JSON, 1000000);
    struct conf_log bad = conf_of("/nonexistent/log", CONF_LOG_OFF, 1000000);
    struct access_log *off = access_open(&bad, 1);
    assert_non_null(off);
    access_close(&off);
    bad.format = CONF_LOG_JSON;
    errno = 0;
    assert_null(access_open(&bad, 1));
    assert_int_equal(errno, ENOENT);
    struct access_log *log = access_open(&conf, 1);
    assert_int_equal(access_configure(log, &bad), E_IO);
    write_one(log, 1);
    access_close(&log);
    char *text = slurp(temporary(state));
    assert_int_equal(count_lines(text), 1);
    free(text);
}

/* --- what is said on stderr */

struct capture {
    int saved, file;
};

static struct capture capture_begin(int fd, const char *path)
{
    struct capture capture = {dup(fd), open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)};
    fflush(NULL);
    dup2(capture.file, fd);
    return capture;
}

static void capture_end(struct capture *capture, int fd)
{
    fflush(NULL);
    dup2(capture->saved, fd);
    close(capture->saved);
    close(capture->file);
}

struct dropping {
    struct access_log *log;
    uint64_t count;
};

static bool has_dropped(void *owner)
{
    struct dropping *dropping = owner;
    return access_dropped(dropping->log) >= dropping->count;
}

static void test_dev_full(void **state)
{
    struct conf_log conf = conf_of("/dev/full", CONF_LOG_JSON, 1000000);
    struct capture capture = capture_begin(STDERR_FILENO, temporary(state));
    struct access_log *log = access_open(&conf, 1);
    struct dropping dropping = {log, 0};
    bool is_counted = true;
    for (unsigned i = 0; i < 3; i++) {
        write_one(log, i);
        dropping.count++;
        is_counted = is_counted && await(has_dropped, &dropping);
    }
    uint64_t dropped = access_dropped(log);
    access_close(&log);
    capture_end(&capture, STDERR_FILENO);
    assert_true(is_counted);
    assert_int_equal(dropped, 3);
    char *text = slurp(temporary(state));
    assert_string_equal(text, "log: cannot write /dev/full: No space left on device; records are "
                              "counted in sluice_log_dropped_total\n");
    free(text);
}

/* stdout is a pipe; its reader is gone. No signal, a count, one report. */
static void test_closed_pipe(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct conf_log conf = conf_of("stdout", CONF_LOG_JSON, 1000000);
    struct capture capture = capture_begin(STDERR_FILENO, temporary(state));
    fflush(NULL);
    int saved = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    close(ends[0]);
    struct access_log *log = access_open(&conf, 1);
    struct dropping dropping = {log, 1};
    write_one(log, 1);
    bool is_counted = await(has_dropped, &dropping);
    access_close(&log);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    capture_end(&capture, STDERR_FILENO);
    assert_true(is_counted);
    char *text = slurp(temporary(state));
    assert_string_equal(text, "log: cannot write stdout: Broken pipe; records are counted in "
                              "sluice_log_dropped_total\n");
    free(text);
}

static bool has_filled(void *owner)
{
    write_one(owner, 1);
    for (unsigned i = 0; i < 1000 && !access_dropped(owner); i++)
        write_one(owner, 1);
    return access_dropped(owner) > 0;
}

/* A reader that sleeps: workers go on, the ring fills, drops are counted, and closing takes no
 * longer than its bound. */
static void test_a_reader_that_sleeps(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct conf_log conf = conf_of("stdout", CONF_LOG_JSON, 1000000);
    struct capture capture = capture_begin(STDERR_FILENO, temporary(state));
    fflush(NULL);
    int saved = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    struct access_log *log = access_open(&conf, 1);
    bool is_counted = await(has_filled, log);
    uint64_t start = clock_us();
    access_close(&log);
    uint64_t taken = clock_us() - start;
    dup2(saved, STDOUT_FILENO);
    close(saved);
    capture_end(&capture, STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    assert_true(is_counted);
    assert_true(taken < 3500000);
    char *text = slurp(temporary(state));
    assert_string_equal(text, "log: stdout did not take the last records in 2 s\n");
    free(text);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_path, drop_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_workers_write_to_a_file),
        FILE_TEST(test_sampling_keeps_errors),
        FILE_TEST(test_off_wants_nothing),
        FILE_TEST(test_first_record_after_idle),
        FILE_TEST(test_reopen_after_rename),
        FILE_TEST(test_a_bad_path_keeps_the_old),
        FILE_TEST(test_dev_full),
        FILE_TEST(test_closed_pipe),
        FILE_TEST(test_a_reader_that_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
