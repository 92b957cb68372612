/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the records of units on disk, and of what a sweep by them ends.
 */
#include "process/unit_record.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_records(void **state)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "1 a 2 3",
                                      "2 boot 10 1 20 2\n",
                                      "1 boot 10 1 20 2 more\n",
                                      "1 boot 10 1 20 2x",
                                      "1 boot 0 1 20 2\n",
                                      "1 boot 10 1 1 2\n",
                                      "1 boot 10 1 -20 2\n",
                                      "1 boot 10 1 0 2\n",
                                      "1 boot 9999999999 1 20 2\n"};
    struct unit_record record = {.boot = "0123",
                                 .supervisor = 7,
                                 .session = 8,
                                 .start = UINT64_MAX};
    struct unit_record again, self;
    char line[256];
    (void)state;
    assert_true(unit_record_format(&record, line, sizeof line) > 0);
    assert_int_equal(unit_record_parse(line, &again), OK);
    assert_memory_equal(&record, &again, sizeof record);
    assert_int_equal(unit_record_format(&record, line, 10), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(unit_record_parse(bad[i], &again), E_INVALID);
    assert_int_equal(unit_record_self(&self), OK);
    assert_int_equal(self.session, getpid());
    assert_int_equal(self.supervisor, getppid());
    assert_true(self.start >= self.supervisor_start && strlen(self.boot) == 36);
}

static void test_a_folder_that_is_not_ours_alone(void **state)
{
    char state_dir[] = "/tmp/sluice-units-XXXXXX", path[64], target[80];
    struct unit_record record;
    (void)state;
    assert_non_null(mkdtemp(state_dir));
    snprintf(path, sizeof path, "%s/units", state_dir);
    snprintf(target, sizeof target, "%s/other", state_dir);
    assert_int_equal(unit_record_self(&record), OK);
    assert_int_equal(unit_record_sweep(state_dir), 0); // there is none
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(unit_record_sweep(state_dir), -1);
    assert_int_not_equal(unit_record_write(state_dir, "u1", &record), OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, 0770), 0);
    assert_int_equal(unit_record_write(state_dir, "u1", &record), E_DENIED);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(unit_record_write(state_dir, "u1", &record), OK);
    assert_int_equal(unit_record_sweep(state_dir), 0); // its supervisor lives
    snprintf(target, sizeof target, "%s/u1", path);
    assert_int_equal(unlink(target), 0);
    assert_int_equal(rmdir(path), 0);
    snprintf(target, sizeof target, "%s/other", state_dir);
    assert_int_equal(rmdir(target), 0);
    assert_int_equal(rmdir(state_dir), 0);
}

/* A process in a session of its own, whose first process stays or ends. */
struct stray {
    pid_t session, pid;
};

static struct stray new_stray(bool has_leader, const char *word)
{
    struct stray stray;
    int ends[2];
    char none;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    stray.session = fork();
    if (!stray.session) {
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close_range(STDIN_FILENO, STDERR_FILENO, 0);
        pid_t pid = fork();
        if (!pid) {
            execle("/bin/sleep", "sleep", "600", NULL, (char *[]){(char *)(uintptr_t)word, NULL});
            _exit(1);
        }
        (void)!write(ends[1], &pid, sizeof pid);
        close(ends[1]);
        while (has_leader)
            pause();
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &stray.pid, sizeof stray.pid), sizeof stray.pid);
    assert_int_equal(read(ends[0], &none, 1), 0); // it has been executed
    close(ends[0]);
    if (!has_leader)
        assert_int_equal(waitpid(stray.session, NULL, 0), stray.session);
    return stray;
}

static bool has_ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_only_what_is_of_the_unit_is_ended(void **state)
{
    static const struct {
        const char *word; /* of its environment */
        bool has_leader;  /* another one than the unit's */
        bool is_ended;
    } cases[] = {
        {"SLUICE_UNIT=u1", true, false},   {"SLUICE_UNIT=u1", false, true},
        {"SLUICE_UNIT=u12", false, false}, {"SLUICE_UNIT=u", false, false},
        {"XSLUICE_UNIT=u1", false, false}, {"HOME=/", false, false},
        {"overwritten", false, true},      {NULL, false, true},
    };
    (void)state;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char state_dir[] = "/tmp/sluice-units-XXXXXX", path[64];
        struct unit_record record;
        struct stray stray = new_stray(cases[i].has_leader, cases[i].word);
        assert_non_null(mkdtemp(state_dir));
        assert_int_equal(unit_record_self(&record), OK);
        record.session = stray.session;
        record.start--;            // the unit began before the stray
        record.supervisor_start--; // and its supervisor is gone
        assert_int_equal(unit_record_write(state_dir, "u1", &record), OK);
        assert_int_equal(unit_record_sweep(state_dir), cases[i].is_ended);
        assert_int_equal(has_ended(stray.pid), cases[i].is_ended);
        if (cases[i].has_leader)
            end(stray.session);
        if (!cases[i].is_ended)
            end(stray.pid);
        snprintf(path, sizeof path, "%s/units", state_dir);
        assert_int_equal(rmdir(path), 0); // its record is gone
        assert_int_equal(rmdir(state_dir), 0);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_a_folder_that_is_not_ours_alone),
        cmocka_unit_test(test_only_what_is_of_the_unit_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
