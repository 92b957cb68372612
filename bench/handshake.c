/* SPDX-License-Identifier: Apache-2.0
 *
 * handshake PORT CONNECTIONS SECONDS full|resume: opens TLS 1.3 connections, so many at a time,
 * asks once on each and reads the answer to its end, and prints their number and latency, from
 * connect() to the end of the answer, as JSON. With `resume` each one offers the newest ticket of
 * the one before it, and all but the first of each row must have been resumed; with `full` none is
 * offered. Anything but a whole answer of 200 ends the program with an error. One thread.
 */
#include <errno.h>
#include <openssl/err.h>
#include <sys/epoll.h>

#include "tls_client.h"

enum { CONNECTIONS_MAX = 256, LATENCIES_MAX = 4000000 };

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: handshake\r\n"
                              "Connection: close\r\n\r\n";

/* One connection after another. */
struct row {
    int fd;
    bool has_asked;
    uint64_t start_ns;
    SSL *ssl;
    SSL_SESSION *session; /* the newest ticket, owned; NULL: none yet */
    size_t used;
    char in[8192];
};

struct bench {
    int epoll;
    uint16_t port;
    bool resumes;
    SSL_CTX *context;
    size_t done, resumed;
    uint32_t *latency_us; /* LATENCIES_MAX */
    unsigned count;
    struct row rows[CONNECTIONS_MAX];
};

static void fail(const char *why)
{
    (void)fprintf(stderr, "handshake: %s\n", why);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* OpenSSL's callback for each ticket; 1: it is kept. */
static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct row *row = SSL_get_app_data(ssl);
    SSL_SESSION_free(row->session);
    row->session = session;
    return 1;
}

static int open_socket(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) ||
        (connect(fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS))
        fail("no connection");
    return fd;
}

static void open_next(struct bench *bench, struct row *row)
{
    row->start_ns = client_now_ns();
    row->fd = open_socket(bench->port);
    row->ssl = tls_client_open(bench->context, row->fd, "\x08http/1.1");
    if (!row->ssl || !SSL_set_app_data(row->ssl, row))
        fail("no memory");
    if (row->session && !SSL_set_session(row->ssl, row->session))
        fail("a ticket could not be offered");
    row->has_asked = false;
    row->used = 0;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = row};
    if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, row->fd, &event))
        fail("epoll_ctl");
}

static void close_row(struct row *row)
{
    (void)SSL_shutdown(row->ssl);
    SSL_free(row->ssl);
    (void)close(row->fd);
}

/* True when OpenSSL only waits for the socket. */
static bool is_waiting(const struct row *row, int result)
{
    int error = SSL_get_error(row->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* False while the handshake is not over. */
static bool ask(struct bench *bench, struct row *row)
{
    int result = SSL_do_handshake(row->ssl);
    if (result != 1 && !is_waiting(row, result))
        fail("a handshake failed");
    if (result != 1)
        return false;
    if (row->session && !SSL_session_reused(row->ssl))
        fail("a session was not resumed");
    bench->resumed += (size_t)SSL_session_reused(row->ssl);
    if (SSL_write(row->ssl, request, sizeof request - 1) != (int)sizeof request - 1)
        fail("a request could not be sent");
    row->has_asked = true;
    return true;
}

/* False while the answer has not ended. */
static bool hear(struct row *row)
{
    int n;
    while ((n = SSL_read(row->ssl, row->in + row->used, (int)(sizeof row->in - row->used))) > 0)
        row->used += (size_t)n;
    if (is_waiting(row, n))
        return false;
    if (!tls_client_is_whole(row->in, row->used))
        fail("an answer was not a whole 200");
    return true;
}

static void advance(struct bench *bench, struct row *row)
{
    ERR_clear_error();
    if ((!row->has_asked && !ask(bench, row)) || !hear(row))
        return;
    uint64_t took_ns = client_now_ns() - row->start_ns;
    close_row(row);
    if (bench->resumes && !row->session)
        fail("no ticket came");
    if (bench->done < LATENCIES_MAX)
        bench->latency_us[bench->done++] = (uint32_t)(took_ns / 1000);
    open_next(bench, row);
}

static void run(struct bench *bench, uint64_t end_ns)
{
    struct epoll_event events[64];
    for (unsigned i = 0; i < bench->count; i++)
        open_next(bench, &bench->rows[i]);
    while (client_now_ns() < end_ns) {
        int n = epoll_wait(bench->epoll, events, 64, 5000);
        if (n <= 0)
            fail("nothing happened for five seconds");
        for (int i = 0; i < n; i++)
            advance(bench, events[i].data.ptr);
    }
    for (unsigned i = 0; i < bench->count; i++) {
        close_row(&bench->rows[i]);
        SSL_SESSION_free(bench->rows[i].session);
    }
}

static void print(struct bench *bench, double took_s)
{
    size_t n = bench->done;
    if (!n)
        fail("no connection came to its end");
    qsort(bench->latency_us, n, sizeof *bench->latency_us, client_compare);
    printf("{\"requests\": %zu, \"resumed\": %zu, \"per_second\": %.1f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f}\n",
           n, bench->resumed, (double)n / took_s, bench->latency_us[n / 2] / 1e3,
           bench->latency_us[n * 99 / 100] / 1e3);
}

static void configure(struct bench *bench)
{
    bench->context = tls_client_context();
    if (!bench->resumes)
        return;
    (void)SSL_CTX_set_session_cache_mode(bench->context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(bench->context, keep_ticket);
}

int main(int argc, char **argv)
{
    if (argc != 5 || (strcmp(argv[4], "full") != 0 && strcmp(argv[4], "resume") != 0))
        return 2;
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench || !(bench->latency_us = calloc(LATENCIES_MAX, sizeof *bench->latency_us)))
        return 1;
    bench->port = (uint16_t)client_number(argv[1], UINT16_MAX);
    bench->count = client_number(argv[2], CONNECTIONS_MAX);
    bench->resumes = strcmp(argv[4], "resume") == 0;
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bench->epoll < 0)
        return 1;
    client_raise_files();
    configure(bench);
    uint64_t start_ns = client_now_ns();
    run(bench, start_ns + client_number(argv[3], 600) * UINT64_C(1000000000));
    print(bench, (double)(client_now_ns() - start_ns) / 1e9);
    SSL_CTX_free(bench->context);
    free(bench->latency_us);
    free(bench);
    return 0;
}
