/* SPDX-License-Identifier: Apache-2.0 */
#include "process/child.h"

#include "process/environment.h"
#include "process/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { EXIT_NOT_EXECUTED = 127, FIRST_SAFE_FD = 10 };

static bool append(char *args[CHILD_ARGS_MAX], size_t *count, const char *arg)
{
    if (*count >= CHILD_ARGS_MAX - 1)
        return false;
    args[(*count)++] = (char *)(uintptr_t)arg;
    args[*count] = NULL;
    return true;
}

enum status child_edge_args(const struct supervisor_conf *conf, bool is_last_good,
                            char *args[CHILD_ARGS_MAX])
{
    size_t count = 0;
    bool fits = append(args, &count, "sluice") && append(args, &count, "edge");
    if (conf->config)
        fits = fits && append(args, &count, conf->config);
    for (char *const *more = conf->edge_args; more && *more; more++)
        fits = fits && append(args, &count, *more);
    if (conf->watch)
        fits = fits && append(args, &count, "--watch");
    if (is_last_good)
        fits = fits && append(args, &count, "--last-good");
    return fits ? OK : E_FULL;
}

/* Both first go out of the way: one may have the other's number. dup2() leaves close-on-exec off.
 */
static bool place_link(const struct link *link)
{
    int request = fcntl(link->request_fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    int notice = fcntl(link->notice_fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    return request >= 0 && notice >= 0 && dup2(request, CHILD_REQUEST_FD) >= 0 &&
           dup2(notice, CHILD_NOTICE_FD) >= 0;
}

static bool place_output(int fd)
{
    return fd < 0 || (dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0);
}

/* In the new process. */
static _Noreturn void become(const struct child_command *command, char **env, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    bool is_placed = place_output(command->output_fd);
    if (command->link)
        is_placed = is_placed && place_link(command->link);
    // What our own parent left open without close-on-exec is nobody's business either.
    unsigned first = command->link ? CHILD_NOTICE_FD + 1 : STDERR_FILENO + 1;
    close_range(first, ~0U, CLOSE_RANGE_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, command->death_signal);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent)
        _exit(EXIT_NOT_EXECUTED);
    if (is_placed)
        execve(command->path, command->argv, env);
    report_line("cannot execute path=%s error=\"%s\"", command->path, strerror(errno));
    _exit(EXIT_NOT_EXECUTED);
}

pid_t child_spawn(const struct child_command *command)
{
    char link[64];
    snprintf(link, sizeof link, "SLUICE_LINK=%d,%d", CHILD_REQUEST_FD, CHILD_NOTICE_FD);
    char **env = environment_new(command->link ? link : NULL);
    if (!env)
        return -1;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(command, env, parent);
    int error = errno;
    free(env);
    errno = error;
    return pid;
}
