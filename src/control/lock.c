/* SPDX-License-Identifier: Apache-2.0 */
#include "control/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

enum { DIGITS = 20 };

enum status lock_take(const char *state, int *fd)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/control.lock", state) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return E_IO;
    }
    if (file_make_directory(state))
        return E_IO;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return E_IO;
    if (!flock(*fd, LOCK_EX | LOCK_NB))
        return OK;
    enum status status = errno == EWOULDBLOCK ? E_CONFLICT : E_IO;
    close(*fd);
    *fd = -1;
    return status;
}

int64_t lock_epoch(int fd)
{
    char text[DIGITS + 1] = "";
    ssize_t n = pread(fd, text, DIGITS, 0);

    return n > 0 ? strtoll(text, NULL, 10) : 0;
}

/* As many digits each time: a write that breaks off leaves no shorter number. */
enum status lock_set_epoch(int fd, int64_t epoch)
{
    char text[DIGITS + 2];
    int len = snprintf(text, sizeof(text), "%0*lld\n", DIGITS - 1, (long long)epoch);

    if (pwrite(fd, text, (size_t)len, 0) == len && !fdatasync(fd))
        return OK;
    return E_IO;
}
