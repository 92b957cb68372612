/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/unit_wire.h"

enum { LINE_MAX_LEN = 255, PROCESSES_MAX = 4096, GONE_WAIT_MS = 5000, LAPS_MAX = 100 };

/* ---- what /proc says */

struct process {
    pid_t session;
    uint64_t start;
    char state;
};

static bool read_text(int folder, const char *name, char *out, size_t size)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* The name of a program may hold anything: what counts begins behind its last parenthesis. */
static bool read_process(pid_t pid, struct process *process)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const char *rest = read_text(AT_FDCWD, path, text, sizeof text) ? strrchr(text, ')') : NULL;
    int session;
    if (!rest || sscanf(rest + 1,
                        " %c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                        "%*d %" SCNu64,
                        &process->state, &session, &process->start) != 3)
        return false;
    process->session = session;
    return true;
}

static bool read_boot(char boot[37])
{
    return read_text(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, 37);
}

enum status unit_record_self(struct unit_record *record)
{
    struct process self, parent;
    *record = (struct unit_record){.supervisor = getppid(), .session = getpid()};
    if (!read_boot(record->boot) || !read_process(record->session, &self) ||
        !read_process(record->supervisor, &parent))
        return E_IO;
    record->start = self.start;
    record->supervisor_start = parent.start;
    return OK;
}

/* ---- the line */

size_t unit_record_format(const struct unit_record *record, char *out, size_t size)
{
    int len = snprintf(out, size, "1 %s %d %" PRIu64 " %d %" PRIu64 "\n", record->boot,
                       (int)record->supervisor, record->supervisor_start, (int)record->session,
                       record->start);
    return len > 0 && (size_t)len < size ? (size_t)len : 0;
}

enum status unit_record_parse(const char *line, struct unit_record *record)
{
    int end = 0;
    *record = (struct unit_record){.supervisor = 0};
    int got = sscanf(line, "1 %36s %9d %20" SCNu64 " %9d %20" SCNu64 "%n", record->boot,
                     &record->supervisor, &record->supervisor_start, &record->session,
                     &record->start, &end);
    bool is_good = got == 5 && (!strcmp(line + end, "\n") || !line[end]) &&
                   record->supervisor > 0 && record->session > 1;
    return is_good ? OK : E_INVALID;
}

/* ---- the folder */

/* Ours alone, or we do not believe it. -1 with errno; ENOENT: there is none. */
static int open_folder(const char *state, bool is_made)
{
    char path[4096];
    struct stat folder;
    if ((size_t)snprintf(path, sizeof path, "%s/units", state) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (is_made && mkdir(path, 0700) < 0 && errno != EEXIST)
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, &folder) == 0 && folder.st_uid == geteuid() &&
                   !(folder.st_mode & (S_IWGRP | S_IWOTH))))
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

static bool is_supervised(const struct unit_record *record, const char *boot)
{
    struct process supervisor;
    return !strcmp(record->boot, boot) && read_process(record->supervisor, &supervisor) &&
           supervisor.start == record->supervisor_start && supervisor.state != 'Z';
}

/* A session's number is not given again while a process is in it, so one that began no sooner than
 * the unit is the unit's. The first process is told by its start. */
static bool is_member(const struct unit_record *record, pid_t pid)
{
    struct process process;
    return read_process(pid, &process) && process.session == record->session &&
           process.state != 'Z' &&
           (pid == record->session ? process.start == record->start
                                   : process.start >= record->start);
}

static void kill_member(const struct unit_record *record, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    // Looked at again: from here on the number means this process.
    if (fd >= 0 && is_member(record, pid))
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    if (fd >= 0)
        close(fd);
}

/* How many processes of a unit there are; with `is_killed` each is sent SIGKILL. */
static unsigned count_members(const struct unit_record *record, bool is_killed)
{
    unsigned count = 0;
    DIR *all = opendir("/proc");
    if (!all)
        return 0;
    for (struct dirent *entry; (entry = readdir(all));) {
        pid_t pid = atoi(entry->d_name);
        if (pid <= 1 || !is_member(record, pid))
            continue;
        count++;
        if (is_killed)
            kill_member(record, pid);
    }
    closedir(all);
    return count;
}

/* One that forks as fast as it is killed has to lose in the end. */
static bool end_members(const struct unit_record *record)
{
    for (unsigned lap = 0; lap < LAPS_MAX; lap++) {
        if (!count_members(record, true))
            return true;
        poll(NULL, 0, GONE_WAIT_MS / LAPS_MAX);
    }
    return false;
}

static bool read_record(int folder, const char *name, struct unit_record *record)
{
    char line[LINE_MAX_LEN + 1];
    return unit_is_id(name, UNIT_ID_SIZE) && read_text(folder, name, line, sizeof line) &&
           unit_record_parse(line, record) == OK;
}

/* What `visit` says may go, goes. */
static void visit_folder(int fd, bool (*visit)(const struct unit_record *, void *), void *owner)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder) {
        if (copy >= 0)
            close(copy);
        return;
    }
    rewinddir(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct unit_record record;
        bool is_ours = entry->d_name[0] != '.';
        if (is_ours && (!read_record(fd, entry->d_name, &record) || visit(&record, owner)))
            unlinkat(fd, entry->d_name, 0);
    }
    closedir(folder);
}

/* All processes are looked at only where the first has ended: this is on the way of every start. */
static bool has_ended(const struct unit_record *record, void *owner)
{
    const char *boot = owner;
    if (strcmp(record->boot, boot) != 0)
        return true;
    return !is_member(record, record->session) && !count_members(record, false);
}

/* Beside it and renamed: a reader sees a whole line or none. */
static enum status put(int folder, const char *id, struct str line)
{
    char name[UNIT_ID_SIZE + 8];
    snprintf(name, sizeof name, ".%s", id);
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return E_IO;
    bool is_written = write(fd, line.p, line.len) == (ssize_t)line.len;
    close(fd);
    return is_written && renameat(folder, name, folder, id) == 0 ? OK : E_IO;
}

enum status unit_record_write(const char *state, const char *id, const struct unit_record *record)
{
    char line[LINE_MAX_LEN + 1], boot[37];
    size_t len = unit_record_format(record, line, sizeof line);
    int folder = open_folder(state, true);
    if (folder < 0)
        return errno == EPERM ? E_DENIED : E_IO;
    if (read_boot(boot))
        visit_folder(folder, has_ended, boot);
    enum status status = put(folder, id, (struct str){line, len});
    int error = errno;
    close(folder);
    errno = error;
    return status;
}

struct sweep {
    char boot[37];
    int ended;
    bool is_stuck;
};

static bool end_orphans(const struct unit_record *record, void *owner)
{
    struct sweep *sweep = owner;
    if (strcmp(record->boot, sweep->boot) != 0)
        return true;
    if (is_supervised(record, sweep->boot))
        return false;
    if (!count_members(record, false))
        return true;
    if (!end_members(record)) {
        sweep->is_stuck = true;
        return false;
    }
    sweep->ended++;
    return true;
}

int unit_record_sweep(const char *state)
{
    struct sweep sweep = {.ended = 0};
    int folder = open_folder(state, false);
    if (folder < 0)
        return errno == ENOENT ? 0 : -1;
    if (read_boot(sweep.boot))
        visit_folder(folder, end_orphans, &sweep);
    close(folder);
    return sweep.is_stuck ? -1 : sweep.ended;
}
