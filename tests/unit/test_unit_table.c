/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of what units are made of: ports, output that is kept, and the lines that
 * go to the next binary. How apps live is tested with real ones, in tests/provider.
 */
#include "process/units.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- ports */

static void test_ranges(void **state)
{
    static const struct {
        const char *kernel;
        uint16_t low, high;
    } cases[] = {
        {"32768\t60999\n", 20000, 32767},
        {NULL, 20000, 32767},
        {"x", 20000, 32767},
        {"1024 60999", 61000, 65535},
        {"15000 64000", 64001, 65535},
        {"1024 65535", 20000, 65535},
        {"20500 65535", 20000, 65535},
        {"40000 65535", 20000, 39999},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct unit_ports ports = {0};
        unit_port_range(&ports, cases[i].kernel);
        assert_int_equal(ports.low, cases[i].low);
        assert_int_equal(ports.high, cases[i].high);
    }
}

static bool is_odd(const void *owner, uint16_t port)
{
    (void)owner;
    return port % 2;
}

static bool is_any(const void *owner, uint16_t port)
{
    (void)owner;
    (void)port;
    return true;
}

static int bind_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_ports_are_held_and_come_in_turn(void **state)
{
    struct unit_ports ports = {0};
    uint16_t first, second, third;
    (void)state;
    int held = unit_port_hold(&ports, is_odd, NULL, &first);
    assert_true(held >= 0);
    assert_int_equal(first % 2, 0);
    assert_true(fcntl(held, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(bind_to(first), -1); // for all addresses too
    ports.next = first;
    int other = unit_port_hold(&ports, is_odd, NULL, &second);
    assert_int_not_equal(first, second);
    close(held);
    close(other);
    int again = unit_port_hold(&ports, is_odd, NULL, &third);
    assert_true(third != first && third != second);
    close(again);
    assert_int_equal(unit_port_hold(&ports, is_any, NULL, &third), -1);
}

static void test_ports_resume(void **state)
{
    struct unit_ports ports = {0};
    (void)state;
    unit_ports_resume(&ports, 0);
    assert_int_equal(ports.next, 0);
    unit_ports_resume(&ports, 1);
    assert_int_equal(ports.next, ports.low);
    unit_ports_resume(&ports, (uint16_t)(ports.low + 5));
    assert_int_equal(ports.next, ports.low + 5);
}

/* ---- output */

/* What goes to stderr meanwhile, in `text`. */
struct stderr_catch {
    int kept, file;
};

static struct stderr_catch catch_stderr(void)
{
    struct stderr_catch caught = {dup(STDERR_FILENO), memfd_create("stderr", 0)};
    dup2(caught.file, STDERR_FILENO);
    return caught;
}

static void release_stderr(struct stderr_catch *caught, char *text, size_t size)
{
    dup2(caught->kept, STDERR_FILENO);
    ssize_t len = pread(caught->file, text, size - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    close(caught->kept);
    close(caught->file);
}

static void test_lines_are_shown_and_kept(void **state)
{
    struct unit_log log = {.fd = -1};
    char out[8192], tail[256];
    (void)state;
    assert_int_equal(unit_log_open(&log), OK);
    struct stderr_catch caught = catch_stderr();
    unit_log_add(&log, "s/r/u", STR("one\ntw"), 1);
    unit_log_add(&log, "s/r/u", STR("o\n\n\ttab\033[1m\n"), 1);
    unit_log_add(&log, "s/r/u", STR("open"), 1);
    unit_log_flush(&log, "s/r/u", 1);
    unit_log_flush(&log, "s/r/u", 1);
    release_stderr(&caught, out, sizeof out);
    assert_string_equal(out, "sluice: s/r/u: one\nsluice: s/r/u: two\nsluice: s/r/u: \ttab?[1m\n"
                             "sluice: s/r/u: open\n");
    size_t len = unit_log_tail(&log, tail, sizeof tail);
    assert_int_equal(len, 22);
    assert_memory_equal(tail, "one\ntwo\n\n\ttab\033[1m\nopen", len);
    assert_int_equal(unit_log_tail(&log, tail, 4), 4);
    assert_memory_equal(tail, "open", 4);
    unit_log_close(&log);
    unit_log_close(&log);
    assert_int_equal(unit_log_tail(&log, tail, 4), 0);
}

static void test_too_many_lines_are_counted(void **state)
{
    struct unit_log log = {.fd = -1};
    static char out[1 << 20];
    (void)state;
    assert_int_equal(unit_log_open(&log), OK);
    struct stderr_catch caught = catch_stderr();
    for (int i = 0; i < UNIT_LINES_BURST + 7; i++)
        unit_log_add(&log, "u", STR("x\n"), 1000);
    unit_log_add(&log, "u", STR("later\n"), 2000);
    release_stderr(&caught, out, sizeof out);
    size_t lines = 0;
    for (const char *at = out; (at = strstr(at, "u: x\n")); at++)
        lines++;
    assert_int_equal(lines, UNIT_LINES_BURST);
    assert_non_null(strstr(out, "u: (7 lines were left out)\nsluice: u: later\n"));
    unit_log_close(&log);
}

/* The ring against a plain copy of all that was said. */
static void test_the_ring_keeps_the_newest(void **state)
{
    enum { ALL = 5 * UNIT_LOG_SIZE };
    static char all[ALL], got[UNIT_LOG_SIZE];
    struct unit_log log = {.fd = -1};
    size_t total = 0;
    (void)state;
    for (size_t i = 0; i < ALL; i++)
        all[i] = (char)('a' + (i * i + i / 7) % 26);
    assert_int_equal(unit_log_open(&log), OK);
    struct stderr_catch caught = catch_stderr();
    for (size_t len = 1; total + len <= ALL; len = len * 2 + 3) {
        unit_log_add(&log, "u", (struct str){all + total, len}, 1);
        total += len;
        size_t kept = total < UNIT_LOG_SIZE ? total : UNIT_LOG_SIZE;
        assert_int_equal(unit_log_tail(&log, got, sizeof got), kept);
        assert_memory_equal(got, all + total - kept, kept);
    }
    char none[2];
    release_stderr(&caught, none, sizeof none);
    int fd = dup(log.fd);
    unit_log_close(&log);
    struct unit_log adopted;
    assert_int_equal(unit_log_adopt(&adopted, fd), OK);
    assert_int_equal(unit_log_tail(&adopted, got, sizeof got), UNIT_LOG_SIZE);
    assert_memory_equal(got, all + total - UNIT_LOG_SIZE, UNIT_LOG_SIZE);
    uint32_t wild = UINT32_MAX;
    assert_int_equal(pwrite(fd, &wild, sizeof wild, 0), sizeof wild);
    assert_int_equal(unit_log_adopt(&(struct unit_log){.fd = -1}, fd), E_INVALID);
    unit_log_close(&adopted);
    assert_int_equal(unit_log_adopt(&adopted, STDIN_FILENO), E_INVALID);
}

/* ---- to the next binary */

static struct units *new_units(void)
{
    struct units *units = calloc(1, sizeof *units);
    assert_non_null(units);
    units_init(units);
    return units;
}

static void free_units(struct units *units)
{
    units_fini(units);
    free(units);
}

/* One that has ended, so that nothing is signalled. */
static void fill(struct units *units)
{
    struct unit *unit = &units->items[3];
    *unit = (struct unit){.state = UNIT_FAILED,
                          .id = "u1",
                          .release = "r.1",
                          .service = "a service",
                          .group = 12345,
                          .port = 20001,
                          .restarts = 2,
                          .grace_ms = 77,
                          .exit_code = -1,
                          .signal = 9,
                          .fault = E_NOT_FOUND,
                          .reason = "cannot execute x: no such file",
                          .status_fd = -1,
                          .output_fd = -1,
                          .born_ms = 1,
                          .kill_ms = 2,
                          .started_ms = 3,
                          .changed_ms = 4,
                          .lived_ms = 5,
                          .is_asked = true,
                          .is_killed = true};
    assert_int_equal(unit_log_open(&unit->log), OK);
    units->sweep_pid = 4711;
}

static enum status read_text(struct units *units, char *text)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        enum status status = units_read_line(units, line);
        if (status)
            return status;
    }
    return OK;
}

static char *write_text(struct units *units)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    units_write(units, out);
    fclose(out);
    return text;
}

