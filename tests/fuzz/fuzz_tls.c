/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as what a TLS client sends first. The choice of certificate and protocol
 * by name and ALPN reads them raw, before OpenSSL has looked at all of them. Nothing may crash or
 * leak, and OpenSSL's error queue is emptied by us alone.
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "edge/tls/tls_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A listener with a self-signed certificate and a challenge that is pending. */
static struct tls_server *make_server(void)
{
    static struct conf_text domain = {.s = STR_INIT("a.example.com")};
    static struct conf_listener listener;
    const struct tls_challenge challenge = {STR("t"), STR("a.example.com"), STR("t.x"), true};
    struct tls_server_build build = {.listener = &listener};
    struct tls_server *server;
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    listener = (struct conf_listener){.http2 = true, .tls = {.is_set = true}};
    listener.tls.acme.is_set = true;
    listener.tls.acme.domains = (struct conf_texts){&domain, 1};
    listener.tls.ticket_rotation_ms = 1000;
    build.tickets = tls_tickets_open(-1, 0);
    build.challenges = tls_challenges_new();
    if (!build.tickets || !build.challenges || tls_challenges_put(build.challenges, &challenge, 0))
        abort();
    server = tls_server_new(&build, &diag);
    if (!server)
        abort();
    arena_reset(&arena);
    return server;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tls_server *server;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    char name[256];
    SSL *ssl;

    if (!server)
        server = make_server();
    ssl = SSL_new(tls_server_context(server));
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    if (size && BIO_write(in, data, (int)size) != (int)size)
        abort();
    (void)!SSL_do_handshake(ssl);
    SSL_free(ssl);
    ERR_clear_error();
    // The same bytes as a name and as a host: an SNI is as long as it likes, up to a point.
    for (size_t i = 0; i < size && i < sizeof(name); i++)
        name[i] = (char)data[i];
    (void)tls_server_is_same(server, (struct str){name, size < 255 ? size : 255},
                             (struct str){(const char *)data, size});
    return 0;
}
