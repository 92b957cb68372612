/* SPDX-License-Identifier: Apache-2.0
 *
 * idle_tls PORT COUNT http1|h2: idle.c over TLS 1.3: opens COUNT connections, has one request
 * answered on each, over HTTP/1.1 or HTTP/2 as told, says "ready", and holds them until its
 * standard input ends. Its own TLS state is given up once a connection is idle: only the proxy's
 * end is measured, and nothing more is said on it.
 */
#include <openssl/err.h>

#include "tls_client.h"

enum { FRAME_HEAD = 9, DATA = 0, HEADERS = 1, SETTINGS = 4, END_STREAM = 1, ACK = 1 };

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: idle\r\n\r\n";

/* RFC 9113: the preface, empty SETTINGS, and HEADERS that end stream 1: GET, https, /, bench. */
static const char h2_request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                 "\0\0\0\4\0\0\0\0\0"
                                 "\0\0\012\1\5\0\0\0\1"
                                 "\x82\x87\x84\x41\5bench";
static const char h2_ack[] = "\0\0\0\4\1\0\0\0\0";

static bool read_exactly(SSL *ssl, unsigned char *out, size_t len)
{
    for (size_t used = 0; used < len;) {
        int n = SSL_read(ssl, out + used, (int)(len - used));
        if (n <= 0)
            return false;
        used += (size_t)n;
    }
    return true;
}

/* RFC 7541: a head that begins with the indexed field `:status: 200`, after changes of the table's
 * size. */
static bool is_ok(const unsigned char *block, size_t len)
{
    size_t at = 0;
    while (at < len && (block[at] & 0xe0) == 0x20) {
        bool is_long = (block[at] & 0x1f) == 0x1f;
        at++;
        while (is_long && at < len)
            is_long = block[at++] & 0x80;
    }
    return at < len && block[at] == 0x88;
}

/* Reads frames until stream 1 ends. */
static bool hear_h2(SSL *ssl)
{
    unsigned char head[FRAME_HEAD], payload[16384];
    bool is_good = false;
    size_t body = 0;
    while (read_exactly(ssl, head, sizeof head)) {
        size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (len > sizeof payload || !read_exactly(ssl, payload, len))
            return false;
        if (head[3] == SETTINGS && !(head[4] & ACK) &&
            SSL_write(ssl, h2_ack, sizeof h2_ack - 1) != (int)sizeof h2_ack - 1)
            return false;
        if (head[3] == HEADERS)
            is_good = is_ok(payload, len);
        if (head[3] == DATA)
            body += len;
        if ((head[3] == DATA || head[3] == HEADERS) && (head[4] & END_STREAM))
            return is_good && body == TLS_CLIENT_BODY;
    }
    return false;
}

static bool hear_http1(SSL *ssl)
{
    char answer[8192];
    size_t used = 0;
    while (used < sizeof answer && !tls_client_is_whole(answer, used)) {
        int n = SSL_read(ssl, answer + used, (int)(sizeof answer - used));
        if (n <= 0)
            return false;
        used += (size_t)n;
    }
    return used < sizeof answer;
}

static bool ask(SSL_CTX *context, uint16_t port, bool is_h2)
{
    const char *out = is_h2 ? h2_request : request;
    int len = (int)(is_h2 ? sizeof h2_request : sizeof request) - 1;
    int fd = client_connect(port, 0);
    SSL *ssl = fd < 0 ? NULL : tls_client_open(context, fd, is_h2 ? "\2h2" : "\x08http/1.1");
    bool is_good = ssl && SSL_connect(ssl) == 1 && SSL_write(ssl, out, len) == len &&
                   (is_h2 ? hear_h2(ssl) : hear_http1(ssl));
    SSL_free(ssl);
    return is_good;
}

int main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[3], "http1") != 0 && strcmp(argv[3], "h2") != 0))
        return 2;
    uint16_t port = (uint16_t)client_number(argv[1], UINT16_MAX);
    unsigned count = client_number(argv[2], 60000);
    client_raise_files();
    SSL_CTX *context = tls_client_context();
    for (unsigned i = 0; i < count; i++) {
        if (!ask(context, port, strcmp(argv[3], "h2") == 0)) {
            (void)fprintf(stderr, "idle_tls: connection %u got no answer\n", i + 1);
            ERR_print_errors_fp(stderr);
            return 1;
        }
    }
    puts("ready");
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    SSL_CTX_free(context);
    return 0;
}
