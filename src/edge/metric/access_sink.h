/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the lines of the access log go: stdout, stderr or a file. Opened on the manager thread,
 * then handed to the log thread, which alone writes. A sink that fails is reported once, tried
 * again each second (a file is opened anew), and reported once more when it works. Times are of
 * clock_us(), given by the caller.
 */
#ifndef EDGE_METRIC_ACCESS_SINK_H
#define EDGE_METRIC_ACCESS_SINK_H

#include "sluice/types.h"

enum { ACCESS_SINK_RETRY_US = 1000000 };

struct access_sink {
    char *path;        /* owned; NULL: no sink, what is written vanishes */
    int fd;            /* owned when is_file; -1: none */
    int cancel_fd;     /* borrowed eventfd; once readable, waiting for a reader ends; -1: none */
    bool is_file;      /* not stdout or stderr */
    bool is_socket;    /* stdout may be one, of journald */
    bool is_slow;      /* a pipe or a terminal: a reader decides how long a write takes */
    bool is_broken;    /* the last write failed */
    bool is_torn;      /* the last line was written in part */
    uint64_t retry_us; /* not tried before */
    uint64_t lost;     /* records, since it broke */
};

/* `path` is "stdout", "stderr" or a file, made with mode 0640. E_IO with errno (a FIFO without a
 * reader: ENXIO), or E_NOMEM; *sink then is no sink. Does not wait. */
MUST_USE enum status access_sink_open(struct access_sink *sink, struct str path);
void access_sink_close(struct access_sink *sink);
/* Puts `fresh` in the place of *sink, which is closed; what is told of a broken one goes over when
 * the path is the same. */
void access_sink_replace(struct access_sink *sink, struct access_sink *fresh);

/* False while nothing is to be tried: the caller drops its records and says how many with
 * access_sink_lose(). */
bool access_sink_is_ready(const struct access_sink *sink, uint64_t now_us);
void access_sink_lose(struct access_sink *sink, uint64_t records);
/* Writes whole lines, waiting as long as it takes; a cancellation point. How many lines were lost.
 */
uint64_t access_sink_write(struct access_sink *sink, struct str lines, uint64_t now_us);

#endif
