/* SPDX-License-Identifier: Apache-2.0
 *
 * What contexts of both sides have in common: Mozilla's intermediate settings (version 5.7), and
 * the modes that a connection over memory BIOs wants. Builder thread.
 */
#ifndef TLS_TLS_CONTEXT_H
#define TLS_TLS_CONTEXT_H

#include "config/conf_tls.h"
#include "tls/certificate.h"

/* NULL: memory, or an OpenSSL without what is needed. */
SSL_CTX *tls_context_new(bool is_server, enum conf_tls_version min_version);
/* False: OpenSSL does not take it. */
bool tls_context_use(SSL_CTX *context, const struct certificate *certificate);

#endif