static void test_units_go_to_the_next_binary(void **state)
{
    struct units *old = new_units(), *new = new_units();
    (void)state;
    fill(old);
    char *text = write_text(old);
    old->items[3].log.page = NULL; // its descriptor is the new one's now
    assert_int_equal(read_text(new, text), OK);
    const struct unit *unit = &new->items[0], *was = &old->items[3];
    assert_string_equal(unit->id, was->id);
    assert_string_equal(unit->release, was->release);
    assert_string_equal(unit->service, was->service);
    assert_string_equal(unit->reason, was->reason);
    assert_int_equal(unit->state, UNIT_FAILED);
    assert_int_equal(unit->port, 20001);
    assert_int_equal(unit->grace_ms, 77);
    assert_int_equal(unit->signal, 9);
    assert_int_equal(unit->exit_code, -1);
    assert_int_equal(unit->fault, E_NOT_FOUND);
    assert_int_equal(unit->lived_ms, 5);
    assert_true(unit->is_asked && unit->is_killed && !unit->is_removed && unit->is_news);
    assert_int_equal(new->sweep_pid, 4711);
    free(text);
    free_units(old);
    free_units(new);
}

static void test_lines_that_are_none(void **state)
{
    static const char *const bad[] = {
        "unit ",
        "unit 5 0 7 1 0 77 0 0 0 -1 -1 -1 0 1 2 3 4 5 u1 r1",
        "unit 5 0 7 1 0 77 0 0 0 -1 -1 -1 0 1 2 3 4 5 u1 r1 s",  // no log
        "unit 9 0 7 1 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 u1 r1 s", // no such state
        "unit 2 9 1 1 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 u1 r1 s", // a group that is everyone's
        "unit 2 9 0 1 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 u1 r1 s",
        "unit 2 -9 7 1 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 u1 r1 s",
        "unit 5 0 7 99999 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 u1 r1 s",
        "unit 5 0 7 1 0 77 0 0 0 -1 -1 LOG 0 1 2 3 4 5 ../u r1 s",
        "units",
        "units 1",
        "units 1 2 3",
        "units 70000 0",
        "units reason of nobody",
        "unitsx",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct units *units = new_units();
        struct unit_log log;
        char line[256], number[16];
        assert_int_equal(unit_log_open(&log), OK);
        snprintf(number, sizeof number, "%d", log.fd);
        const char *mark = strstr(bad[i], "LOG");
        int before = mark ? (int)(mark - bad[i]) : (int)strlen(bad[i]);
        snprintf(line, sizeof line, "%.*s%s%s", before, bad[i], mark ? number : "",
                 mark ? mark + 3 : "");
        assert_int_equal(units_read_line(units, line), E_INVALID);
        assert_int_equal(units_count(units), 0);
        unit_log_close(&log);
        free_units(units);
    }
}

