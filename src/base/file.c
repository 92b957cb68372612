/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status fill(int fd, char *p, size_t len, size_t *got)
{
    *got = 0;
    while (*got < len) {
        ssize_t n = read(fd, p + *got, len - *got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return E_IO;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return OK;
}

enum status file_read(const char *path, struct arena *arena, struct str *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status status = E_IO;
    struct stat stat;
    char *p;

    if (fd < 0)
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    if (fstat(fd, &stat) || !S_ISREG(stat.st_mode))
        goto out;
    status = E_NOMEM;
    p = arena_text(arena, (size_t)stat.st_size + 1);
    if (!p)
        goto out;
    status = fill(fd, p, (size_t)stat.st_size, &text->len);
    p[text->len] = '\0';
    text->p = p;
out:
    close(fd);
    return status;
}

static enum status write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return E_IO;
        text.p += n;
        text.len -= (size_t)n;
    }
    return fsync(fd) ? E_IO : OK;
}

static void sync_folder(const char *path)
{
    char copy[PATH_MAX];
    int fd;

    snprintf(copy, sizeof(copy), "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

enum status file_write(const char *path, struct str text, unsigned mode)
{
    char temporary[PATH_MAX];
    struct stat stat_now;
    bool exists = !stat(path, &stat_now);
    enum status status = E_IO;
    int fd, saved;

    if (snprintf(temporary, sizeof(temporary), "%s.new.%d", path, (int)getpid()) >=
        (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return E_IO;
    }
    mode = exists ? stat_now.st_mode & 07777 : mode ? mode : 0600;
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return E_IO;
    if (!fchmod(fd, mode)) // a stale temporary has a mode of its own
        status = write_all(fd, text);
    if (close(fd) || (!status && rename(temporary, path)))
        status = E_IO;
    if (status) {
        saved = errno;
        unlink(temporary);
        errno = saved;
        return E_IO;
    }
    sync_folder(path);
    return OK;
}

enum status file_make_directory(const char *path)
{
    char copy[PATH_MAX];
    struct stat made;

    if (!*path || snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
        return E_INVALID;
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0755) && errno != EEXIST)
            return E_IO;
        *at = '/';
    }
    if (mkdir(copy, 0700) && errno != EEXIST)
        return E_IO;
    return !stat(copy, &made) && S_ISDIR(made.st_mode) ? OK : E_IO;
}
