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
static bool place_fds(const int fds[2])
{
    int first = fds[0] < 0 ? -1 : fcntl(fds[0], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    int second = fds[1] < 0 ? -1 : fcntl(fds[1], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
    return (fds[0] < 0 || (first >= 0 && dup2(first, CHILD_FIRST_FD) >= 0)) &&
           (fds[1] < 0 || (second >= 0 && dup2(second, CHILD_SECOND_FD) >= 0));
}

/* The first that is nobody's business in the new process. */
static unsigned first_closed(const int fds[2])
{
    if (fds[0] < 0)
        return STDERR_FILENO + 1;
    return (fds[1] < 0 ? CHILD_FIRST_FD : CHILD_SECOND_FD) + 1;
}

static bool place_output(int fd)
{
    return fd < 0 || (dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0);
}

/* Whatever else of us runs at exit is not for this process. */
static _Noreturn void run(const struct child_command *command, char **env)
{
    char **argv = (char **)(uintptr_t)command->argv;
    int argc = 0;
    while (argv[argc])
        argc++;
    environ = env;
    _exit(command->run(argc, argv));
}

/* In the new process. */
static _Noreturn void become(const struct child_command *command, char **env, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    if (command->is_leader)
        setsid();
    bool is_placed = place_output(command->output_fd) && place_fds(command->fds);
    // What our own parent left open without close-on-exec is nobody's business either.
    close_range(first_closed(command->fds), ~0U, CLOSE_RANGE_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, command->death_signal);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent)
        _exit(EXIT_NOT_EXECUTED);
    if (is_placed && command->run)
        run(command, env);
    if (is_placed)
        execve(command->path, command->argv, env);
    report_line("cannot execute path=%s error=\"%s\"", command->path, strerror(errno));
    _exit(EXIT_NOT_EXECUTED);
}

pid_t child_spawn(const struct child_command *command)
{
    char **env = environment_new(command->entry);
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
