/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls_context.h"

/* Those of TLS 1.3 are OpenSSL's own three, which are Mozilla's. */
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"                                   \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"

SSL_CTX *tls_context_new(bool is_server, enum conf_tls_version min_version)
{
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    int oldest = min_version == CONF_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    if (!context)
        return NULL;
    if (!SSL_CTX_set_min_proto_version(context, oldest) ||
        !SSL_CTX_set_cipher_list(context, CIPHERS) || !SSL_CTX_set1_groups_list(context, GROUPS)) {
        SSL_CTX_free(context);
        return NULL;
    }
    // RFC 7525 3.3: compression leaks; renegotiation is a load for nothing, RFC 8446 has none.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_clear_options(context,
                          SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
                              SSL_OP_CIPHER_SERVER_PREFERENCE); // the client knows its hardware
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    if (is_server)
        SSL_CTX_set_dh_auto(context, 1);
    return context;
}

bool tls_context_use(SSL_CTX *context, const struct certificate *certificate)
{
    return SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key,
                                    certificate->chain, 1) == 1;
}
