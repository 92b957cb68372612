/* SPDX-License-Identifier: Apache-2.0
 *
 * slow PORT COUNT: holds COUNT connections that are as slow as they dare, a byte a second each: a
 * third in the request head, a third in the request body, a third reading a large answer. One that
 * the proxy ends is counted and opened again. Says "ready" once all are open; when its standard
 * input ends it prints how many were opened and ended, as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>

#include "client.h"

enum { TICKS = 100, RECEIVE_SIZE = 4096, COUNT_MAX = 60000 };
enum kind { KIND_HEAD, KIND_BODY, KIND_READ, KINDS };

static const char *const openings[KINDS] = {
    [KIND_HEAD] = "GET / HTTP/1.1\r\nHost: bench\r\nX-Slow: ",
    [KIND_BODY] = "POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 1048576\r\n\r\n",
    [KIND_READ] = "GET /1m HTTP/1.1\r\nHost: bench\r\n\r\n",
};

struct slow {
    uint16_t port;
    unsigned count;
    unsigned long opened, ended, failed;
    int fds[COUNT_MAX];
};

static void open_one(struct slow *slow, unsigned i)
{
    enum kind kind = (enum kind)(i % KINDS);
    int fd = client_connect(slow->port, kind == KIND_READ ? RECEIVE_SIZE : 0);
    slow->fds[i] = fd;
    if (fd < 0) {
        slow->failed++;
        return;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    slow->opened++;
    if (dprintf(fd, "%s", openings[kind]) < 0)
        slow->failed++;
}

/* True while the connection lives. */
static bool touch(int fd, enum kind kind)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    if (kind == KIND_READ)
        return true;
    if (n > 0)
        return false; // an answer to an unfinished request: a refusal
    return send(fd, "a", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN;
}

static void tick(struct slow *slow, unsigned phase)
{
    for (unsigned i = phase; i < slow->count; i += TICKS) {
        if (slow->fds[i] >= 0 && touch(slow->fds[i], (enum kind)(i % KINDS)))
            continue;
        if (slow->fds[i] >= 0) {
            (void)close(slow->fds[i]);
            slow->ended++;
        }
        open_one(slow, i);
    }
}

static void run(struct slow *slow)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const struct itimerspec each = {.it_interval.tv_nsec = 1000000000 / TICKS,
                                    .it_value.tv_nsec = 1000000000 / TICKS};
    uint64_t passed;
    if (timer < 0 || timerfd_settime(timer, 0, &each, NULL))
        exit(1);
    for (unsigned phase = 0; !client_is_told_to_stop(); phase = (phase + 1) % TICKS) {
        if (read(timer, &passed, sizeof passed) != sizeof passed)
            exit(1);
        tick(slow, phase);
    }
    (void)close(timer);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    struct slow *slow = calloc(1, sizeof *slow);
    if (!slow)
        return 1;
    slow->port = (uint16_t)client_number(argv[1], UINT16_MAX);
    slow->count = client_number(argv[2], COUNT_MAX);
    client_raise_files();
    for (unsigned i = 0; i < slow->count; i++)
        open_one(slow, i);
    puts("ready");
    (void)fflush(stdout);
    run(slow);
    printf("{\"opened\": %lu, \"ended\": %lu, \"failed\": %lu}\n", slow->opened, slow->ended,
           slow->failed);
    free(slow);
    return 0;
}
