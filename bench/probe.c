/* SPDX-License-Identifier: Apache-2.0
 *
 * probe PORT CONNECTIONS RATE SECONDS: asks RATE times a second, whatever the answers take (an open
 * loop), and prints the latency's percentiles as JSON. Time counts from when a request was due, so
 * that a stall is seen by all it held up. One thread.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "client.h"

enum { CONNECTIONS_MAX = 256, BODY_LEN = 1024 };

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: probe\r\n\r\n";

struct asker {
    int fd;
    bool is_busy;
    uint64_t due_ns;
    size_t used;
    char in[8192];
};

struct probe {
    int epoll, timer;
    unsigned connections, idle;
    uint64_t interval_ns, next_ns, end_ns;
    size_t errors, done, capacity;
    uint32_t *latency_us;
    struct asker askers[CONNECTIONS_MAX];
};

static void connect_one(struct probe *probe, struct asker *asker, uint16_t port)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = asker};
    asker->fd = client_connect(port, 0);
    if (asker->fd < 0 || epoll_ctl(probe->epoll, EPOLL_CTL_ADD, asker->fd, &event)) {
        perror("probe");
        exit(1);
    }
}

static void ask(struct probe *probe, struct asker *asker)
{
    asker->is_busy = true;
    asker->used = 0;
    asker->due_ns = probe->next_ns;
    probe->next_ns += probe->interval_ns;
    probe->idle--;
    if (send(asker->fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        probe->errors++;
}

/* Sends what is due, as far as connections are free. */
static void ask_due(struct probe *probe)
{
    uint64_t now = client_now_ns();
    for (unsigned i = 0; i < probe->connections && probe->idle; i++) {
        if (probe->next_ns > now || probe->next_ns >= probe->end_ns)
            return;
        if (!probe->askers[i].is_busy)
            ask(probe, &probe->askers[i]);
    }
}

static void hear(struct probe *probe, struct asker *asker)
{
    ssize_t n = recv(asker->fd, asker->in + asker->used, sizeof asker->in - asker->used, 0);
    if (n <= 0) {
        (void)fprintf(stderr, "probe: the proxy ended a connection\n");
        exit(1);
    }
    asker->used += (size_t)n;
    const char *end = memmem(asker->in, asker->used, "\r\n\r\n", 4);
    if (!end || asker->used < (size_t)(end + 4 - asker->in) + BODY_LEN)
        return;
    probe->errors += memcmp(asker->in, "HTTP/1.1 200", 12) != 0;
    if (probe->done < probe->capacity)
        probe->latency_us[probe->done++] = (uint32_t)((client_now_ns() - asker->due_ns) / 1000);
    asker->is_busy = false;
    probe->idle++;
}

static void run(struct probe *probe)
{
    struct epoll_event events[64];
    uint64_t passed;
    while (probe->next_ns < probe->end_ns || probe->idle < probe->connections) {
        int n = epoll_wait(probe->epoll, events, 64, 2000);
        if (n <= 0) {
            (void)fprintf(stderr, "probe: no answer for two seconds\n");
            exit(1);
        }
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                hear(probe, events[i].data.ptr);
            else if (read(probe->timer, &passed, sizeof passed) < 0)
                exit(1);
        }
        ask_due(probe);
    }
}

static void start_clock(struct probe *probe, unsigned rate, unsigned seconds)
{
    probe->interval_ns = UINT64_C(1000000000) / rate;
    probe->next_ns = client_now_ns();
    probe->end_ns = probe->next_ns + seconds * UINT64_C(1000000000);
    const struct itimerspec each = {.it_interval.tv_nsec = (long)probe->interval_ns - (rate == 1),
                                    .it_value.tv_nsec = 1};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    probe->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (probe->timer < 0 || timerfd_settime(probe->timer, 0, &each, NULL) ||
        epoll_ctl(probe->epoll, EPOLL_CTL_ADD, probe->timer, &event))
        exit(1);
}

static void print(struct probe *probe)
{
    qsort(probe->latency_us, probe->done, sizeof *probe->latency_us, client_compare);
    const uint32_t *all = probe->latency_us;
    size_t n = probe->done;
    printf("{\"requests\": %zu, \"errors\": %zu, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           n, probe->errors, all[n / 2], all[n * 99 / 100], all[n - 1]);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    uint16_t port = (uint16_t)client_number(argv[1], UINT16_MAX);
    unsigned rate = client_number(argv[3], 100000), seconds = client_number(argv[4], 600);
    struct probe *probe = calloc(1, sizeof *probe);
    if (!probe)
        return 1;
    probe->connections = probe->idle = client_number(argv[2], CONNECTIONS_MAX);
    probe->capacity = (size_t)rate * seconds + 1;
    probe->latency_us = calloc(probe->capacity, sizeof *probe->latency_us);
    probe->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!probe->latency_us || probe->epoll < 0)
        return 1;
    for (unsigned i = 0; i < probe->connections; i++)
        connect_one(probe, &probe->askers[i], port);
    start_clock(probe, rate, seconds);
    run(probe);
    print(probe);
    free(probe->latency_us);
    free(probe);
    return 0;
}
