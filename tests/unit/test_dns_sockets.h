/* SPDX-License-Identifier: Apache-2.0
 *
 * The sockets of test_dns_server.h: a datagram is a question, and so is a frame of a stream (RFC
 * 1035 section 4.2).
 */
#ifndef TEST_DNS_SOCKETS_H
#define TEST_DNS_SOCKETS_H

#include "test_dns_server.h"

struct dns_stream {
    uv_tcp_t tcp;
    struct dns_server *server;
    char in[1024];
    size_t len;
};

static inline void server_on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct dns_server *server = handle->data;

    (void)size;
    *buf = uv_buf_init(server->in, sizeof(server->in));
}

static inline void server_on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buf,
                                      const struct sockaddr *peer, unsigned flags)
{
    struct question question = {.stream = NULL};

    (void)flags;
    if (n <= 0 || !peer)
        return;
    memcpy(&question.peer, peer, sizeof(struct sockaddr_in));
    server_ask(udp->data, &question, (const uint8_t *)buf->base);
}

static inline void server_on_stream_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct dns_stream *stream = handle->data;

    (void)size;
    *buf = uv_buf_init(stream->in + stream->len, (unsigned)(sizeof(stream->in) - stream->len));
}

static inline void server_on_stream_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static inline void server_on_bytes(uv_stream_t *tcp, ssize_t n, const uv_buf_t *buf)
{
    struct dns_stream *stream = tcp->data;
    struct question question = {.stream = tcp};
    const uint8_t *in = (const uint8_t *)stream->in;
    size_t size;

    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)tcp, server_on_stream_closed);
        return;
    }
    stream->len += (size_t)n;
    while (stream->len > 2 && stream->len >= (size = 2 + ((size_t)in[0] << 8 | in[1]))) {
        server_ask(stream->server, &question, in + 2);
        memmove(stream->in, stream->in + size, stream->len - size);
        stream->len -= size;
    }
}

static inline void server_on_connection(uv_stream_t *tcp, int status)
{
    struct dns_stream *stream = calloc(1, sizeof(*stream));

    assert_int_equal(status, 0);
    stream->server = tcp->data;
    uv_tcp_init(tcp->loop, &stream->tcp);
    stream->tcp.data = stream;
    assert_int_equal(uv_accept(tcp, (uv_stream_t *)&stream->tcp), 0);
    uv_read_start((uv_stream_t *)&stream->tcp, server_on_stream_alloc, server_on_bytes);
}

/* Streams and datagrams at the same port: the server's, or one that the kernel gives. */
static inline bool server_bind(struct dns_server *server, uv_loop_t *loop)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(server->host)},
                             .sin_port = htons(server->port)};
    int len = sizeof(at);

    uv_tcp_init(loop, &server->tcp);
    uv_udp_init(loop, &server->udp);
    server->tcp.data = server->udp.data = server;
    assert_int_equal(uv_tcp_bind(&server->tcp, (const struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server->tcp, 8, server_on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&at, &len), 0);
    if (!uv_udp_bind(&server->udp, (const struct sockaddr *)&at, 0)) {
        server->port = ntohs(at.sin_port);
        return true;
    }
    uv_close((uv_handle_t *)&server->tcp, NULL);
    uv_close((uv_handle_t *)&server->udp, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    return false;
}

static inline void server_open(struct dns_server *server, uv_loop_t *loop)
{
    server->host = server->host ? server->host : INADDR_LOOPBACK;
    while (!server_bind(server, loop))
        continue;
    assert_int_equal(uv_udp_recv_start(&server->udp, server_on_alloc, server_on_datagram), 0);
}

static inline void server_close(struct dns_server *server)
{
    uv_close((uv_handle_t *)&server->tcp, NULL);
    uv_close((uv_handle_t *)&server->udp, NULL);
}

#endif
