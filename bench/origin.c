/* SPDX-License-Identifier: Apache-2.0
 *
 * The origin of the benchmarks: an HTTP/1.1 keep-alive server that costs as little as one can, so
 * that the proxy in front is what is measured. Answers 1 KiB, or 1 MiB for paths that begin with
 * "/1m". One loop, one thread; prints its port, then for each byte of its standard input how many
 * requests have come, and ends with it. It understands what proxies send and nothing more: whole
 * heads below 8 KiB, bodies by Content-Length, no pipelining.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_SIZE = 8192, EVENTS = 256, SMALL = 1024, LARGE = 1024 * 1024 };

struct page {
    char *bytes; /* head and body */
    size_t len;
};

struct peer {
    int fd;
    bool waits_to_write;
    uint64_t skip;           /* bytes of a request body still to come */
    const struct page *page; /* the answer under way or due after the body; NULL: none */
    size_t sent;
    size_t used;
    char in[IN_SIZE];
};

struct origin {
    int epoll, listener;
    struct page small, large;
    unsigned long long requests;
};

/* Text that compresses as that of an API does. */
static void fill(char *bytes, size_t len)
{
    char row[128];
    size_t row_len;
    for (unsigned i = 0; len > 0; i++, bytes += row_len, len -= row_len) {
        unsigned draw = i * 2654435761u;
        int n = snprintf(row, sizeof row,
                         "{\"id\":%u,\"name\":\"item %u\",\"price\":%u,\"sold\":%s},\n", i + 1000,
                         draw % 9973, (draw >> 8) % 5003, draw % 3 ? "true" : "false");
        row_len = (size_t)n < len ? (size_t)n : len;
        memcpy(bytes, row, row_len);
    }
}

static struct page make_page(size_t body_len)
{
    char head[512];
    int head_len = snprintf(head, sizeof head,
                            "HTTP/1.1 200 OK\r\n"
                            "Date: Sun, 22 Nov 2026 20:29:48 GMT\r\n"
                            "Content-Type: application/json; charset=utf-8\r\n"
                            "Cache-Control: no-cache\r\n"
                            "ETag: \"5f3c9a-400\"\r\n"
                            "Vary: Accept-Encoding\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            body_len);
    struct page page = {.len = (size_t)head_len + body_len};
    page.bytes = malloc(page.len);
    if (!page.bytes)
        exit(1);
    memcpy(page.bytes, head, (size_t)head_len);
    fill(page.bytes + head_len, body_len);
    return page;
}

static void watch(const struct origin *origin, struct peer *peer, bool for_write)
{
    struct epoll_event event = {.events = EPOLLIN | (for_write ? EPOLLOUT : 0u), .data.ptr = peer};
    (void)epoll_ctl(origin->epoll, EPOLL_CTL_MOD, peer->fd, &event);
    peer->waits_to_write = for_write;
}

/* False when the connection is gone. */
static bool answer(const struct origin *origin, struct peer *peer)
{
    const struct page *page = peer->page;
    while (page && !peer->skip && peer->sent < page->len) {
        ssize_t n = send(peer->fd, page->bytes + peer->sent, page->len - peer->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!peer->waits_to_write)
                watch(origin, peer, true);
            return true;
        }
        if (n < 0)
            return false;
        peer->sent += (size_t)n;
    }
    if (page && !peer->skip)
        peer->page = NULL;
    if (peer->waits_to_write)
        watch(origin, peer, false);
    return true;
}

static uint64_t body_len(const char *head, const char *end)
{
    for (const char *line = head; line && line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if (strncasecmp(line, "content-length:", 15) == 0)
            return strtoull(line + 15, NULL, 10);
    }
    return 0;
}

/* Takes what is complete of `in`: rests of a body, then a head. */
static void consume(struct origin *origin, struct peer *peer)
{
    size_t eaten = peer->used < peer->skip ? peer->used : (size_t)peer->skip;
    peer->skip -= eaten;
    char *head = peer->in + eaten;
    char *end = peer->page ? NULL : memmem(head, peer->used - eaten, "\r\n\r\n", 4);
    if (end) {
        bool is_large = strncmp(head + strcspn(head, " "), " /1m", 4) == 0;
        peer->page = is_large ? &origin->large : &origin->small;
        peer->sent = 0;
        origin->requests++;
        peer->skip = head[0] == 'P' ? body_len(head, end) : 0;
        eaten = (size_t)(end + 4 - peer->in);
        size_t rest = peer->used - eaten;
        size_t body = rest < peer->skip ? rest : (size_t)peer->skip;
        peer->skip -= body;
        eaten += body;
    }
    memmove(peer->in, peer->in + eaten, peer->used - eaten);
    peer->used -= eaten;
}

static bool take(struct origin *origin, struct peer *peer)
{
    ssize_t n = recv(peer->fd, peer->in + peer->used, sizeof peer->in - 1 - peer->used, 0);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0)
        return false;
    peer->used += (size_t)n;
    peer->in[peer->used] = '\0';
    consume(origin, peer);
    return answer(origin, peer);
}

static void accept_all(const struct origin *origin)
{
    int fd;
    while ((fd = accept4(origin->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = calloc(1, sizeof *peer);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        if (!peer || epoll_ctl(origin->epoll, EPOLL_CTL_ADD, fd, &event)) {
            free(peer);
            (void)close(fd);
            continue;
        }
        peer->fd = fd;
    }
}

static void serve_peer(struct origin *origin, struct peer *peer, uint32_t events)
{
    bool is_open = !(events & EPOLLOUT) || answer(origin, peer);
    if (is_open && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        is_open = take(origin, peer);
    if (!is_open) {
        (void)close(peer->fd);
        free(peer);
    }
}

static int listen_any(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        bind(fd, (struct sockaddr *)&address, len) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("origin");
        exit(1);
    }
    printf("%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

/* False when standard input has ended. */
static bool say_requests(const struct origin *origin)
{
    char asked;
    if (read(STDIN_FILENO, &asked, 1) != 1)
        return false;
    printf("%llu\n", origin->requests);
    (void)fflush(stdout);
    return true;
}

static void serve(struct origin *origin)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int n = epoll_wait(origin->epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == origin)
                accept_all(origin);
            else if (events[i].data.ptr != NULL)
                serve_peer(origin, events[i].data.ptr, events[i].events);
            else if (!say_requests(origin))
                return;
        }
    }
}

int main(void)
{
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct origin origin = {.epoll = epoll_create1(EPOLL_CLOEXEC), .listener = listen_any()};
    origin.small = make_page(SMALL);
    origin.large = make_page(LARGE);
    struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = &origin};
    struct epoll_event ends = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(origin.epoll, EPOLL_CTL_ADD, origin.listener, &accepts) ||
        epoll_ctl(origin.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ends)) {
        perror("origin");
        return 1;
    }
    serve(&origin);
    return 0;
}
