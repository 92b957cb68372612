/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing with every way it can fail. The log thread has SIGPIPE blocked, so that a reader that is
 * gone is EPIPE.
 */
#include "edge/metric/access_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* POLLOUT at a pipe means that one page has room: so much never blocks, and is written in one piece
 * (PIPE_BUF). */
enum { PIECE_MAX = 4096 };

static bool is_word(const char *path, const char *word)
{
    return strcmp(path, word) == 0;
}

/* O_NONBLOCK is for the open alone: a FIFO without a reader must not hold the caller. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return -1;
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void examine(struct access_sink *sink)
{
    struct stat info;
    bool is_known = fstat(sink->fd, &info) == 0;
    sink->is_socket = is_known && S_ISSOCK(info.st_mode);
    sink->is_slow = sink->is_socket || (is_known && S_ISFIFO(info.st_mode)) || isatty(sink->fd);
}

enum status access_sink_open(struct access_sink *sink, struct str path)
{
    *sink = (struct access_sink){.fd = -1, .cancel_fd = -1};
    char *copy = strndup(path.p ? path.p : "", path.len);
    if (!copy)
        return E_NOMEM;
    sink->is_file = !is_word(copy, "stdout") && !is_word(copy, "stderr");
    if (sink->is_file)
        sink->fd = open_file(copy);
    else
        sink->fd = is_word(copy, "stdout") ? STDOUT_FILENO : STDERR_FILENO;
    if (sink->fd < 0) {
        int saved = errno;
        free(copy);
        errno = saved;
        return E_IO;
    }
    sink->path = copy;
    examine(sink);
    return OK;
}

void access_sink_close(struct access_sink *sink)
{
    if (sink->is_file && sink->fd >= 0)
        close(sink->fd);
    free(sink->path);
    *sink = (struct access_sink){.fd = -1, .cancel_fd = -1};
}

void access_sink_replace(struct access_sink *sink, struct access_sink *fresh)
{
    if (sink->is_broken && sink->path && fresh->path && strcmp(sink->path, fresh->path) == 0) {
        fresh->is_broken = true;
        fresh->is_torn = sink->is_torn;
        fresh->lost = sink->lost;
    }
    fresh->cancel_fd = sink->cancel_fd;
    access_sink_close(sink);
    *sink = *fresh;
    *fresh = (struct access_sink){.fd = -1, .cancel_fd = -1};
}

bool access_sink_is_ready(const struct access_sink *sink, uint64_t now_us)
{
    return !sink->is_broken || now_us >= sink->retry_us;
}

void access_sink_lose(struct access_sink *sink, uint64_t records)
{
    sink->lost += records;
}

/* Waits until the reader has made room; false with ECANCELED. */
static bool await_room(const struct access_sink *sink)
{
    struct pollfd fds[] = {{.fd = sink->fd, .events = POLLOUT},
                           {.fd = sink->cancel_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents)
        return true;
    errno = ECANCELED;
    return false;
}

/* As many whole lines as are written in one piece, or one piece of a longer line. */
static size_t piece(struct str bytes)
{
    if (bytes.len <= PIECE_MAX)
        return bytes.len;
    const char *end = memrchr(bytes.p, '\n', PIECE_MAX);
    return end ? (size_t)(end + 1 - bytes.p) : PIECE_MAX;
}

/* All that a pipe takes at once, EAGAIN when it is full; EOPNOTSUPP for a terminal and before
 * Linux 6.4. */
static ssize_t write_now(const struct access_sink *sink, struct str bytes)
{
    const struct iovec all = {(void *)(uintptr_t)bytes.p, bytes.len};
    if (sink->is_socket)
        return send(sink->fd, bytes.p, bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return pwritev2(sink->fd, &all, 1, -1, RWF_NOWAIT);
}

/* write(2) that never waits where a reader could keep it waiting. */
static ssize_t write_some(const struct access_sink *sink, struct str bytes)
{
    if (!sink->is_slow)
        return write(sink->fd, bytes.p, bytes.len);
    ssize_t n = write_now(sink, bytes);
    if (n >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP))
        return n;
    if (!await_room(sink))
        return -1;
    return sink->is_socket ? write_now(sink, bytes) : write(sink->fd, bytes.p, piece(bytes));
}

/* What could not be written; errno says why when it is not empty. */
static struct str write_all(const struct access_sink *sink, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = write_some(sink, bytes);
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && sink->is_slow)))
            continue;
        if (n < 0)
            return bytes;
        bytes.p += n;
        bytes.len -= (size_t)n;
    }
    return bytes;
}

static uint64_t count_lines(struct str bytes)
{
    uint64_t lines = 0;
    for (const char *at; (at = memchr(bytes.p, '\n', bytes.len)); lines++) {
        bytes.len -= (size_t)(at + 1 - bytes.p);
        bytes.p = at + 1;
    }
    return lines;
}

static void report_broken(struct access_sink *sink, int error, uint64_t now_us)
{
    if (!sink->is_broken && error != ECANCELED) {
        const char *why = strerrordesc_np(error);
        dprintf(STDERR_FILENO,
                "log: cannot write %s: %s; records are counted in sluice_log_dropped_total\n",
                sink->path, why ? why : "unknown error");
    }
    sink->is_broken = true;
    sink->retry_us = error == ECANCELED ? UINT64_MAX : now_us + ACCESS_SINK_RETRY_US;
}

static void report_working(struct access_sink *sink)
{
    if (sink->is_broken)
        dprintf(STDERR_FILENO, "log: %s can be written again; %llu records were lost\n", sink->path,
                (unsigned long long)sink->lost);
    sink->is_broken = false;
    sink->lost = 0;
}

/* Before a broken file is tried again: its disk may have been replaced under the same name. */
static bool renew(struct access_sink *sink)
{
    if (!sink->is_broken || !sink->is_file)
        return true;
    int fd = open_file(sink->path);
    if (fd < 0)
        return false;
    close(sink->fd);
    sink->fd = fd;
    examine(sink);
    return true;
}

/* Ends a line that was cut, so that the next one begins on its own. */
static bool mend(struct access_sink *sink)
{
    if (sink->is_torn && write_all(sink, STR("\n")).len)
        return false;
    sink->is_torn = false;
    return true;
}

uint64_t access_sink_write(struct access_sink *sink, struct str lines, uint64_t now_us)
{
    if (!sink->path || !lines.len)
        return 0;
    struct str rest = lines;
    if (renew(sink) && mend(sink))
        rest = write_all(sink, lines);
    int error = errno;
    if (!rest.len) {
        report_working(sink);
        return 0;
    }
    if (rest.p != lines.p)
        sink->is_torn = rest.p[-1] != '\n';
    uint64_t lost = count_lines(rest);
    access_sink_lose(sink, lost);
    report_broken(sink, error, now_us);
    return lost;
}
