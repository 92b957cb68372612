/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The ring: `end` is the place after the newest byte, `len` how many there are. */
struct unit_page {
    uint32_t end, len, line_len;
    char line[UNIT_LINE_MAX];
    char ring[UNIT_LOG_SIZE];
};

static enum status map(struct unit_log *log, int fd)
{
    void *page = mmap(NULL, sizeof *log->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return E_IO;
    *log = (struct unit_log){.page = page, .fd = fd, .lines_left = UNIT_LINES_BURST};
    return OK;
}

enum status unit_log_open(struct unit_log *log)
{
    int fd = memfd_create("sluice-unit", MFD_CLOEXEC);
    if (fd < 0)
        return E_IO;
    if (ftruncate(fd, (off_t)sizeof *log->page) == 0 && map(log, fd) == OK)
        return OK;
    int why = errno;
    close(fd);
    errno = why;
    return E_IO;
}

enum status unit_log_adopt(struct unit_log *log, int fd)
{
    struct stat file;
    if (fstat(fd, &file) < 0 || (uint64_t)file.st_size != sizeof *log->page || map(log, fd))
        return E_INVALID;
    struct unit_page *page = log->page;
    if (page->end < UNIT_LOG_SIZE && page->len <= UNIT_LOG_SIZE && page->line_len < UNIT_LINE_MAX)
        return OK;
    munmap(page, sizeof *page);
    log->page = NULL;
    return E_INVALID;
}

void unit_log_close(struct unit_log *log)
{
    if (log->page) {
        munmap(log->page, sizeof *log->page);
        close(log->fd);
    }
    *log = (struct unit_log){.fd = -1};
}

static void keep(struct unit_page *page, struct str bytes)
{
    if (bytes.len > UNIT_LOG_SIZE)
        bytes = (struct str){bytes.p + bytes.len - UNIT_LOG_SIZE, UNIT_LOG_SIZE};
    size_t first = UNIT_LOG_SIZE - page->end;
    if (first > bytes.len)
        first = bytes.len;
    memcpy(page->ring + page->end, bytes.p, first);
    memcpy(page->ring, bytes.p + first, bytes.len - first);
    page->end = (uint32_t)((page->end + bytes.len) % UNIT_LOG_SIZE);
    page->len =
        (uint32_t)(page->len + bytes.len < UNIT_LOG_SIZE ? page->len + bytes.len : UNIT_LOG_SIZE);
}

/* Of ours stderr takes a whole line or none: poll() says that there is room for PIPE_BUF. */
static bool write_line(const char *prefix, struct str text)
{
    enum { PREFIX_MAX = 512 };
    char line[PREFIX_MAX + UNIT_LINE_MAX];
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    int used = snprintf(line, PREFIX_MAX, "sluice: %s: ", prefix);
    if (used < 0 || used >= PREFIX_MAX || poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        line[used++] = (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c;
    }
    line[used++] = '\n';
    return write(STDERR_FILENO, line, (size_t)used) == used;
}

static void refill(struct unit_log *log, int64_t now_ms)
{
    int64_t since = now_ms - log->filled_ms;
    if (since < 1000 && log->filled_ms)
        return;
    uint64_t more = log->lines_left + (uint64_t)(since / 1000) * UNIT_LINES_A_SECOND;
    log->lines_left = more < UNIT_LINES_BURST ? (uint32_t)more : UNIT_LINES_BURST;
    log->filled_ms = now_ms;
}

static void print(struct unit_log *log, const char *prefix, struct str text, int64_t now_ms)
{
    refill(log, now_ms);
    if (log->lines_left && log->dropped) {
        char words[64];
        int len = snprintf(words, sizeof words, "(%u lines were left out)", log->dropped);
        if (write_line(prefix, (struct str){words, (size_t)len}))
            log->dropped = 0;
    }
    if (!log->lines_left || !write_line(prefix, text)) {
        log->dropped++;
        return;
    }
    log->lines_left--;
}

void unit_log_flush(struct unit_log *log, const char *prefix, int64_t now_ms)
{
    struct unit_page *page = log->page;
    if (!page || !page->line_len)
        return;
    print(log, prefix, (struct str){page->line, page->line_len}, now_ms);
    page->line_len = 0;
}

void unit_log_add(struct unit_log *log, const char *prefix, struct str bytes, int64_t now_ms)
{
    struct unit_page *page = log->page;
    if (!page)
        return;
    keep(page, bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.p[i] == '\n') {
            if (page->line_len)
                unit_log_flush(log, prefix, now_ms);
            continue;
        }
        page->line[page->line_len++] = bytes.p[i];
        // A byte short of the whole: what another binary adopts has room for more.
        if (page->line_len == UNIT_LINE_MAX - 1)
            unit_log_flush(log, prefix, now_ms);
    }
}

size_t unit_log_tail(const struct unit_log *log, char *out, size_t size)
{
    const struct unit_page *page = log->page;
    size_t len = page && page->len < size ? page->len : size;
    if (!page || !len)
        return 0;
    size_t begin = (page->end + UNIT_LOG_SIZE - len) % UNIT_LOG_SIZE;
    size_t first = UNIT_LOG_SIZE - begin < len ? UNIT_LOG_SIZE - begin : len;
    memcpy(out, page->ring + begin, first);
    memcpy(out + first, page->ring, len - first);
    return len;
}
