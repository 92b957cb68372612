/* SPDX-License-Identifier: Apache-2.0
 *
 * A name server on loopback for tests, UDP and TCP on one ephemeral port, on the test's own loop.
 * What it says is the test's script: a function that gets each question and answers it, or not. Its
 * sockets are in test_dns_sockets.h.
 */
#ifndef TEST_DNS_SERVER_H
#define TEST_DNS_SERVER_H

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "test_dns_packet.h"

struct dns_server;

struct question {
    char name[256]; /* as asked, with dots between */
    unsigned id, type;
    uv_stream_t *stream; /* TCP; NULL: UDP */
    struct sockaddr_storage peer;
};

struct dns_server {
    uv_udp_t udp;
    uv_tcp_t tcp;
    uint32_t host; /* 0: 127.0.0.1; in host order, as the next */
    uint16_t port; /* 0: of the kernel's choice */
    unsigned questions, by_tcp;
    void (*script)(struct dns_server *server, const struct question *question);
    void *owner;
    struct packet packet; /* for the script */
    char in[2048];
};

static inline void server_sent(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
    free(request);
}

/* `packet` to whoever asked. */
static inline void server_send(struct dns_server *server, const struct question *question,
                               const struct packet *packet)
{
    uint8_t *copy = malloc(packet->len + 2);
    uv_write_t *request = calloc(1, sizeof(*request));
    uv_buf_t buf = uv_buf_init((char *)copy, (unsigned)packet->len + 2);

    copy[0] = (uint8_t)(packet->len >> 8);
    copy[1] = (uint8_t)packet->len;
    memcpy(copy + 2, packet->bytes, packet->len);
    request->data = copy;
    if (question->stream) {
        assert_int_equal(uv_write(request, question->stream, &buf, 1, server_sent), 0);
        return;
    }
    buf = uv_buf_init((char *)copy + 2, (unsigned)packet->len);
    uv_udp_try_send(&server->udp, &buf, 1, (const struct sockaddr *)&question->peer);
    server_sent(request, 0);
}

static inline void server_ask(struct dns_server *server, struct question *question,
                              const uint8_t *bytes)
{
    char *out = question->name;

    question->id = (unsigned)bytes[0] << 8 | bytes[1];
    for (bytes += 12; *bytes; bytes += *bytes + 1)
        out += sprintf(out, "%s%.*s", out > question->name ? "." : "", *bytes,
                       (const char *)bytes + 1);
    question->type = (unsigned)bytes[1] << 8 | bytes[2];
    server->questions++;
    server->by_tcp += question->stream != NULL;
    packet_begin(&server->packet, question->id, question->name, question->type);
    server->script(server, question);
}

#endif
