/* SPDX-License-Identifier: Apache-2.0 */
#include "process/control_child.h"

#include "process/child.h"
#include "process/report.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

enum { EXIT_IDLE = 0 };

static bool can_start(const struct control_child *control, const struct supervisor_conf *conf)
{
    return !control->pid && !control->is_idle && conf->config;
}

int64_t control_child_due_ms(const struct control_child *control,
                             const struct supervisor_conf *conf)
{
    return can_start(control, conf) ? control->restart_ms : INT64_MAX;
}

static void wait_longer(struct control_child *control, int64_t now_ms, int64_t healthy_ms)
{
    uint32_t delay_ms = backoff_crash(&control->backoff, now_ms, healthy_ms);
    control->restart_ms = now_ms + (delay_ms ? delay_ms : BACKOFF_FIRST_MS);
}

void control_child_run(struct control_child *control, const struct supervisor_conf *conf,
                       int64_t now_ms)
{
    if (!can_start(control, conf) || now_ms < control->restart_ms)
        return;
    char *argv[] = {"sluice", "control", (char *)(uintptr_t)conf->config, NULL};
    struct child_command command = {.path = conf->self,
                                    .argv = argv,
                                    .output_fd = -1,
                                    .death_signal = SIGTERM};
    pid_t pid = child_spawn(&command);
    if (pid < 0) {
        report_line("control cannot be started error=\"%s\"", strerror(errno));
        wait_longer(control, now_ms, 0);
        return;
    }
    control->pid = pid;
    control->started_ms = now_ms;
    control->is_leaving = false;
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
