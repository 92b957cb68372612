/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_process.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* In a process group of its own, where a terminal's signals do not come; of those sent to it none
 * is waited for, since it ends with the gateway. */
static void leave_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};

    setpgid(0, 0);
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

enum status demo_process_start(const struct demo_process *process)
{
    pid_t parent = getpid(), pid;

    fflush(NULL);
    pid = fork();
    if (pid)
        return pid < 0 ? E_IO : OK;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, process->name);
    leave_signals();
    _exit(getppid() == parent ? process->run(process->subject) : 0);
}