/* What the lines above have wrong is all that is wrong with them. */
static void test_a_line_that_is_one(void **state)
{
    struct units *units = new_units();
    struct unit_log log;
    char line[256];
    (void)state;
    assert_int_equal(unit_log_open(&log), OK);
    snprintf(line, sizeof line, "unit 5 0 7 1 0 77 0 0 0 -1 -1 %d 0 1 2 3 4 5 u1 r1 s",
             dup(log.fd));
    assert_int_equal(units_read_line(units, line), OK);
    assert_int_equal(units_read_line(units, line), E_INVALID); // the id is there
    unit_log_close(&log);
    free_units(units);
}

static void test_unknown_units(void **state)
{
    struct units *units = new_units();
    const struct supervisor_conf conf = {.config = NULL};
    struct unit_ask ask = {.id = "u1", .release = "r1", .service = "s"};
    char error[UNIT_REASON_SIZE];
    (void)state;
    assert_int_equal(units_stop(units, "u1", 0, true), E_NOT_FOUND);
    assert_null(units_find(units, "u1"));
    assert_false(units_reap(units, 4711, 0));
    assert_int_equal(units_start(units, &conf, &ask, error), E_INVALID);
    assert_int_equal(units_due_ms(units, 0), INT64_MAX);
    free_units(units);
}

