/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded: the process whose second word is KILL_AT_WORD ends by SIGKILL at the n-th time that it
 * makes a file durable, before it is or after it was. What KILL_AT_FILE says ("N before", "N
 * after") is taken by the first such process that can: the file is FILE.taken then, and FILE.killed
 * once it has happened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int left; /* 0: nothing is to happen any more */
static bool is_after;
static char killed[512];

static bool is_meant(void)
{
    const char *word = getenv("KILL_AT_WORD");
    char line[256] = "";
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

    if (fd >= 0)
        close(fd);
    return word && len > 0 && !strcmp(line + strlen(line) + 1, word);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("KILL_AT_FILE");
    char taken[512], when[16] = "";
    int count = 0;
    FILE *file;

    if (!path || !is_meant())
        return;
    snprintf(killed, sizeof(killed), "%s.killed", path);
    snprintf(taken, sizeof(taken), "%s.taken", path);
    if (rename(path, taken))
        return;
    file = fopen(taken, "re");
    if (!file)
        return;
    if (fscanf(file, "%d %15s", &count, when) == 2)
        left = count;
    fclose(file);
    is_after = !strcmp(when, "after");
}

static void die(void)
{
    close(open(killed, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    raise(SIGKILL);
}

static int pass(const char *name, int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    bool is_last = left > 0 && atomic_fetch_sub(&left, 1) == 1;
    int result;

    if (is_last && !is_after)
        die();
    result = next(fd);
    if (is_last)
        die();
    return result;
}

int fsync(int fd)
{
    return pass("fsync", fd);
}

int fdatasync(int fd)
{
    return pass("fdatasync", fd);
}
