/* SPDX-License-Identifier: Apache-2.0 */
#include "process/keeper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/control_child.h"
#include "process/report.h"

enum { STOP_MS = 30 * 1000, LOOK_MS = 1000 };

static int64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static sigset_t served(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        sigaddset(&set, numbers[i]);
        signal(numbers[i], SIG_DFL); // what a shell left ignored would never be seen
    }
    return set;
}

static void reap(struct control_child *control)
{
    int wait_status;
    pid_t pid;

    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
        control_child_reap(control, pid, wait_status, clock_ms());
}

/* The next signal, or 0 when it is time to look. */
static int next_signal(const sigset_t *set, int64_t due_ms)
{
    int64_t wait_ms = due_ms - clock_ms();
    struct timespec time;
    int number;

    if (wait_ms > LOOK_MS)
        wait_ms = LOOK_MS;
    if (wait_ms < 0)
        wait_ms = 0;
    time = (struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000};
    number = sigtimedwait(set, NULL, &time);
    return number > 0 ? number : 0;
}

static void pass_on(const struct control_child *control, int number)
{
    if (number == SIGUSR2)
        report_line("control alone is upgraded by a restart: nothing waits for it meanwhile");
    else if (number == SIGHUP && control->pid)
        kill(control->pid, SIGHUP);
}

static void end(struct control_child *control, const sigset_t *set)
{
    int64_t until_ms = clock_ms() + STOP_MS;

    report_line("stopping");
    control_child_end(control, SIGTERM);
    while (control->pid && clock_ms() < until_ms) {
        int number = next_signal(set, until_ms);

        reap(control);
        if (number == SIGTERM || number == SIGINT) // said again
            break;
    }
    control_child_end(control, SIGKILL);
}

int keeper_run(const struct supervisor_conf *conf)
{
    struct control_child control;
    sigset_t set = served();
    int number = 0;

    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    control_child_init(&control);
    report_line("started pid=%d role=control", (int)getpid());
    while (number != SIGTERM && number != SIGINT) {
        control_child_run(&control, conf, clock_ms());
        control_child_hang_up(&control); // it starts no apps: there is nobody to ask for them
        number = next_signal(&set, control_child_due_ms(&control, conf));
        reap(&control);
        pass_on(&control, number);
    }
    end(&control, &set);
    report_line("stopped exit=0");
    return 0;
}