/* A program that is not there ends in a state, not in an error of ours; its place is used again. */
static void test_places(void **state)
{
    struct units *units = new_units();
    (void)state;
    for (int i = 0; i < UNITS_MAX; i++) {
        struct unit *unit = &units->items[i];
        unit->state = UNIT_RUNNING;
        snprintf(unit->id, sizeof unit->id, "u%d", i);
    }
    const struct supervisor_conf conf = {.config = "x", .self = "/nonexistent/program"};
    struct unit_ask ask = {.id = "one-more", .release = "r1", .service = "s"};
    char error[UNIT_REASON_SIZE];
    assert_int_equal(units_start(units, &conf, &ask, error), E_FULL);
    assert_non_null(strstr(error, "256 units"));
    units->items[7].state = units->items[9].state = UNIT_STOPPED;
    units->items[7].changed_ms = 2;
    units->items[9].changed_ms = 1;
    assert_int_equal(units_start(units, &conf, &ask, error), OK);
    assert_string_equal(units->items[9].id, "one-more");
    for (int i = 0; i < UNITS_MAX; i++)
        if (i != 9)
            units->items[i].state = UNIT_NONE;
    free_units(units);
}

static int hang(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return pause();
}

static struct unit *start_one(struct units *units, int (*run)(int argc, char **argv))
{
    const struct supervisor_conf conf = {.config = "x", .unit = run};
    struct unit_ask ask = {.id = "u1", .release = "r1", .service = "s"};
    char error[UNIT_REASON_SIZE];
    assert_int_equal(units_start(units, &conf, &ask, error), OK);
    return units_find(units, "u1");
}

static void test_a_start_that_hangs_is_ended(void **state)
{
    struct units *units = new_units();
    struct unit *unit = start_one(units, hang);
    int64_t due_ms = units_due_ms(units, unit->born_ms);
    int wait_status;
    (void)state;
    assert_int_equal(due_ms, unit->born_ms + 30000);
    units_run(units, due_ms - 1);
    assert_int_equal(unit->state, UNIT_STARTING);
    units_run(units, due_ms);
    assert_int_equal(unit->state, UNIT_STOPPING);
    assert_true(unit->is_news);
    assert_int_equal(waitpid(unit->pid, &wait_status, 0), unit->pid);
    assert_true(units_reap(units, unit->pid, wait_status));
    assert_int_equal(unit->state, UNIT_FAILED);
    assert_int_equal(unit->signal, SIGKILL);
    assert_int_equal(unit->fault, E_AGAIN);
    assert_string_equal(unit->reason,
                        "its command was not executed within 30 seconds: its user, its "
                        "directory or a secret could not be read");
    free_units(units);
}

static int execute(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    return execl("/bin/sleep", "sleep", "600", NULL);
}

static void test_a_start_that_was_not_heard_of_in_time(void **state)
{
    struct units *units = new_units();
    struct unit *unit = start_one(units, execute);
    struct pollfd word = {.fd = unit->status_fd, .events = POLLIN};
    (void)state;
    assert_int_equal(poll(&word, 1, -1), 1);
    units_run(units, unit->born_ms + 30000);
    assert_int_equal(unit->state, UNIT_RUNNING);
    assert_int_equal(units_due_ms(units, unit->born_ms), INT64_MAX);
    pid_t pid = unit->pid;
    free_units(units);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_ports_are_held_and_come_in_turn),
        cmocka_unit_test(test_ports_resume),
        cmocka_unit_test(test_lines_are_shown_and_kept),
        cmocka_unit_test(test_too_many_lines_are_counted),
        cmocka_unit_test(test_the_ring_keeps_the_newest),
        cmocka_unit_test(test_units_go_to_the_next_binary),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_a_line_that_is_one),
        cmocka_unit_test(test_unknown_units),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_a_start_that_hangs_is_ended),
        cmocka_unit_test(test_a_start_that_was_not_heard_of_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
