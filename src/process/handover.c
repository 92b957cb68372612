/* SPDX-License-Identifier: Apache-2.0 */
#include "process/handover.h"

#include "process/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void keep_fd(int fd, bool is_kept)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

static void keep_all(const struct handover *handover, bool is_kept)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &handover->children->items[i];
        if (child->state == CHILD_NONE)
            continue;
        keep_fd(child->link.request_fd, is_kept);
        keep_fd(child->link.notice_fd, is_kept);
    }
    for (const struct sockets_bind *bind = handover->sockets->first; bind; bind = bind->next)
        for (uint32_t i = 0; i < bind->count; i++)
            keep_fd(bind->fds[i], is_kept);
    for (unsigned i = 0; i < handover->memory->count; i++)
        keep_fd(handover->memory->blocks[i].fd, is_kept);
    units_keep_fds(handover->units, is_kept);
}

/* A memfd with everything, read from its start; -1 with errno. */
static int save(const struct handover *handover)
{
    int fd = memfd_create("sluice-handover", MFD_CLOEXEC);
    int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    FILE *out = copy < 0 ? NULL : fdopen(copy, "w");
    if (!out)
        goto fail;
    fprintf(out, "sluice-handover %d\n", HANDOVER_VERSION);
    children_write(handover->children, out);
    control_child_write(handover->control, out);
    sockets_write(handover->sockets, out);
    memory_write(handover->memory, out);
    units_write(handover->units, out);
    fputs("end\n", out);
    bool is_written = !ferror(out);
    copy = -1;
    if (fclose(out) == 0 && is_written && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
fail:
    if (copy >= 0)
        close(copy);
    if (fd >= 0)
        close(fd);
    return -1;
}

enum status handover_exec(const struct handover *handover, const char *path, char *const *argv)
{
    char entry[64];
    int fd = save(handover);
    if (fd < 0)
        return E_IO;
    snprintf(entry, sizeof entry, "SLUICE_HANDOVER=%d", fd);
    char **env = environment_new(entry);
    if (env) {
        keep_fd(fd, true);
        keep_all(handover, true);
        execve(path, argv, env);
    }
    int error = errno;
    keep_all(handover, false);
    close(fd);
    free(env);
    errno = error;
    return E_IO;
}

static enum status read_line(const struct handover *handover, char *line)
{
    if (!strncmp(line, "child", 5))
        return children_read(handover->children, line);
    if (!strncmp(line, "control ", 8))
        return control_child_read(handover->control, line);
    if (!strncmp(line, "socket ", 7))
        return sockets_read(handover->sockets, line + 7);
    if (!strncmp(line, "memory ", 7))
        return memory_read(handover->memory, line + 7);
    if (!strncmp(line, "unit", 4))
        return units_read_line(handover->units, line);
    return E_INVALID;
}

static bool is_head(const char *line)
{
    int version;
    char end;
    return sscanf(line, "sluice-handover %9d%c", &version, &end) == 1 &&
           version >= HANDOVER_OLDEST && version <= HANDOVER_VERSION;
}

static enum status read_all(const struct handover *handover, FILE *in)
{
    char *line = NULL;
    size_t size = 0;
    enum status status = OK;
    bool is_whole = false;
    for (unsigned number = 0; !status && !is_whole && getline(&line, &size, in) > 0; number++) {
        line[strcspn(line, "\n")] = '\0';
        is_whole = number && !strcmp(line, "end");
        if (!number)
            status = is_head(line) ? OK : E_INVALID;
        else if (!is_whole)
            status = read_line(handover, line);
    }
    free(line);
    return status || is_whole ? status : E_INVALID;
}

enum status handover_take(const struct handover *handover)
{
    const char *text = getenv("SLUICE_HANDOVER");
    int fd;
    char end;
    if (!text)
        return E_NOT_FOUND;
    bool is_number = sscanf(text, "%9d%c", &fd, &end) == 1;
    unsetenv("SLUICE_HANDOVER");
    FILE *in = is_number ? fdopen(fd, "r") : NULL;
    if (!in)
        return E_INVALID;
    enum status status = read_all(handover, in);
    fclose(in);
    keep_all(handover, false);
    return status;
}
