/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATUS_FD = 3, PORT_FD = 4, EXIT_NOT_EXECUTED = 127, WORDS_MAX = 255 };

bool unit_exec_begin(void)
{
    struct stat status;
    if (fstat(STATUS_FD, &status) < 0 || !S_ISFIFO(status.st_mode))
        return false;
    return close_range(STATUS_FD, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

void unit_exec_fail(enum status status, const char *format, ...)
{
    char text[WORDS_MAX + 1];
    int used = snprintf(text, sizeof text, "%d ", (int)status);
    va_list args;
    va_start(args, format);
    int more = vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    size_t len = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (len > WORDS_MAX)
        len = WORDS_MAX;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
    // Who does not hear it learns of the exit.
    (void)!write(STATUS_FD, text, len);
    _exit(EXIT_NOT_EXECUTED);
}

static void take_streams(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
        unit_exec_fail(E_IO, "cannot open /dev/null: %s", strerror(errno));
}

static void limit(int resource, const char *noun, uint64_t value)
{
    struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    if (value && setrlimit((__rlimit_resource_t)resource, &both) < 0)
        unit_exec_fail(E_DENIED, "cannot limit its %s to %llu: %s", noun, (unsigned long long)value,
                       strerror(errno));
}

static void become(const struct unit_exec *exec)
{
    if (!exec->user)
        return;
    if (initgroups(exec->user, exec->gid) < 0 || setgid(exec->gid) < 0 || setuid(exec->uid) < 0)
        unit_exec_fail(E_DENIED, "cannot become user %s: %s", exec->user, strerror(errno));
}

/* Becoming a user clears what ends us with our parent: it may be gone meanwhile. */
static void stay_child(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        unit_exec_fail(E_CLOSED, "the supervisor is gone");
}

void unit_exec_run(const struct unit_exec *exec)
{
    pid_t parent = getppid();
    take_streams();
    limit(RLIMIT_NOFILE, "open files", exec->files);
    limit(RLIMIT_DATA, "memory", exec->memory);
    become(exec);
    stay_child(parent);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        unit_exec_fail(E_IO, "cannot give up new privileges: %s", strerror(errno));
    if (exec->directory && chdir(exec->directory) < 0)
        unit_exec_fail(E_NOT_FOUND, "cannot go to its directory %s: %s", exec->directory,
                       strerror(errno));
    dprintf(STATUS_FD, "%u\n", exec->grace_ms);
    environ = (char **)(uintptr_t)exec->env;
    execvp(exec->argv[0], exec->argv);
    unit_exec_fail(errno == ENOMEM || errno == EAGAIN ? E_NOMEM : E_NOT_FOUND,
                   "cannot execute %s: %s", exec->argv[0], strerror(errno));
}
