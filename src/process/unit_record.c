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

struct entry {
    struct unit_record record;
    char id[UNIT_ID_SIZE];
};

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

/* A program may have written over its environment, and has none of these then. */
enum words { WORDS_NONE, WORDS_OTHERS, WORDS_OURS };

struct word {
    const char *text;
    size_t at; /* as far as it was met */
    bool is_other;
};

static void match(struct word *word, char c)
{
    if (word->is_other || word->text[word->at] != c)
        word->is_other = true;
    else
        word->at++;
}

static enum words scan(int fd, const char *text)
{
    enum words found = WORDS_NONE;
    struct word word = {.text = text};
    char bytes[4096];
    for (ssize_t len; (len = read(fd, bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < len; i++) {
            if (bytes[i]) {
                found = bytes[i] == '=' ? WORDS_OTHERS : found;
                match(&word, bytes[i]);
                continue;
            }
            if (!word.is_other && !text[word.at])
                return WORDS_OURS;
            word = (struct word){.text = text};
        }
    return found;
}

/* What the environment of a process says of whose it is. */
static enum words read_words(pid_t pid, const char *id)
{
    char path[32], text[UNIT_ID_SIZE + 16];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    snprintf(text, sizeof text, "SLUICE_UNIT=%s", id);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return WORDS_NONE;
    enum words found = scan(fd, text);
    close(fd);
    return found;
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

/* One of the unit's. The first is told by its start; the others are in its session, began no sooner
 * and are not another's by their environment, since the number may be that of another session
 * whose first process has ended. */
static bool is_member(const struct entry *entry, pid_t pid)
{
    const struct unit_record *record = &entry->record;
    struct process process;
    if (!read_process(pid, &process) || process.session != record->session || process.state == 'Z')
        return false;
    if (pid == record->session)
        return process.start == record->start;
    return process.start >= record->start && read_words(pid, entry->id) != WORDS_OTHERS;
}

/* A session's number is not given again while a process is in it: where another has it as its own,
 * the unit's is over. */
static bool is_over(const struct unit_record *record)
{
    struct process process;
    return read_process(record->session, &process) && process.start != record->start;
}

static void kill_member(const struct entry *entry, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    // Looked at again: from here on the number means this process.
    if (fd >= 0 && !is_over(&entry->record) && is_member(entry, pid))
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    if (fd >= 0)
        close(fd);
}

/* How many processes of a unit there are; with `is_killed` each is sent SIGKILL. */
static unsigned count_members(const struct entry *entry, bool is_killed)
{
    unsigned count = 0;
    DIR *all = is_over(&entry->record) ? NULL : opendir("/proc");
    if (!all)
        return 0;
    for (struct dirent *each; (each = readdir(all));) {
        pid_t pid = atoi(each->d_name);
        if (pid <= 1 || !is_member(entry, pid))
            continue;
        count++;
        if (is_killed)
            kill_member(entry, pid);
    }
    closedir(all);
    return count;
}

/* One that forks as fast as it is killed has to lose in the end. */
static bool end_members(const struct entry *entry)
{
    for (unsigned lap = 0; lap < LAPS_MAX; lap++) {
        if (!count_members(entry, true))
            return true;
        poll(NULL, 0, GONE_WAIT_MS / LAPS_MAX);
    }
    return false;
}

static bool read_entry(int folder, const char *name, struct entry *entry)
{
    char line[LINE_MAX_LEN + 1];
    if (!unit_is_id(name, UNIT_ID_SIZE) || !read_text(folder, name, line, sizeof line))
        return false;
    snprintf(entry->id, sizeof entry->id, "%.*s", UNIT_ID_SIZE - 1, name);
    return unit_record_parse(line, &entry->record) == OK;
}

/* What `visit` says may go, goes. */
static void visit_folder(int fd, bool (*visit)(const struct entry *, void *), void *owner)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (!folder) {
        if (copy >= 0)
            close(copy);
        return;
    }
    rewinddir(folder);
    for (struct dirent *each; (each = readdir(folder));) {
        struct entry entry;
        bool is_ours = each->d_name[0] != '.';
        if (is_ours && (!read_entry(fd, each->d_name, &entry) || visit(&entry, owner)))
            unlinkat(fd, each->d_name, 0);
    }
    closedir(folder);
}

/* All processes are looked at only where the first has ended: this is on the way of every start. */
static bool has_ended(const struct entry *entry, void *owner)
{
    const char *boot = owner;
    if (strcmp(entry->record.boot, boot) != 0)
        return true;
    return !is_member(entry, entry->record.session) && !count_members(entry, false);
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

static bool end_orphans(const struct entry *entry, void *owner)
{
    struct sweep *sweep = owner;
    if (strcmp(entry->record.boot, sweep->boot) != 0)
        return true;
    if (is_supervised(&entry->record, sweep->boot))
        return false;
    if (!count_members(entry, false))
        return true;
    if (!end_members(entry)) {
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
