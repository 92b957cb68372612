/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process of the binary before: it is told to end, and does not hold up the next one
 * for ever.
 */
#include "process/control_child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW_MS = 1000000, PATIENCE_MS = 30000 };

static const struct supervisor_conf conf = {.config = "sluice.yaml"};

/* A process that hears nothing, or what it is told. */
static pid_t start(bool is_deaf)
{
    sigset_t mask, before;
    pid_t pid;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, &before);
    pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!is_deaf)
            sigprocmask(SIG_SETMASK, &before, NULL);
        for (;;)
            pause();
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(pid > 0);
    return pid;
}

static struct control_child read_one(pid_t pid)
{
    struct control_child control;
    char line[32];

    snprintf(line, sizeof(line), "control %d", (int)pid);
    control_child_init(&control);
    assert_int_equal(control_child_read(&control, line), OK);
    return control;
}

static void test_one_that_hangs_is_killed_in_the_end(void **state)
{
    pid_t pid = start(true);
    struct control_child control = read_one(pid);
    int status;

    (void)state;
    assert_true(control_child_due_ms(&control, &conf) <= NOW_MS);
    control_child_run(&control, &conf, NOW_MS);
    assert_int_equal(control_child_due_ms(&control, &conf), NOW_MS + PATIENCE_MS);
    control_child_run(&control, &conf, NOW_MS + PATIENCE_MS - 1);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    control_child_run(&control, &conf, NOW_MS + PATIENCE_MS);
    assert_int_equal(control_child_due_ms(&control, &conf), INT64_MAX); // nothing but its end
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(control_child_reap(&control, pid, status, NOW_MS + PATIENCE_MS));
    assert_int_equal(control_child_due_ms(&control, &conf), 0); // the next one, at once
}

static void test_one_that_hears_ends_by_itself(void **state)
{
    pid_t pid = start(false);
    struct control_child control = read_one(pid);
    int status;

    (void)state;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_true(control_child_reap(&control, pid, status, NOW_MS));
    assert_int_equal(control_child_due_ms(&control, &conf), 0);
}

static void test_lines_that_are_none(void **state)
{
    static const char *const wrong[] = {"control",   "control ",   "control x",
                                        "control 1", "control -5", "control 77 "};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct control_child control;

        control_child_init(&control);
        assert_int_equal(control_child_read(&control, wrong[i]), E_INVALID);
        assert_int_equal(control.pid, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_hangs_is_killed_in_the_end),
        cmocka_unit_test(test_one_that_hears_ends_by_itself),
        cmocka_unit_test(test_lines_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
