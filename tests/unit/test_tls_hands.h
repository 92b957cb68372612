/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of TLS: a handshake between two ends over memory.
 */
#ifndef TEST_TLS_HANDS_H
#define TEST_TLS_HANDS_H

#include "edge/tls/tls_client.h"
#include "edge/tls/tls_server.h"
#include "test_tls.h"

struct ends {
    SSL *client, *server;
};

/* Over a pair of memory BIOs; the client is as the test made it, without BIOs. */
static inline struct ends join(struct tls_server *server, SSL *client)
{
    struct ends ends = {client, SSL_new(tls_server_context(server))};
    BIO *ours, *theirs;

    assert_non_null(ends.server);
    assert_int_equal(BIO_new_bio_pair(&ours, 1 << 16, &theirs, 1 << 16), 1);
    SSL_set_bio(ends.client, theirs, theirs);
    SSL_set_bio(ends.server, ours, ours);
    SSL_set_accept_state(ends.server);
    SSL_set_connect_state(ends.client);
    return ends;
}

static inline void part(struct ends *ends)
{
    // Else OpenSSL takes the end for a break, and forgets the session.
    SSL_set_shutdown(ends->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ends->client);
    SSL_free(ends->server);
    ERR_clear_error();
}

static inline bool is_waiting(SSL *ssl, int result)
{
    return result != 1 && SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ;
}

/* True when both are through; tickets have arrived then. */
static inline bool shake_hands(struct ends *ends)
{
    int client = 0, server = 0;
    char byte;

    for (unsigned i = 0; i < 20 && (client != 1 || server != 1); i++) {
        client = client == 1 ? 1 : SSL_do_handshake(ends->client);
        if (client != 1 && !is_waiting(ends->client, client))
            return false;
        server = server == 1 ? 1 : SSL_do_handshake(ends->server);
        if (server != 1 && !is_waiting(ends->server, server)) {
            (void)!SSL_read(ends->client, &byte, 1); // takes the alert
            return false;
        }
    }
    if (client != 1 || server != 1)
        return false;
    // A byte each way: in TLS 1.3 the server speaks last, or refuses after the client is through.
    return SSL_write(ends->server, "s", 1) == 1 && SSL_read(ends->client, &byte, 1) == 1 &&
           SSL_write(ends->client, "c", 1) == 1 && SSL_read(ends->server, &byte, 1) == 1;
}

/* The reason of an alert that the client took: SSL_AD_...; 0: none. */
static inline int alert_of(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return reason > SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
}

#endif
