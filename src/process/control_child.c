/* SPDX-License-Identifier: Apache-2.0 */
#include "process/control_child.h"

#include "process/child.h"
#include "process/report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_IDLE = 0, END_MS = 30 * 1000 };

static bool can_start(const struct control_child *control, const struct supervisor_conf *conf)
{
    return !control->pid && !control->is_idle && conf->config;
}

int64_t control_child_due_ms(const struct control_child *control,
                             const struct supervisor_conf *conf)
{
    if (control->pid && control->is_leaving)
        return control->kill_ms;
    return can_start(control, conf) ? control->restart_ms : INT64_MAX;
}

static void wait_longer(struct control_child *control, int64_t now_ms, int64_t healthy_ms)
{
    uint32_t delay_ms = backoff_crash(&control->backoff, now_ms, healthy_ms);
    control->restart_ms = now_ms + (delay_ms ? delay_ms : BACKOFF_FIRST_MS);
}

void control_child_init(struct control_child *control)
{
    *control = (struct control_child){.link_fd = -1};
}

void control_child_hang_up(struct control_child *control)
{
    if (control->link_fd >= 0)
        close(control->link_fd);
    control->link_fd = -1;
}

/* With the link between us; -1 with errno. */
static pid_t spawn(struct control_child *control, const struct supervisor_conf *conf)
{
    char *argv[] = {"sluice", "control", (char *)(uintptr_t)conf->config, NULL};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    struct child_command command = {.path = conf->self,
                                    .argv = argv,
                                    .entry = CHILD_UNITS_ENTRY,
                                    .fds = {ends[1], -1},
                                    .output_fd = -1,
                                    .death_signal = SIGTERM};
    pid_t pid = child_spawn(&command);
    int error = errno;
    close(ends[1]);
    control->link_fd = ends[0];
    control->link++;
    if (pid < 0)
        control_child_hang_up(control);
    errno = error;
    return pid;
}

/* The next one waits for it, but not for ever. */
static void hurry(struct control_child *control, int64_t now_ms)
{
    if (!control->pid || !control->is_leaving || now_ms < control->kill_ms)
        return;
    if (!control->kill_ms) {
        control->kill_ms = now_ms + END_MS;
        return;
    }
    report_line("control did not end in time: killed pid=%d after_ms=%d", (int)control->pid,
                END_MS);
    control->kill_ms = INT64_MAX;
    kill(control->pid, SIGKILL);
}

void control_child_run(struct control_child *control, const struct supervisor_conf *conf,
                       int64_t now_ms)
{
    hurry(control, now_ms);
    if (!can_start(control, conf) || now_ms < control->restart_ms)
        return;
    pid_t pid = spawn(control, conf);
    if (pid < 0) {
        report_line("control cannot be started error=\"%s\"", strerror(errno));
        wait_longer(control, now_ms, 0);
        return;
    }
    control->pid = pid;
    control->started_ms = now_ms;
    control->is_leaving = false;
    control->kill_ms = 0;
    report_line("control started pid=%d", (int)pid);
}

void control_child_end(struct control_child *control, int signal)
{
    if (!control->pid)
        return;
    control->is_leaving = true;
    kill(control->pid, signal);
}

void control_child_wake(struct control_child *control)
{
    control->is_idle = false;
}

bool control_child_reap(struct control_child *control, pid_t pid, int wait_status, int64_t now_ms)
{
    if (!control->pid || pid != control->pid)
        return false;
    control->pid = 0;
    control_child_hang_up(control);
    if (control->is_leaving) {
        control->restart_ms = 0;
        report_line("control ended pid=%d", (int)pid);
        return true;
    }
    control->is_idle = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_IDLE;
    if (control->is_idle) {
        report_line("control has nothing to do here pid=%d", (int)pid);
        return true;
    }
    wait_longer(control, now_ms, now_ms - control->started_ms);
    report_line("control died pid=%d %s=%d restart_in_ms=%d", (int)pid,
                WIFSIGNALED(wait_status) ? "signal" : "exit",
                WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status),
                (int)(control->restart_ms - now_ms));
    return true;
}

void control_child_write(const struct control_child *control, FILE *out)
{
    if (control->pid)
        fprintf(out, "control %d\n", (int)control->pid);
}

enum status control_child_read(struct control_child *control, const char *line)
{
    int pid, end = 0;
    if (sscanf(line, "control %d%n", &pid, &end) != 1 || line[end] || pid <= 1 || control->pid)
        return E_INVALID;
    control->pid = pid;
    control_child_end(control, SIGTERM);
    return OK;
}
